import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
import torch
from tests.meshes import sphere

from pullback.geometry import krylov, lanczos
from pullback.geometry.krylov import KrylovBasis
from pullback.geometry.lanczos import ConvergenceError, smallest_eigenpairs
from pullback.geometry.mesh import cotangent_stiffness, lumped_mass, normalise_area


def symmetric(verts, faces):
    """``M^-½ S M^-½`` of a mesh."""
    verts = normalise_area(verts, faces)
    scale = sp.diags(lumped_mass(verts, faces) ** -0.5)
    return (scale @ cotangent_stiffness(verts, faces) @ scale).tocsr()


@pytest.fixture(scope="module")
def problem():
    """A sphere without symmetry: random weights on it tear repeated eigenvalues apart."""
    verts, faces = sphere(3)
    return symmetric(verts * np.random.default_rng(0).uniform(0.95, 1.05, (len(verts), 1)), faces)


@pytest.fixture(scope="module")
def expected(problem):
    return scipy.linalg.eigh(problem.toarray())


@pytest.mark.parametrize("k", [1, 7, 60, 200])
def test_eigenpairs_agree_with_dense_algebra(problem, expected, k):
    evals, evecs = smallest_eigenpairs(problem, k)
    assert evals == pytest.approx(expected[0][:k], abs=1e-10 * max(expected[0][k - 1], 1))
    assert np.abs(evecs.T @ evecs - np.eye(k)).max() < 1e-11
    signs = np.sign((evecs * expected[1][:, :k]).sum(axis=0))
    assert np.abs(evecs * signs - expected[1][:, :k]).max() < 1e-6


@pytest.mark.parametrize("block", [1, 3, 16])
def test_the_size_of_the_block_does_not_matter(problem, expected, block):
    evals, _ = smallest_eigenpairs(problem, 30, block=block)
    assert evals == pytest.approx(expected[0][:30], abs=1e-9)


def test_a_full_basis_is_compressed_and_goes_on(problem, expected, monkeypatch):
    compressed = []
    monkeypatch.setattr(
        KrylovBasis,
        "compress",
        lambda self, keep, left, f=KrylovBasis.compress: (compressed.append(keep), f(self, keep, left)),
    )
    evals, evecs = smallest_eigenpairs(problem, 40, capacity=90)
    assert compressed
    assert evals == pytest.approx(expected[0][:40], abs=1e-8)
    assert np.abs(evecs.T @ evecs - np.eye(40)).max() < 1e-11


@pytest.mark.parametrize("capacity", [80, 100, 160, 400])
def test_a_basis_compressed_many_times_gives_the_same_eigenpairs(problem, expected, capacity):
    evals, evecs = smallest_eigenpairs(problem, 60, capacity=capacity)
    assert evals == pytest.approx(expected[0][:60], abs=1e-8)
    assert np.abs(evecs.T @ evecs - np.eye(60)).max() < 1e-10
    residual = np.linalg.norm(problem @ evecs - evecs * evals, axis=0)
    assert residual.max() < 2e-10 * evals[-1]


def test_a_compressed_basis_goes_on_as_a_chain(problem):
    basis = KrylovBasis(lanczos.factorise(problem + 20 * sp.eye(problem.shape[0])), problem.shape[0], 120)
    complete = []  # images from which all of the basis was taken off
    remove = basis._remove
    basis._remove = lambda block, part: (complete.append(part.start == 0 and basis.size > 24), remove(block, part))[1]
    pending = basis.random(8)
    for _ in range(3):
        while basis.size + 8 <= basis.capacity:
            pending = basis.append(basis.orthonormalise(pending))
        basis.compress(60, pending)
        complete.clear()
    for count in range(1, 6):
        pending = basis.append(basis.orthonormalise(pending))
        assert sum(complete) == 2, count  # the first block's, twice
    vectors = basis.vectors[: basis.size]
    left = basis.image(vectors) - basis.projected[: basis.size, : basis.size] @ vectors
    assert float((vectors @ vectors.T - torch.eye(basis.size)).abs().max()) < 1e-10
    assert float(left[:-8].norm(dim=1).max()) < 1e-11 * float(basis.projected.diagonal().max())


def grown(problem, *, blocks=20):
    """A chain of blocks, how many of them were made orthogonal to all others, and how orthonormal the basis is."""
    basis, count = KrylovBasis(lanczos.factorise(problem + 20 * sp.eye(problem.shape[0])), problem.shape[0], 200), []
    once = basis._reorthogonalise
    basis._reorthogonalise = lambda block: (count.append(1), once(block))
    pending = basis.random(8)
    for _ in range(blocks):
        pending = basis.append(basis.orthonormalise(pending))
    vectors = basis.vectors[: basis.size]
    return basis, len(count), float((vectors @ vectors.T - torch.eye(basis.size)).abs().max())


def test_few_blocks_are_compared_with_the_whole_basis_and_it_stays_orthonormal(problem):
    _, count, error = grown(problem)
    assert 1 < count < 12
    assert error < 1e-11


def test_without_comparing_them_the_basis_is_no_longer_orthonormal(problem, monkeypatch):
    monkeypatch.setattr(krylov, "_DRIFT", np.inf)
    assert grown(problem)[2] > 1e-8


def test_comparing_all_blocks_gives_the_same_projection(problem, monkeypatch):
    rarely, _, _ = grown(problem)
    monkeypatch.setattr(krylov, "_DRIFT", 0.0)
    always, count, error = grown(problem)
    assert count >= 15
    assert error < 1e-13
    assert (rarely.projected - always.projected).abs().max() < 1e-9 * always.projected.max()


def test_the_estimate_of_the_products_bounds_them_before_they_matter(problem, monkeypatch):
    monkeypatch.setattr(krylov, "_DRIFT", np.inf)
    basis, _, error = grown(problem, blocks=8)
    assert error < 100 * float((basis.gram[: basis.size, : basis.size] - torch.eye(basis.size)).abs().max())


def copies_of_a_sphere():
    """40 small spheres, and their spectrum: every eigenvalue 40, 120 or 200 times."""
    one = symmetric(*sphere(1))
    return sp.block_diag([one] * 40).tocsr(), np.repeat(scipy.linalg.eigh(one.toarray(), eigvals_only=True), 40)


@pytest.mark.parametrize("capacity", [None, 310])
def test_no_copy_of_a_repeated_eigenvalue_is_missed(capacity):
    matrix, expected = copies_of_a_sphere()
    evals, evecs = smallest_eigenpairs(matrix, 60, block=1, capacity=capacity)
    assert evals == pytest.approx(expected[:60], abs=1e-7)
    assert np.abs(evecs.T @ evecs - np.eye(60)).max() < 1e-10


def test_the_probe_is_what_finds_missed_copies(monkeypatch):
    monkeypatch.setattr(lanczos, "_probe", lambda basis, k: None)
    matrix, expected = copies_of_a_sphere()
    evals, _ = smallest_eigenpairs(matrix, 60, block=1, capacity=310)
    assert np.abs(evals - expected[:60]).max() > 1


def test_as_many_eigenvalues_as_the_inertia_counts_lie_below_a_shift(problem):
    evals, _ = smallest_eigenpairs(problem, 100)
    gap = np.diff(evals[60:]).argmax() + 60
    shifted = (problem - (evals[gap] + evals[gap + 1]) / 2 * sp.eye(problem.shape[0])).tocsc()
    lu = scipy.sparse.linalg.splu(
        shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    assert (lu.U.diagonal() < 0).sum() == gap + 1  # Sylvester


def test_superlu_gives_the_same_eigenvalues(problem, expected):
    evals, _ = smallest_eigenpairs(problem, 30, backend="superlu")
    assert evals == pytest.approx(expected[0][:30], abs=1e-9)


def test_the_same_matrix_gives_the_same_bits(problem):
    first, second = (smallest_eigenpairs(problem, 30) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_the_scale_of_the_matrix_does_not_matter(problem, expected):
    for factor in (1e-6, 1e6):
        evals, _ = smallest_eigenpairs(factor * problem, 30)
        assert evals / factor == pytest.approx(expected[0][:30], abs=1e-8)


def test_the_threads_of_torch_stay_as_they_are(problem):
    before = torch.get_num_threads()
    smallest_eigenpairs(problem, 5)
    assert torch.get_num_threads() == before


def test_a_basis_too_small_for_k_is_refused_with_both_numbers(problem):
    with pytest.raises(ValueError, match=r"k \+ 2 block = 66 vectors, and has room for 60"):
        smallest_eigenpairs(problem, 50, capacity=60)


def test_entries_that_are_not_finite_are_refused(problem):
    matrix = problem.copy()
    matrix.data[0] = np.nan
    with pytest.raises(ValueError, match="1 entries of the matrix are NaN"):
        smallest_eigenpairs(matrix, 5)


def test_an_iteration_that_does_not_converge_says_how_far_it_came(problem, monkeypatch):
    monkeypatch.setattr(lanczos, "_FULL_BASES", 1)
    monkeypatch.setattr(lanczos, "_RELATIVE_THETA", 0.0)  # which would be content
    with pytest.raises(ConvergenceError, match="largest relative residual is"):
        smallest_eigenpairs(problem, 100, tolerance=1e-30)


@pytest.mark.parametrize("backend", ["auto", "superlu"])
def test_a_negative_matrix_gives_no_eigenpairs(problem, backend):
    with pytest.raises((ConvergenceError, ValueError)):
        smallest_eigenpairs(-problem, 5, backend=backend)


def test_nothing_is_left_of_vectors_that_lie_in_the_basis_already(problem):
    basis = KrylovBasis(lanczos.factorise(problem + 0.1 * sp.eye(problem.shape[0])), problem.shape[0], 40)
    basis.append(basis.orthonormalise(basis.random(8)))
    zeros = torch.zeros(3, problem.shape[0], dtype=torch.float64)
    basis.detach(zeros)
    assert basis.orthonormalise(zeros).shape == (0, problem.shape[0])
