import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from tests.meshes import sphere

from pullback.geometry.eigenbasis import EigenbasisError, solve_eigenproblem
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
    assert operators.evals == pytest.approx(4 * np.pi * degrees * (degrees + 1), rel=0.02, abs=1e-8)  # area 1: radius² = 1/4π


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
