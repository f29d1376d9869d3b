"""The same surface, badly triangulated: its spectrum, gradients, distances and maps stay what they were."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from tests.meshes import sphere
from tests.slivers import KINDS, beads, caps, fan, filled_caps, needles, tube

from pullback.data.mesh.io import read_mesh
from pullback.geometry import eigenbasis
from pullback.geometry.cleaning import MeshError, clean_mesh
from pullback.geometry.descriptors import wave_kernel_signature
from pullback.geometry.geodesic import METHODS, geodesic_rows
from pullback.geometry.lanczos import ConvergenceError
from pullback.geometry.mesh import cotangent_stiffness, lumped_mass, normalise_area, slender_faces, vertex_normals
from pullback.geometry.operators import compute_operators
from pullback.solvers.zoomout import ZoomOut
from pullback.types import Eigenbasis

HUMAN = Path(__file__).parents[2] / "data" / "humans" / "off" / "human_000.off"


def operators_of(verts, faces, **settings):
    mesh = clean_mesh(verts, faces, name="scan.off", components="largest")
    return compute_operators(mesh.verts, mesh.faces, **{"k": 100, **settings})


@pytest.fixture(scope="module")
def body():
    return read_mesh(HUMAN)


@pytest.fixture(scope="module")
def expected(body):
    return operators_of(*body)


@pytest.fixture(scope="module")
def smooth(icosphere):
    return operators_of(*icosphere, k=40)


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("kind", KINDS)
def test_slivers_leave_the_spectrum_and_the_gradients_of_the_surface(icosphere, smooth, kind, size):
    found = operators_of(*KINDS[kind](*icosphere, count=5, size=size), k=40)
    assert found.evals[1:] == pytest.approx(smooth.evals[1:], rel=0.01)
    for gradient, good in ((found.grad_x, smooth.grad_x), (found.grad_y, smooth.grad_y)):
        assert np.abs(gradient @ found.verts).max() < 2  # of the coordinates, at most 1 on a flat surface
        assert np.abs(gradient.data).max() < 10 * np.abs(good.data).max()


@pytest.mark.parametrize(("kind", "count"), [(beads, 1), (beads, 250), (filled_caps, 20), (caps, 250)])
def test_one_sliver_or_hundreds_leave_the_spectrum_of_a_body(body, expected, kind, count):
    assert operators_of(*kind(*body, count=count, size=1e-9)).evals[1:] == pytest.approx(expected.evals[1:], rel=0.01)


@pytest.mark.parametrize("kind", [beads, filled_caps])
def test_a_body_with_slivers_is_mapped_to_itself(body, kind):
    """Original vertices land on themselves to 1 % of the diagonal."""
    verts, faces = body
    first, second = (operators_of(*mesh, k=60) for mesh in (body, kind(verts, faces, count=20, size=1e-9)))
    basis1, basis2 = (
        Eigenbasis(*(torch.from_numpy(values).float() for values in (o.evals, o.evecs, o.mass)))
        for o in (first, second)
    )
    features = (wave_kernel_signature(basis) for basis in (basis1, basis2))
    p2p21 = ZoomOut(k_init=20, step=20, n_steps=2)(*features, basis1, basis2).p2p21.numpy()
    moved = np.linalg.norm(verts[p2p21[: len(verts)]] - verts, axis=1)
    assert moved.mean() < 0.01 * np.linalg.norm(np.ptp(verts, axis=0))


@pytest.mark.parametrize("method", METHODS)
def test_distances_on_slivers_are_those_of_the_surface(body, expected, method):
    found = operators_of(*beads(*body, count=20, size=1e-9), k=2)
    sources = np.array([5, len(found.verts) - 1])
    rows, good = (
        geodesic_rows(found.verts, found.faces, sources, method=method),
        geodesic_rows(expected.verts, expected.faces, sources[:1], method=method),
    )
    assert np.isfinite(rows).all()
    assert rows[0, : len(expected.verts)] == pytest.approx(good[0], abs=0.02)


@pytest.mark.parametrize("size", [1e-4, 1e-8])
def test_the_iteration_agrees_with_dense_algebra_on_slivers(icosphere, size):
    verts, faces = beads(*icosphere, count=5, size=size)
    verts = normalise_area(verts, faces)
    stiffness, mass = cotangent_stiffness(verts, faces), lumped_mass(verts, faces)
    evals, _ = eigenbasis.solve_eigenproblem(stiffness, mass, k=60, solver="lanczos")
    assert evals == pytest.approx(
        scipy.linalg.eigh(stiffness.toarray(), np.diag(mass), eigvals_only=True)[:60], rel=1e-5, abs=1e-3
    )


@pytest.mark.parametrize("place", [0, 0.3, 0.5, 1e-9])
def test_mollified_edges_keep_a_margin_and_bound_the_cotangents(place):
    verts, faces = np.array([[0, 0, 0], [2, 0, 0], [2 * place, 0, 0]], dtype=float), np.array([[0, 1, 2]])
    slender = slender_faces(verts, faces)
    lengths = np.sort(slender.lengths[0])
    assert lengths.sum() - 2 * lengths[2] >= 0.99e-5 * lengths[2]
    assert np.abs(cotangent_stiffness(verts, faces).toarray()).max() < 1e5
    assert (lumped_mass(verts, faces) > 0).all()


def test_stiffness_on_slivers_is_positive_semi_definite_with_rows_of_sum_0():
    verts, faces = filled_caps(*sphere(2), count=5, size=0)
    stiffness = cotangent_stiffness(verts, faces).toarray()
    assert np.linalg.eigvalsh(stiffness).min() > -1e-9
    assert np.abs(stiffness.sum(axis=1)).max() < 1e-9


def test_good_faces_do_not_notice_the_slivers_beside_them():
    """Not one bit of the entries of other faces changes."""
    verts, faces = sphere(2)
    assert not len(slender_faces(verts, faces).number)
    apart = np.concatenate([verts, [[9, 0, 0], [9, 1, 0], [9, 0.5, 0]]])
    n, flat = len(verts), [[len(verts), len(verts) + 1, len(verts) + 2]]
    together = cotangent_stiffness(apart, np.concatenate([faces, flat]))
    assert (together[:n, :n] != cotangent_stiffness(verts, faces)).nnz == 0


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_tiny_and_huge_meshes_have_the_spectrum_of_their_shape(icosphere, smooth, scale):
    verts, faces = icosphere
    assert operators_of(scale * verts, faces, k=40).evals == pytest.approx(smooth.evals, abs=1e-6)


def test_a_small_well_shaped_part_counts_in_full():
    """Its triangles are far below the mean area, but not slivers."""
    verts, faces = sphere(2)
    small = slender_faces(np.concatenate([verts, 1e-9 * verts]), np.concatenate([faces, faces + len(verts)]))
    assert not len(small.number)


@pytest.mark.parametrize(
    "mesh",
    [fan(3000), fan(1000, height=1e-9), fan(1000, height=1e4), tube(6, 200, length=1e4), tube(300, 2, length=1e5)],
)
@pytest.mark.parametrize("basis", ["exact", "sampled"])
def test_spokes_and_long_thin_bodies_have_operators(mesh, basis):
    found = operators_of(*mesh, k=30, basis=basis, samples=200)
    for values in (found.evals, found.evecs, found.mass, found.grad_x.data, found.grad_y.data):
        assert np.isfinite(values).all()


def test_a_vertex_far_away_leaves_a_sampled_basis_possible_and_the_note_says_which_one_it_is(icosphere):
    verts, faces = icosphere
    found = operators_of(
        np.where(np.arange(len(verts))[:, None] == 7, 1e6, verts), faces, basis="sampled", samples=300, k=20
    )
    assert any("exact eigenfunctions were computed" in note for note in found.notes)


def test_slender_faces_are_said(body):
    assert operators_of(*body, k=2).notes == ()
    assert operators_of(*needles(*body, count=3, size=1e-7), k=2).notes[0].startswith("6 slender faces")


@pytest.mark.parametrize("scale", [1e-80, 1e90])
def test_coordinates_beyond_arithmetic_are_refused(scale):
    verts, faces = sphere(1)
    with pytest.raises(MeshError, match=r"scan\.off: the coordinates span .* Scale the mesh"):
        clean_mesh(scale * verts, faces, name="scan.off")


def test_vertices_amid_flat_faces_stay_and_have_the_normals_of_their_neighbours():
    verts, faces = filled_caps(*sphere(2), count=3, size=0)
    mesh = clean_mesh(verts, faces, name="scan.off")
    assert len(mesh.verts) == len(verts)
    normals = vertex_normals(mesh.verts, mesh.faces)
    assert ((normals * mesh.verts).sum(axis=1) > 0.8).all()


def test_where_lanczos_gets_nowhere_another_solver_finds_the_spectrum(icosphere, monkeypatch, caplog):
    def nowhere(matrix, k):
        raise ConvergenceError("no progress")

    verts, faces = icosphere
    stiffness, mass = cotangent_stiffness(verts, faces), lumped_mass(verts, faces)
    good = eigenbasis.solve_eigenproblem(stiffness, mass, k=20)[0]
    monkeypatch.setattr(eigenbasis, "smallest_eigenpairs", nowhere)
    assert eigenbasis.solve_eigenproblem(stiffness, mass, k=20)[0] == pytest.approx(good, abs=1e-8)
    assert "trying scipy's eigsh" in caplog.text
