"""Simplified copies of meshes: how many vertices, and what must not be lost."""

import numpy as np
import pytest
from tests.meshes import plane

from pullback.geometry.coarsening import coarsen, nearest_vertices
from pullback.geometry.connectivity import component_labels, euler_characteristic, is_closed_manifold
from pullback.geometry.mesh import face_areas


@pytest.mark.parametrize("target", [100, 200, 400])
def test_a_closed_mesh_stays_a_closed_manifold_of_about_the_asked_size(icosphere, target):
    verts, faces, notes = coarsen(*icosphere, target)
    assert is_closed_manifold(faces)
    assert euler_characteristic(faces) == 2
    assert abs(len(verts) - target) <= 0.03 * target
    assert notes == []


def test_the_surface_stays_where_it_was_and_keeps_its_sense(icosphere):
    verts, faces, _ = coarsen(*icosphere, 200)
    area, area_before = face_areas(verts, faces).sum(), face_areas(*icosphere).sum()
    assert area == pytest.approx(area_before, rel=0.03)
    a, b, c = (verts[faces[:, i]] for i in range(3))
    # a star-shaped body seen from its middle
    assert (np.einsum("fd,fd->f", np.cross(b - a, c - a), a + b + c) > 0).all()


def test_the_size_of_the_mesh_does_not_matter(icosphere):
    verts, faces = icosphere
    small, small_faces, _ = coarsen(verts * 1e-3, faces, 200)
    large, large_faces, _ = coarsen(verts * 1e3, faces, 200)
    assert len(small) == len(large)
    assert is_closed_manifold(small_faces)
    assert is_closed_manifold(large_faces)


def test_a_mesh_that_is_small_enough_is_returned_as_it_is(icosphere):
    verts, faces, notes = coarsen(*icosphere, 642)
    assert verts is icosphere[0]
    assert faces is icosphere[1]
    assert notes == []


def test_what_cannot_be_simplified_is_returned_whole_with_a_note(icosphere):
    verts, _, notes = coarsen(*icosphere, 1)
    assert len(verts) >= 4
    assert "not 1" in notes[0] or "could not be simplified" in notes[0]


def test_an_open_sheet_stays_one_open_piece():
    verts, faces, _ = coarsen(*plane(20), 100)
    assert euler_characteristic(faces) == 1
    assert component_labels(faces).max() == 0
    assert len(verts) <= 120  # faces are counted, and the border has many vertices for its faces


def test_ground_truth_moves_to_the_nearest_vertex(icosphere):
    verts, _, _ = coarsen(*icosphere, 100)
    expected = [np.linalg.norm(verts - vertex, axis=1).argmin() for vertex in icosphere[0]]
    assert nearest_vertices(icosphere[0], verts).tolist() == expected


def test_a_triangle_that_hangs_on_an_edge_does_not_keep_a_surface_from_being_simplified(icosphere):
    verts, faces = icosphere
    fin = np.array([[faces[0, 0], faces[0, 1], len(verts)]])
    verts, faces = np.concatenate([verts, verts[faces[0, :1]] * 1.02]), np.concatenate([faces, fin])
    coarse_verts, coarse_faces, notes = coarsen(verts, faces, 200)
    assert 190 <= len(coarse_verts) <= 210 and is_closed_manifold(coarse_faces)
    assert notes == ["1 triangles that hung on edges of three or more were dropped before it was simplified"]


def test_a_hole_of_a_few_edges_may_close(icosphere):
    verts, faces = icosphere
    coarse_verts, coarse_faces, notes = coarsen(verts, faces[1:], 200)
    assert 190 <= len(coarse_verts) <= 210 and notes == [] and component_labels(coarse_faces).max() == 0
