"""Meshes finer than the picture are drawn from fewer triangles, and look the same."""

import numpy as np
from tests.figures.looks import BLUE, RED, Mesh, render
from tests.meshes import sphere

from pullback.figures import scene as stage
from pullback.figures import surface
from pullback.figures.fmap import draw_features
from pullback.figures.scene import Scene
from pullback.figures.surface import simplification
from pullback.figures.thinning import thin
from pullback.geometry.connectivity import is_closed_manifold
from pullback.geometry.mesh import face_areas


def test_one_vertex_is_left_in_each_cube_and_the_surface_keeps_together():
    verts, faces = sphere(4)
    ids, thinned, face_ids = thin(verts, faces, cell=0.1)
    cubes = np.floor((verts - verts.min(axis=0)) / 0.1)
    assert len(ids) == len(np.unique(cubes, axis=0)) == len(np.unique(cubes[ids], axis=0))
    assert len(thinned) == len(face_ids) < 0.6 * len(faces)
    assert (cubes[faces[face_ids]] == cubes[ids[thinned]]).all()
    assert abs(face_areas(verts[ids], thinned).sum() / face_areas(verts, faces).sum() - 1) < 0.1


def test_cubes_smaller_than_all_edges_leave_the_mesh_as_it_is():
    verts, faces = sphere(2)
    ids, thinned, face_ids = thin(verts, faces, cell=0.01)
    np.testing.assert_array_equal(ids[thinned], faces)
    assert is_closed_manifold(thinned) and len(face_ids) == len(faces)


def test_the_picture_of_a_thinned_mesh_looks_like_that_of_the_whole(monkeypatch):
    verts, faces = sphere(5)
    by_vertex, by_face = (
        np.where(verts[:, [0]] < 0, RED, BLUE),
        np.where(verts[faces].mean(axis=1)[:, [0]] < 0, RED, BLUE),
    )
    for colors in (by_vertex, by_face):
        whole = render(verts, faces, colors, width=40, height=50)
        with monkeypatch.context() as patch:
            patch.setattr(surface, "MANY_FACES", 1000)
            thinned = render(verts, faces, colors, width=40, height=50)
        assert not np.array_equal(thinned, whole)
        assert np.abs(thinned.astype(int) - whole).mean() < 4


def test_feature_pictures_of_a_huge_mesh_draw_fewer_triangles(monkeypatch):
    mesh, drawn = Mesh(*sphere(5)), []
    feat = mesh.verts[:, [0, 1]]
    monkeypatch.setattr(stage, "MANY_FACES", 1000)
    original = Scene.lit
    monkeypatch.setattr(Scene, "lit", lambda self, mesh: drawn.append(len(mesh.faces)) or original(self, mesh))
    monkeypatch.setattr(stage, "SAMPLES", 0.1)  # coarse pictures, so that a small mesh is too fine for them
    pictures = draw_features(mesh, mesh, feat, feat, count=2)
    assert len(pictures) == 2 and len(drawn) == 2  # both pictures of a mesh in one light
    assert max(drawn) < len(mesh.faces) / 2


def test_a_report_says_when_its_pictures_are_simplified(monkeypatch):
    mesh = Mesh(*sphere(2))
    assert simplification(mesh, mesh) == ""
    monkeypatch.setattr(surface, "MANY_FACES", 100)
    assert "320 triangles" in simplification(mesh)
