"""The graph of patches against a slow dense twin and closed forms."""

import math

import numpy as np
import pytest
import torch

from pullback.geometry.eigenbasis import eigen_residual, householder_signs, solve_eigenproblem
from pullback.geometry.grid import edge_weights, grid_basis, grid_edges, grid_laplacian

GRID = (7, 5)


@pytest.fixture(scope="module")
def feat():
    return torch.randn(35, 6, generator=torch.Generator().manual_seed(0))


def slow_edges(rows, columns, patches):
    """Pairs of places in ``patches`` whose patches touch, by looking at all pairs."""
    at = [divmod(int(patch), columns) for patch in patches]
    touching = [
        (i, j) for i in range(len(at)) for j in range(i) if abs(at[i][0] - at[j][0]) + abs(at[i][1] - at[j][1]) == 1
    ]
    return {(j, i) for i, j in touching}


def slow_laplacian(feat, grid, weights, normalisation, patches):
    """Dense, edge by edge, from the formulas as they are written down."""
    feat = feat.double().numpy()
    edges = sorted(slow_edges(*grid, patches))
    dist = np.array([np.linalg.norm(feat[i] - feat[j]) for i, j in edges])
    if weights == "exponential":
        weight = [math.exp(-d / np.median(dist)) for d in dist]
    elif weights == "release":
        drawn = dist.mean() + (dist - dist.mean()) / 5
        sigma2 = 2 * np.median(drawn) ** 2
        weight = [math.exp(-(d**2) / sigma2) * math.exp(-1 / 2) for d in drawn]
    else:
        weight = [1.0] * len(edges)
    adjacency = np.zeros((len(feat), len(feat)))
    for (i, j), w in zip(edges, weight, strict=True):
        adjacency[i, j] = adjacency[j, i] = w
    degree = adjacency.sum(axis=1)
    if normalisation == "none":
        return np.diag(degree) - adjacency
    root = np.where(degree > 0, np.where(degree > 0, degree, 1) ** -0.5, 0)
    return np.diag((degree > 0).astype(float)) - root[:, None] * adjacency * root


@pytest.mark.parametrize("patches", [None, [0, 1, 2, 5, 9, 10, 14, 16, 17, 21, 22, 33]], ids=["whole", "mask"])
def test_edges_join_patches_that_touch(patches):
    found = grid_edges(GRID, patches=None if patches is None else torch.tensor(patches))
    assert {tuple(edge) for edge in found.T.tolist()} == slow_edges(*GRID, range(35) if patches is None else patches)
    assert found.shape[1] == len(set(map(tuple, found.T.tolist())))


@pytest.mark.parametrize("weights", ["exponential", "release", "uniform"])
@pytest.mark.parametrize("normalisation", ["sym", "none"])
@pytest.mark.parametrize("patches", [None, [0, 1, 2, 5, 9, 10, 14, 16, 17, 21, 22, 33]], ids=["whole", "mask"])
def test_the_laplacian_is_that_of_the_slow_dense_twin(feat, weights, normalisation, patches):
    index = torch.arange(35) if patches is None else torch.tensor(patches)
    graph = None if patches is None else index
    found = grid_laplacian(feat[index], GRID, weights=weights, normalisation=normalisation, patches=graph)
    expected = slow_laplacian(feat[index], GRID, weights, normalisation, index)
    assert found.dtype == np.float64
    assert np.allclose(found.toarray(), expected, atol=1e-12)


def test_a_photograph_of_one_colour_has_equal_weights():
    edges = grid_edges(GRID)
    for kind in ("exponential", "release"):
        assert torch.equal(
            edge_weights(torch.ones(35, 4), edges, kind=kind), torch.ones(edges.shape[1], dtype=torch.float64)
        )


def test_a_mostly_flat_photograph_keeps_finite_weights_that_fall_with_distance():
    feat = torch.zeros(35, 1)
    feat[0], feat[34] = 1, 3
    for kind in ("exponential", "release"):
        weight = edge_weights(feat, grid_edges(GRID), kind=kind)
        assert weight.isfinite().all() and weight.max() <= 1
        assert weight[0] < weight[1] and weight[-1] < weight[0]


def test_features_that_are_not_numbers_are_refused(feat):
    broken = feat.clone()
    broken[3, 2] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        grid_basis(broken, GRID, k=5)


def test_the_uniform_unnormalised_spectrum_is_that_of_two_paths():
    basis = grid_basis(torch.zeros(20 * 23, 1), (20, 23), k=30, weights="uniform", normalisation="none")
    path = [2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in (20, 23)]
    expected = np.sort((path[0][:, None] + path[1]).ravel())[:30]
    assert basis.evals.numpy() == pytest.approx(expected, abs=1e-6)


def test_the_first_normalised_eigenfunction_is_the_root_of_the_degree(feat):
    basis = grid_basis(feat, GRID, k=4)
    root = np.sqrt(grid_laplacian(feat, GRID, normalisation="none").diagonal())
    assert np.allclose(basis.evecs[:, 0].numpy(), root / np.linalg.norm(root), atol=1e-6)
    assert basis.evals.min() >= 0 and basis.evals.max() <= 2


def test_all_solvers_find_one_spectrum_and_orthonormal_functions():
    grid = (21, 22)
    feat = torch.randn(462, 8, generator=torch.Generator().manual_seed(1))
    laplacian, mass = grid_laplacian(feat, grid), np.ones(462)
    dense, _ = solve_eigenproblem(laplacian, mass, k=40, solver="eigh")
    for solver, tolerance in (("eigsh", 1e-12), ("lobpcg", 1e-3)):
        evals, evecs = solve_eigenproblem(laplacian, mass, k=40, solver=solver)
        assert evals == pytest.approx(dense, abs=tolerance)
        assert np.allclose(evecs.T @ evecs, np.eye(40), atol=1e-5)
        assert eigen_residual(laplacian, mass, evals, evecs) < 100 * tolerance


def test_repeated_eigenvalues_are_all_found():
    laplacian = grid_laplacian(torch.zeros(900, 1), (30, 30), weights="uniform")
    evals, evecs = solve_eigenproblem(laplacian, np.ones(900), k=100, solver="eigsh")
    expected = np.linalg.eigvalsh(laplacian.toarray())[:100]
    assert (np.diff(expected) < 1e-12).sum() > 30
    assert evals == pytest.approx(expected, abs=1e-12)
    assert np.allclose(evecs.T @ evecs, np.eye(100), atol=1e-10)


def test_a_mask_in_many_pieces_has_one_zero_eigenvalue_for_each_and_the_spectrum_of_the_whole():
    inside = torch.rand(40, 40, generator=torch.Generator().manual_seed(0)) < 0.55
    patches = inside.flatten().nonzero()[:, 0]
    feat = torch.randn(len(patches), 3, generator=torch.Generator().manual_seed(1))
    laplacian = grid_laplacian(feat, (40, 40), patches=patches).toarray()
    expected = np.linalg.eigvalsh(laplacian)[:120]
    assert (expected < 1e-10).sum() > 20
    for solver in ("eigsh", "eigh"):
        basis = grid_basis(feat, (40, 40), k=120, patches=patches, solver=solver)
        evecs = basis.evecs.double().numpy()
        assert basis.evals.numpy() == pytest.approx(expected, abs=1e-6)
        assert np.allclose(evecs.T @ evecs, np.eye(120), atol=1e-5)
        assert np.abs(laplacian @ evecs - evecs * basis.evals.numpy()).max() < 1e-5


def test_a_patch_on_its_own_is_a_component_and_not_a_high_frequency(feat):
    basis = grid_basis(feat[:3], (3, 3), k=3, patches=torch.tensor([0, 1, 8]))
    assert basis.evals.tolist() == pytest.approx([0, 0, 2], abs=1e-6)
    assert sorted(basis.evecs.abs().amax(dim=1).tolist()) == pytest.approx([0.5**0.5, 0.5**0.5, 1], abs=1e-6)


@pytest.mark.parametrize("solver", ["eigsh", "eigh", "lobpcg"])
def test_the_same_photograph_gives_the_same_bits_with_the_largest_entries_positive(solver):
    feat = torch.randn(400, 5, generator=torch.Generator().manual_seed(2))
    first, second = (grid_basis(feat, (20, 20), k=25, solver=solver) for _ in range(2))
    assert torch.equal(first.evecs, second.evecs)
    assert (first.evecs.amax(dim=0) >= -first.evecs.amin(dim=0)).all()


def test_patches_numbered_in_a_transposed_photograph_have_the_same_eigenfunctions():
    feat = torch.randn(12, 9, 4, generator=torch.Generator().manual_seed(3))
    upright = grid_basis(feat.reshape(-1, 4), (12, 9), k=20)
    lying = grid_basis(feat.transpose(0, 1).reshape(-1, 4), (9, 12), k=20)
    moved = lying.evecs.view(9, 12, 20).transpose(0, 1).reshape(-1, 20)
    assert torch.allclose(upright.evals, lying.evals, atol=1e-6)
    assert torch.allclose(upright.evecs, moved, atol=1e-4)


def nearly_plain(seed):
    """A chessboard of 9 × 13 patches whose edges differ by thousandths: a cosine is as large at both ends."""
    noise = torch.randn(117, 1, generator=torch.Generator().manual_seed(seed))
    return (torch.arange(117) % 2)[:, None] + 1e-3 * noise


def test_signs_of_a_qr_decomposition_agree_between_nearly_equal_graphs_and_largest_entries_do_not():
    products = {}
    for signs in ("qr", "largest"):
        bases = [grid_basis(nearly_plain(seed), (9, 13), k=12, signs=signs) for seed in range(6)]
        products[signs] = torch.stack([(bases[0].evecs * basis.evecs).sum(dim=0) for basis in bases[1:]])
    assert products["qr"].min() > 0.9
    assert products["largest"].min() < -0.9


def test_the_rule_of_signs_changes_signs_alone(feat):
    usual, released = (grid_basis(feat, GRID, k=20, signs=signs) for signs in ("largest", "qr"))
    assert torch.equal(usual.evals, released.evals)
    assert torch.equal(usual.evecs.abs(), released.evecs.abs())
    assert not torch.equal(usual.evecs, released.evecs)


def test_signs_of_a_qr_decomposition_make_it_the_identity():
    basis = grid_basis(nearly_plain(3), (9, 13), k=20, signs="qr")
    assert torch.allclose(torch.linalg.qr(basis.evecs).Q, basis.evecs, atol=1e-5)


@pytest.mark.parametrize("case", ["all eigenfunctions", "pieces", "lone patches", "repeated eigenvalues"])
def test_signs_of_a_qr_decomposition_do_not_depend_on_those_before(case):
    pieces = torch.tensor([0, 1, 3, 4, 7, 9, 10, 11])
    evecs = (
        {
            "all eigenfunctions": lambda: grid_basis(nearly_plain(4)[:15], (3, 5), k=15),
            "pieces": lambda: grid_basis(nearly_plain(4)[:8], (3, 4), k=8, patches=pieces),
            "lone patches": lambda: grid_basis(torch.ones(3, 1), (3, 3), k=3, patches=torch.tensor([0, 4, 8])),
            "repeated eigenvalues": lambda: grid_basis(torch.ones(64, 1), (8, 8), k=20, weights="uniform"),
        }[case]()
        .evecs.double()
        .numpy()
    )
    signs = householder_signs(evecs)
    assert set(signs) <= {-1.0, 1.0}
    flips = np.where(np.random.default_rng(0).random(evecs.shape[1]) < 0.5, -1.0, 1.0)
    assert np.array_equal(evecs * signs, (evecs * flips) * householder_signs(evecs * flips))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 36}, r"k=36 .*35 patches.*at most 35"),
        ({"k": 5, "weights": "gaussian"}, r"weights='gaussian' is unknown"),
        ({"k": 5, "normalisation": "rw"}, r"normalisation='rw' is unknown"),
        ({"k": 5, "signs": "first"}, r"signs='first' is unknown: choose largest or qr"),
        ({"k": 5, "solver": "arpack"}, r"solver='arpack' is unknown"),
        ({"k": 12, "solver": "lobpcg"}, r"3k points, and k=12 but there are 35; use k=11"),
        ({"k": 5, "patches": torch.arange(30)}, r"features of 35 patches do not fit a graph of 30"),
        ({"k": 5, "patches": torch.arange(35).flip(0)}, r"ascending indices of a 7 x 5 grid"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_to_do(feat, options, message):
    with pytest.raises(ValueError, match=message):
        grid_basis(feat, GRID, **options)
