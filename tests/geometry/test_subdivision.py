import numpy as np
from tests.meshes import plane, sphere

from pullback.geometry.mesh import face_areas, face_normals_times_twice_area
from pullback.geometry.subdivision import subdivide


def test_every_edge_gets_one_vertex_and_every_face_becomes_four():
    verts, faces = sphere(1)  # 42 vertices, 120 edges, 80 faces
    finer, split = subdivide(verts, faces)
    assert (len(finer), len(split)) == (42 + 120, 320)
    assert np.array_equal(finer[:42], verts)
    assert len(np.unique(finer, axis=0)) == len(finer)
    assert split.dtype == faces.dtype


def test_the_new_vertices_are_the_midpoints_of_edges():
    verts, faces = np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]]), np.array([[0, 1, 2]])
    finer, _ = subdivide(verts, faces)
    assert sorted(map(tuple, finer[3:])) == [(0, 1, 0), (1, 0, 0), (1, 1, 0)]


def test_the_surface_and_the_orientation_of_its_faces_stay():
    verts, faces = plane(4)
    finer, split = subdivide(verts, faces)
    assert np.isclose(face_areas(finer, split).sum(), 1)
    assert (face_normals_times_twice_area(finer, split)[:, 2] > 0).all()
    assert np.allclose(face_areas(finer, split), np.repeat(face_areas(verts, faces)[None], 4, axis=0).ravel() / 4)


def test_numbers_and_rows_at_the_vertices_are_halved_between_as_the_vertices_are():
    verts, faces = plane(3)
    finer, split = subdivide(verts, faces)
    for values in (verts @ [2.0, -1.0, 0.5], np.column_stack([verts, verts]).astype(np.float32)):
        carried, again = subdivide(values, faces)
        assert np.array_equal(again, split) and carried.dtype == values.dtype
        exact = finer @ [2.0, -1.0, 0.5] if values.ndim == 1 else np.column_stack([finer, finer])
        assert np.allclose(carried, exact)
