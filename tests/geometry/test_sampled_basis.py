"""Eigenfunctions from local functions: what the functions are, how near the result is, and where it is exact."""

import numpy as np
import pytest
from tests.meshes import plane, sphere

from pullback.geometry.eigenbasis import solve_eigenproblem
from pullback.geometry.local_functions import local_functions
from pullback.geometry.mesh import cotangent_stiffness, lumped_mass, normalise_area
from pullback.geometry.operators import compute_operators
from pullback.geometry.point_sample import sample_points
from pullback.geometry.sampled_basis import sampled_eigenproblem


def problem(verts, faces, count):
    verts = normalise_area(verts, faces)
    stiffness, mass = cotangent_stiffness(verts, faces), lumped_mass(verts, faces)
    return verts, faces, stiffness, mass, sample_points(verts, faces, mass, count=count)[0]


@pytest.fixture(scope="module")
def potato():
    verts, faces = sphere(4)
    radius = 1 + 0.15 * np.sin(2 * verts[:, 0] + 0.5) + 0.1 * np.cos(3 * verts[:, 1] - verts[:, 2])
    return verts * radius[:, None] * [1.0, 1.3, 1.7], faces


def test_the_local_functions_are_a_partition_of_unity_around_their_points(potato):
    verts, faces, _, _, points = problem(*potato, 300)
    bumps = local_functions(verts, faces, points)
    assert bumps.shape == (len(verts), 300)
    assert bumps.data.min() > 0
    assert np.allclose(bumps.sum(axis=1), 1)
    assert 8 < bumps.nnz / len(verts) < 20
    rows, columns = bumps.nonzero()
    dist = np.linalg.norm(verts[rows] - verts[points[columns]], axis=1)
    assert dist.max() <= 4 / np.sqrt(np.pi * 300) + 1e-9
    peak = np.asarray(bumps[points].argmax(axis=1)).ravel()
    assert (peak == np.arange(300)).all()


def test_local_functions_do_not_leap_to_a_sheet_nearby():
    verts, faces = plane(20)
    n = len(verts)
    verts, faces = np.concatenate([verts, verts + np.array([0, 0, 0.01])]), np.concatenate([faces, faces + n])
    verts, faces, _, _, points = problem(verts, faces, 80)
    rows, columns = local_functions(verts, faces, points).nonzero()
    assert ((rows < n) == (points[columns] < n)).all()


def test_vertices_far_from_all_points_are_covered(potato):
    verts, faces, *_ = problem(*potato, 300)
    crowded = np.argsort(verts[:, 2])[:300:10]  # one end of the shape
    bumps = local_functions(verts, faces, np.sort(crowded))
    assert np.allclose(bumps.sum(axis=1), 1)


def test_the_approximation_is_close_from_above_and_orthonormal(potato):
    verts, faces, stiffness, mass, points = problem(*potato, 500)
    exact, functions = solve_eigenproblem(stiffness, mass, k=30)
    evals, evecs = sampled_eigenproblem(verts, faces, stiffness, mass, points, k=30)
    assert np.abs(evecs.T @ (mass[:, None] * evecs) - np.eye(30)).max() < 1e-12
    assert evals[0] == pytest.approx(0, abs=1e-8)
    assert (evals >= exact - 1e-8).all()
    assert ((evals[1:] - exact[1:]) / exact[1:]).max() < 0.02
    overlap = np.linalg.svd(functions[:, :20].T @ (mass[:, None] * evecs), compute_uv=False)
    assert overlap.min() > 0.999
    assert (evecs[np.abs(evecs).argmax(axis=0), np.arange(30)] > 0).all()


def test_more_points_come_nearer_to_the_exact_spectrum(potato):
    exact = solve_eigenproblem(*problem(*potato, 1)[2:4], k=30)[0]
    errors = [
        (sampled_eigenproblem(*problem(*potato, count), k=30)[0] - exact)[1:] / exact[1:] for count in (50, 150, 1000)
    ]
    assert errors[0].mean() > 2 * errors[1].mean() > 4 * errors[2].mean()


def test_with_all_vertices_as_points_the_spectrum_is_exact(potato):
    verts, faces, stiffness, mass, _ = problem(*potato, 1)
    evals, evecs = sampled_eigenproblem(verts, faces, stiffness, mass, np.arange(len(verts)), k=25)
    exact, functions = solve_eigenproblem(stiffness, mass, k=25)
    assert np.array_equal(evals, exact) and np.array_equal(evecs, functions)


def test_each_piece_has_its_own_constant_function():
    verts, faces = sphere(3)
    verts, faces = np.concatenate([verts, verts + np.array([3, 0, 0])]), np.concatenate([faces, faces + len(verts)])
    verts, faces, stiffness, mass, points = problem(verts, faces, 200)
    evals, _ = sampled_eigenproblem(verts, faces, stiffness, mass, points, k=5)
    assert (evals[:2] < 1e-8).all() and evals[2] > 1


def test_too_few_points_are_refused(potato):
    with pytest.raises(ValueError, match=r"20 points span no 30 eigenfunctions; use data\.samples="):
        sampled_eigenproblem(*problem(*potato, 20), k=30)


def test_the_operators_take_either_basis_and_carry_the_sample(potato):
    exact, sampled = (compute_operators(*potato, k=20, samples=400, basis=basis) for basis in ("exact", "sampled"))
    assert np.array_equal(exact.sample_points, sampled.sample_points) and len(exact.sample_points) == 400
    assert exact.sample_mass.sum() == pytest.approx(1)
    assert 0 < np.abs(exact.evals - sampled.evals).max() < 0.02 * exact.evals[-1]
    with pytest.raises(ValueError, match="basis='rough' is unknown; use one of exact, sampled"):
        compute_operators(*potato, k=20, basis="rough")
