"""Bad meshes of every kind: what is repaired, what is refused, and what is said about it."""

import numpy as np
import pytest
from tests.meshes import plane, sphere

from pullback.geometry.cleaning import MeshError, clean_mesh
from pullback.geometry.connectivity import is_closed_manifold
from pullback.geometry.mesh import cotangent_stiffness, lumped_mass


def enclosed_volume(verts, faces):
    a, b, c = (verts[faces[:, i]] for i in range(3))
    return np.einsum("fd,fd->", a, np.cross(b, c)) / 6


def two(first, second, *, shift=5.0):
    """Two meshes as one."""
    (verts1, faces1), (verts2, faces2) = first, second
    return np.concatenate([verts1, verts2 + shift]), np.concatenate([faces1, faces2 + len(verts1)])


def test_a_good_mesh_is_left_as_it_is():
    verts, faces = sphere(1)
    mesh = clean_mesh(verts, faces, name="good.off")
    assert np.array_equal(mesh.verts, verts)
    assert np.array_equal(mesh.faces, faces)
    assert np.array_equal(mesh.kept, np.arange(len(verts)))
    assert mesh.notes == ()


@pytest.mark.parametrize("digits", ["%.17g", "%.9g", "%.6f"])
def test_a_mesh_far_away_in_single_precision_is_told_of_its_rounding(digits):
    verts, faces = sphere(2)
    away = verts + np.array([0, 3e5, 0])
    far = away.astype(np.float32).astype(float)
    written = np.array([[float(digits % value) for value in vertex] for vertex in far])
    (note,) = (note for note in clean_mesh(written, faces, name="far.ply").notes if "rounded" in note)
    assert "up to 3e+05, were rounded to steps of 10% of a mean edge" in note and "move the mesh to the origin" in note
    assert clean_mesh(away, faces, name="double.ply").notes == ()
    assert clean_mesh(verts.astype(np.float32).astype(float), faces, name="near.ply").notes == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_coordinates_that_are_not_finite_are_refused_with_file_and_vertex(value):
    verts, faces = sphere(0)
    verts[7, 1] = value
    with pytest.raises(MeshError, match=r"scan\.off: 1 vertices have NaN or infinite coordinates.* vertex 7"):
        clean_mesh(verts, faces, name="scan.off")


@pytest.mark.parametrize("index", [12, -1])
def test_a_face_that_names_no_vertex_is_refused_with_file_and_face(index):
    verts, faces = sphere(0)
    faces[3, 2] = index
    with pytest.raises(
        MeshError, match=r"scan\.off: 1 faces name vertices that do not exist, the first is face 3 .*vertices 0\.\.11"
    ):
        clean_mesh(verts, faces, name="scan.off")


@pytest.mark.parametrize(("n", "f"), [(0, 0), (12, 0)])
def test_a_mesh_without_vertices_or_faces_is_refused(n, f):
    verts, faces = sphere(0)
    with pytest.raises(MeshError, match=r"scan\.off: .* point cloud"):
        clean_mesh(verts[:n], faces[:f], name="scan.off")


def test_a_mesh_without_area_is_refused():
    verts, faces = sphere(0)
    with pytest.raises(MeshError, match=r"scan\.off: no face has an area"):
        clean_mesh(verts * [1, 0, 0], faces, name="scan.off")


def test_faces_with_repeated_corners_are_dropped():
    verts, faces = sphere(0)
    mesh = clean_mesh(verts, np.concatenate([faces, [[4, 4, 5], [1, 2, 1]]]), name="scan.off")
    assert np.array_equal(mesh.faces, faces)
    assert "2 degenerate faces" in mesh.notes[0]


def test_an_edge_without_length_is_closed_without_tearing_the_mesh():
    verts, faces = sphere(1)
    verts[int(faces[0, 1])] = verts[int(faces[0, 0])]
    mesh = clean_mesh(verts, faces, name="scan.off")
    assert is_closed_manifold(mesh.faces)
    assert len(mesh.verts) == len(verts) - 1
    assert any("lie exactly on another" in note for note in mesh.notes)


def test_a_flat_face_stays_where_it_closes_the_surface():
    """A vertex on an edge, joined to both sides: its two flat neighbours are needed for the mesh to stay closed."""
    verts, faces = sphere(1)
    a, b, c = faces[0].tolist()
    verts = np.concatenate([verts, (verts[[a]] + verts[[b]]) / 2])
    m = len(verts) - 1
    faces = np.concatenate([faces[1:], [[a, m, c], [m, b, c], [a, b, m]]])
    mesh = clean_mesh(verts, faces, name="scan.off")
    assert is_closed_manifold(mesh.faces)
    assert "have no area" in mesh.notes[0]
    assert np.isfinite(cotangent_stiffness(mesh.verts, mesh.faces).toarray()).all()


def test_a_vertex_that_only_flat_faces_hold_is_dropped_with_them():
    verts, faces = plane(3)
    verts = np.concatenate([verts, [[2, 0, 0], [3, 0, 0]]])
    mesh = clean_mesh(verts, np.concatenate([faces, [[2, 9, 10]]]), name="scan.off")
    assert len(mesh.verts) == 9
    assert (lumped_mass(mesh.verts, mesh.faces) > 0).all()


def test_equal_faces_are_kept_once():
    verts, faces = sphere(0)
    mesh = clean_mesh(verts, np.concatenate([faces, faces[[4]][:, [1, 2, 0]]]), name="scan.off")
    assert np.array_equal(mesh.faces, faces)
    assert "1 duplicate faces" in mesh.notes[0]


def test_a_fold_of_two_faces_back_to_back_disappears():
    verts, faces = sphere(1)
    a, b, _ = faces[0].tolist()
    verts = np.concatenate([verts, 1.5 * verts[[a]]])
    fold = [[a, b, len(verts) - 1], [b, a, len(verts) - 1]]
    mesh = clean_mesh(verts, np.concatenate([faces, fold]), name="scan.off")
    assert np.array_equal(mesh.faces, faces)
    assert is_closed_manifold(mesh.faces)


def test_of_a_two_sided_sheet_one_side_is_kept():
    verts, faces = plane(4)
    mesh = clean_mesh(verts, np.concatenate([faces, faces[:, ::-1]]), name="scan.off")
    assert np.array_equal(mesh.faces, faces)


def test_isolated_vertices_are_dropped_and_ids_follow():
    verts, faces = sphere(1)
    scattered = np.insert(verts, [0, 10, len(verts)], 9.0, axis=0)
    place = np.delete(np.arange(len(scattered)), [0, 11, len(scattered) - 1])
    mesh = clean_mesh(scattered, place[faces], name="scan.off")
    assert np.array_equal(mesh.verts, verts)
    assert np.array_equal(mesh.faces, faces)
    assert np.array_equal(mesh.kept, place)
    assert np.array_equal(mesh.relabel(place), np.arange(len(verts)))
    assert "3 isolated vertices" in mesh.notes[0]


def test_a_landmark_on_a_dropped_vertex_nearby_moves_to_the_nearest_kept_one():
    verts, faces = sphere(2)
    verts = np.concatenate([verts, verts[[5]] * 1.01])
    assert clean_mesh(verts, faces, name="scan.off").relabel(np.array([162, 3])).tolist() == [5, 3]


def test_a_landmark_on_a_dropped_vertex_far_away_is_refused():
    verts, faces = sphere(1)
    mesh = clean_mesh(np.concatenate([verts, [[9, 9, 9]]]), faces, name="scan.off")
    with pytest.raises(
        MeshError,
        match=r"scan\.off: 1 landmarks lie on vertices that cleaning dropped, the first on vertex 43 \(from 1\)",
    ):
        mesh.relabel(np.array([0, 42]))


def test_flipped_faces_are_turned_to_agree_with_their_neighbours():
    verts, faces = sphere(2)
    flipped = faces.copy()
    some = np.random.default_rng(0).choice(len(faces), 70, replace=False)
    flipped[some] = flipped[some][:, [0, 2, 1]]
    mesh = clean_mesh(verts, flipped, name="scan.off")
    assert enclosed_volume(mesh.verts, mesh.faces) == pytest.approx(enclosed_volume(verts, faces))
    assert "70 flipped faces" in mesh.notes[0]


def test_a_mesh_that_is_inside_out_is_turned():
    verts, faces = sphere(2)
    mesh = clean_mesh(verts + 10, faces[:, ::-1], name="scan.off")
    assert enclosed_volume(mesh.verts, mesh.faces) > 0
    assert "inside out" in mesh.notes[0]


def test_a_scan_with_a_small_hole_is_turned_outward_too():
    verts, faces = sphere(2)
    mesh = clean_mesh(verts - 10, faces[3:, ::-1], name="scan.off")
    assert enclosed_volume(verts, mesh.faces) > 0


@pytest.mark.parametrize("sense", [1, -1])
def test_an_open_sheet_keeps_the_sense_of_its_larger_part(sense):
    verts, faces = plane(6)
    mixed = faces[:, ::sense].copy()
    mixed[:10] = mixed[:10, ::-1]
    mesh = clean_mesh(verts, mixed, name="sheet.off")
    a, b, c = (mesh.verts[mesh.faces[:, i]] for i in range(3))
    assert (np.sign(np.cross(b - a, c - a)[:, 2]) == sense).all()


def test_a_moebius_strip_is_told_to_have_one_side():
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radii = [2 + w * np.cos(t / 2) for w in (-0.5, 0.5)]
    heights = [w * np.sin(t / 2) for w in (-0.5, 0.5)]
    rims = [np.stack([r * np.cos(t), r * np.sin(t), h], axis=1) for r, h in zip(radii, heights, strict=True)]
    i = np.arange(40)
    j = np.where(i < 39, i + 1, 0)
    lower, upper = np.where(i < 39, j, 40), np.where(i < 39, j + 40, 0)  # the last quad joins with a half turn
    faces = np.concatenate([np.stack([i, lower, i + 40], axis=1), np.stack([lower, upper, i + 40], axis=1)])
    assert any("one side" in note for note in clean_mesh(np.concatenate(rims), faces, name="strip.off").notes)


def test_nonmanifold_edges_are_noted_with_advice():
    verts, faces = sphere(1)
    a, b, _ = faces[0].tolist()
    verts = np.concatenate([verts, 2 * verts[[a]]])
    notes = clean_mesh(verts, np.concatenate([faces, [[a, b, len(verts) - 1]]]), name="scan.off").notes
    assert any("1 non-manifold edges" in note and "data.laplacian=robust" in note for note in notes)


def test_dust_beside_the_mesh_is_dropped():
    verts, faces = two(sphere(2), (0.05 * sphere(0)[0], sphere(0)[1]))
    mesh = clean_mesh(verts, faces, name="scan.off")
    assert np.array_equal(mesh.kept, np.arange(162))
    assert "largest of 2 separate pieces" in mesh.notes[0]


def test_two_large_pieces_are_refused_unless_told_what_to_do():
    verts, faces = two(sphere(2), (0.8 * sphere(1)[0], sphere(1)[1]))
    with pytest.raises(
        MeshError, match=r"scan\.off: .* 2 separate pieces .*data\.components=largest .*data\.components=all"
    ):
        clean_mesh(verts, faces, name="scan.off")
    assert len(clean_mesh(verts, faces, name="scan.off", components="largest").verts) == 162
    assert len(clean_mesh(verts, faces, name="scan.off", components="all").verts) == 162 + 42


def test_each_of_several_pieces_is_turned_outward():
    (verts, faces), n = two(sphere(1), sphere(1)), 80
    faces[n:] = faces[n:, ::-1]
    mesh = clean_mesh(verts, faces, name="scan.off", components="all")
    assert np.array_equal(mesh.faces[:n], faces[:n])
    assert enclosed_volume(mesh.verts - 5, mesh.faces[n:]) > 0


def test_a_mesh_torn_at_seams_is_joined_where_vertices_coincide():
    verts, faces = sphere(1)
    soup = clean_mesh(verts[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3), name="soup.off")
    assert is_closed_manifold(soup.faces)
    assert len(soup.verts) == len(verts)
    assert np.allclose(soup.verts[soup.relabel(np.arange(faces.size))], verts[faces].reshape(-1, 3))


def test_an_unknown_policy_for_pieces_is_refused():
    with pytest.raises(ValueError, match="dust, largest, all"):
        clean_mesh(*sphere(0), name="scan.off", components="biggest")


@pytest.mark.parametrize("count", [1, 100, 300])
def test_a_two_sided_part_of_a_closed_surface_keeps_one_side(count):
    verts, faces = sphere(2)
    mesh = clean_mesh(verts, np.concatenate([faces, faces[:count, ::-1], faces[:3]]), name="cloak.off")
    assert is_closed_manifold(mesh.faces)
    assert len(mesh.faces) == len(faces)
