import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from tests.meshes import sphere

from pullback.geometry.eigenbasis import EigenbasisError, accuracy, solve_eigenproblem
from pullback.geometry.mesh import cotangent_stiffness, lumped_mass, normalise_area
from pullback.geometry.operators import compute_operators


def test_the_sparse_solver_agrees_with_the_dense_one(icosphere):
    verts, faces = icosphere
    verts = normalise_area(verts, faces)
    stiffness, mass = cotangent_stiffness(verts, faces), lumped_mass(verts, faces)
    evals, evecs = solve_eigenproblem(stiffness, mass, k=40)
    expected = scipy.linalg.eigh(stiffness.toarray(), np.diag(mass), eigvals_only=True)[:40]
    assert evals == pytest.approx(expected, abs=1e-7)
    assert np.allclose(evecs.T @ (mass[:, None] * evecs), np.eye(40), atol=1e-8)
    assert np.allclose(stiffness @ evecs, mass[:, None] * evecs * evals, atol=1e-6)


def test_spectrum_of_the_sphere_is_that_of_spherical_harmonics():
    verts, faces = sphere(4)
    operators = compute_operators(verts, faces, k=16)
    degrees = np.repeat([0, 1, 2, 3], [1, 3, 5, 7])
    # area 1: radius² = 1/4π
    assert operators.evals == pytest.approx(4 * np.pi * degrees * (degrees + 1), rel=0.02, abs=1e-8)


def test_the_same_mesh_gives_the_same_bits_twice(icosphere):
    first, second = (compute_operators(*icosphere, k=30) for _ in range(2))
    assert np.array_equal(first.evecs, second.evecs)


def test_the_entry_of_largest_magnitude_is_positive(icosphere):
    evecs = compute_operators(*icosphere, k=30).evecs
    assert (evecs.max(axis=0) >= -evecs.min(axis=0)).all()


def test_eigenvalues_are_ascending_and_not_negative(icosphere):
    evals = compute_operators(*icosphere, k=30).evals
    assert (evals >= 0).all()
    assert (np.diff(evals) >= 0).all()


def test_more_eigenfunctions_than_points_are_refused_with_both_numbers(icosphere):
    verts, faces = icosphere
    with pytest.raises(ValueError, match=rf"k={len(verts) + 1}.*{len(verts)} points"):
        compute_operators(verts, faces, k=len(verts) + 1)


def test_points_without_area_are_refused(icosphere):
    verts, faces = icosphere
    stiffness, mass = cotangent_stiffness(verts, faces), lumped_mass(verts, faces)
    mass[3] = 0
    with pytest.raises(ValueError, match=r"1 of .* points have no area"):
        solve_eigenproblem(stiffness, mass, k=5)


def test_operators_with_nan_are_reported_rather_than_returned():
    stiffness = sp.diags([np.arange(20.0)], [0]).tocsr()
    stiffness[3, 3] = np.nan
    with pytest.raises((EigenbasisError, ValueError)):
        solve_eigenproblem(stiffness, np.full(20, 1 / 20), k=3)


def test_the_robust_laplacian_has_nearly_the_same_spectrum_on_a_good_mesh(icosphere):
    pytest.importorskip("robust_laplacian", reason="needs the extra robust")
    plain, robust = (compute_operators(*icosphere, k=20, laplacian=name) for name in ("cotangent", "robust"))
    assert robust.evals == pytest.approx(plain.evals, rel=0.02, abs=1e-6)
    assert robust.mass.sum() == pytest.approx(1)


def test_an_unknown_laplacian_is_refused_by_name(icosphere):
    with pytest.raises(ValueError, match=r"laplacian='tufted' is unknown"):
        compute_operators(*icosphere, k=5, laplacian="tufted")


def operators_of(*meshes):
    """Stiffness and mass of meshes side by side, without a connection, of total area 1."""
    scaled = [normalise_area(verts, faces) for verts, faces in meshes]
    stiffness = sp.block_diag(
        [cotangent_stiffness(verts, faces) for verts, (_, faces) in zip(scaled, meshes, strict=True)]
    ).tocsr()
    mass = np.concatenate([lumped_mass(verts, faces) for verts, (_, faces) in zip(scaled, meshes, strict=True)])
    return stiffness, mass / mass.sum()


@pytest.mark.parametrize("solver", ["auto", "lanczos", "eigsh"])
def test_all_solvers_find_the_same_eigenspaces(solver):
    stiffness, mass = operators_of(sphere(3))
    evals, evecs = solve_eigenproblem(stiffness, mass, k=49, solver=solver)  # degrees 0 to 6, complete
    expected, vectors = solve_eigenproblem(stiffness, mass, k=49, solver="eigh")
    assert evals == pytest.approx(expected, abs=1e-8)
    outside = evecs - vectors @ (vectors.T @ (mass[:, None] * evecs))
    assert np.abs(outside).max() < 1e-6


def test_each_component_has_its_own_eigenfunctions():
    stiffness, mass = operators_of(sphere(3), sphere(3), sphere(2))
    evals, evecs = solve_eigenproblem(stiffness, mass, k=30)
    expected = scipy.linalg.eigh(stiffness.toarray(), np.diag(mass), eigvals_only=True)[:30]
    assert evals == pytest.approx(expected, abs=1e-8)
    on_component = [np.abs(part).max(axis=0) > 0 for part in np.split(evecs, [642, 1284])]
    assert (np.sum(on_component, axis=0) == 1).all()
    assert accuracy(stiffness, mass, evals, evecs).orthogonality < 1e-10


def test_more_components_than_eigenfunctions_give_functions_that_are_constant_on_one():
    stiffness, mass = operators_of(*[sphere(1)] * 12)
    evals, evecs = solve_eigenproblem(stiffness, mass, k=10, solver="lanczos")
    assert (evals == 0).all()
    assert ((evecs > 0).sum(axis=0) == 42).all()
    assert accuracy(stiffness, mass, evals, evecs).orthogonality < 1e-12


def test_needle_triangles_do_not_spoil_the_eigenfunctions():
    verts, faces = sphere(3)
    stiffness, mass = operators_of((verts * [1, 1, 1e-4], faces))
    evals, evecs = solve_eigenproblem(stiffness, mass, k=20)
    assert evals == pytest.approx(solve_eigenproblem(stiffness, mass, k=20, solver="eigh")[0], rel=1e-6, abs=1e-6)
    assert accuracy(stiffness, mass, evals, evecs).residual < 1e-6


def test_the_accuracy_is_that_of_its_definition():
    stiffness, mass = operators_of(sphere(2))
    evals, evecs = solve_eigenproblem(stiffness, mass, k=20)
    good = accuracy(stiffness, mass, evals, evecs)
    assert good.residual < 1e-9
    assert good.orthogonality < 1e-10
    evecs[:, 3] *= 1.001
    assert accuracy(stiffness, mass, evals, evecs).orthogonality == pytest.approx(1.001**2 - 1)
    shifted = evals + 1e-3 * evals[-1]  # ‖S φ - (λ + δ) M φ‖ = δ ‖M φ‖, which is δ in the norm of the inverse mass
    assert accuracy(stiffness, mass, shifted, evecs).residual == pytest.approx(1e-3, rel=1e-2)


def test_a_matrix_that_is_not_positive_semidefinite_is_refused():
    stiffness, mass = operators_of(sphere(3))
    with pytest.raises((EigenbasisError, ValueError), match=r"positive|factorise"):
        solve_eigenproblem(-stiffness, mass, k=10)


def test_an_unknown_solver_is_refused_with_the_choices():
    stiffness, mass = operators_of(sphere(2))
    with pytest.raises(ValueError, match="solver='arpack' is unknown: choose auto, lanczos, eigh, eigsh, lobpcg"):
        solve_eigenproblem(stiffness, mass, k=10, solver="arpack")
