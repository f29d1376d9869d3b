"""Meshes whose vertices stand twice along seams, and those that only look like it."""

import numpy as np
import pytest
from tests.meshes import plane, sphere

from pullback.geometry.cleaning import clean_mesh
from pullback.geometry.connectivity import (
    boundary_edges,
    component_labels,
    edge_component_labels,
    euler_characteristic,
    is_closed_manifold,
)


def torn(verts, faces, chart, *, glued=()):
    """Every chart with vertices of its own, but for those that stay ``glued``; (verts, faces,
    the vertex that each copy is of).
    """
    corners = faces.astype(np.int64) + len(verts) * chart[:, None]
    corners = np.where(np.isin(faces, glued), faces, corners)
    copies, place = np.unique(corners, return_inverse=True)
    return verts[copies % len(verts)], place.reshape(-1, 3), copies % len(verts)


def by_octant(verts, faces):
    return (verts[faces].mean(axis=1) > 0) @ [1, 2, 4]


def is_sewn(mesh, original, verts):
    """Closed, of the same size, and every copy where its original is."""
    relabelled = mesh.relabel(np.arange(len(original)))
    same = all(len(np.unique(relabelled[original == i])) == 1 for i in np.unique(original))
    return is_closed_manifold(mesh.faces) and len(mesh.verts) == len(verts) and same and not mesh.relabel.dropped.any()


def test_a_seam_within_one_piece_is_sewn_and_both_twins_get_the_same_vertex():
    verts, faces = sphere(2)
    halves = (verts[faces].mean(axis=1)[:, 2] > 0).astype(int)
    glued = np.flatnonzero(verts[:, 0] > 0.2)  # torn half around: one piece
    mesh_verts, mesh_faces, original = torn(verts, faces, halves, glued=glued)
    assert component_labels(mesh_faces).max() == 0
    mesh = clean_mesh(mesh_verts, mesh_faces, name="scan.off")
    assert is_sewn(mesh, original, verts)
    assert "doubled vertices along seams" in mesh.notes[0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_charts_that_hang_together_at_points_are_sewn(count):
    verts, faces = sphere(2)
    chart = (verts[faces].mean(axis=1)[:, 2] > 0).astype(int)
    rim = np.intersect1d(faces[chart == 0], faces[chart == 1])
    mesh_verts, mesh_faces, original = torn(verts, faces, chart, glued=rim[:count])
    assert is_sewn(clean_mesh(mesh_verts, mesh_faces, name="scan.off"), original, verts)


@pytest.mark.parametrize("noise", [0, 1e-8])
def test_charts_that_meet_at_corners_are_sewn(noise):
    verts, faces = sphere(2)
    mesh_verts, mesh_faces, original = torn(verts, faces, by_octant(verts, faces))
    mesh_verts = mesh_verts + noise * np.random.default_rng(0).uniform(-1, 1, mesh_verts.shape)
    mesh = clean_mesh(mesh_verts, mesh_faces, name="scan.off")
    assert is_sewn(mesh, original, verts)
    assert noise == 0 or "of the mesh's size from their twins" in mesh.notes[-1]


def test_sides_of_a_seam_that_an_exporter_rounded_differently_are_sewn():
    verts, faces = sphere(2)
    mesh_verts, mesh_faces, original = torn(verts + 1.7, faces, by_octant(verts, faces), glued=[5])
    mesh_verts = np.where(
        np.arange(len(mesh_verts))[:, None] % 2, mesh_verts.astype(np.float32).astype(float), mesh_verts
    )
    assert is_sewn(clean_mesh(mesh_verts, mesh_faces, name="scan.off"), original, verts)


def test_triangles_all_apart_are_sewn_in_spite_of_rounding():
    verts, faces = sphere(1)
    mesh_verts, mesh_faces, original = torn(verts, faces, np.arange(len(faces)))
    mesh_verts = mesh_verts + 1e-8 * np.random.default_rng(0).uniform(-1, 1, mesh_verts.shape)
    assert is_sewn(clean_mesh(mesh_verts, mesh_faces, name="scan.off"), original, verts)


def test_a_cut_wider_than_rounding_stays_open():
    verts, faces = sphere(2)
    chart = (verts[faces].mean(axis=1)[:, 2] > 0).astype(int)
    mesh_verts, mesh_faces, _ = torn(verts, faces, chart, glued=np.flatnonzero(verts[:, 0] > 0.2))
    upper = np.setdiff1d(mesh_faces[chart == 1], mesh_faces[chart == 0])
    mesh_verts[upper] += [0, 0, 1e-3]
    mesh = clean_mesh(mesh_verts, mesh_faces, name="scan.off")
    assert len(boundary_edges(mesh.faces))
    assert mesh.notes == ()


def test_a_closed_surface_that_touches_itself_is_not_joined_there():
    """Two hands that meet: vertices at the same place, none on a boundary."""
    verts, faces = sphere(2)
    top, bottom = verts[:, 2].argmax(), verts[:, 2].argmin()
    verts[[top, bottom]] = 0
    mesh = clean_mesh(verts, faces, name="scan.off")
    assert len(mesh.verts) == len(verts)
    assert mesh.notes == ()
    assert mesh.relabel(np.array([top, bottom])).tolist() == [top, bottom]


def test_a_touching_surface_beside_dust_is_not_joined_either():
    verts, faces = sphere(2)
    verts[[verts[:, 2].argmax(), verts[:, 2].argmin()]] = 0
    dust, its_faces = sphere(0)
    mesh = clean_mesh(
        np.concatenate([verts, 0.01 * dust + 9]), np.concatenate([faces, its_faces + len(verts)]), name="scan.off"
    )
    assert len(mesh.verts) == len(verts)


def test_two_layers_of_the_same_sense_in_one_piece_are_not_joined():
    """A strip that winds around twice: its two layers lie on each other, boundary on boundary, in the same sense."""
    t = np.linspace(0, 4 * np.pi, 41)
    ring = np.stack([np.cos(t), np.sin(t)], axis=1).round(12)
    verts = np.concatenate([np.column_stack([ring, 0 * t]), np.column_stack([ring, 0 * t + 1])])
    i = np.arange(40)
    faces = np.concatenate([np.stack([i, i + 1, i + 42], 1), np.stack([i, i + 42, i + 41], 1)])
    mesh = clean_mesh(verts, faces, name="strip.off")
    assert len(mesh.verts) > 75  # but for its ends, which meet and are a seam


def test_a_doubled_layer_is_dropped():
    verts, faces = plane(4)
    mesh = clean_mesh(np.concatenate([verts, verts]), np.concatenate([faces, faces + len(verts)]), name="sheet.off")
    assert len(mesh.verts) == len(verts)
    assert len(mesh.faces) == len(faces)


def touching_at_a_vertex(size):
    """A sphere and another one of relative ``size`` that share a single vertex."""
    (verts, faces), (others, their_faces) = sphere(2), sphere(2)
    others = verts[0] + size * (others - others[11])
    ids = np.where(np.arange(len(others)) == 11, 0, np.arange(len(others)) + len(verts))
    return np.concatenate([verts, others]), np.concatenate([faces, ids[their_faces]])


def test_a_small_part_that_hangs_by_a_vertex_is_dropped_like_a_separate_one():
    mesh = clean_mesh(*touching_at_a_vertex(0.1), name="scan.off")
    assert np.array_equal(mesh.faces, sphere(2)[1])
    assert "hanging together by single vertices" in mesh.notes[0]


def test_large_parts_that_touch_at_a_vertex_stay_with_a_note_or_are_parted():
    verts, faces = touching_at_a_vertex(0.9)
    mesh = clean_mesh(verts, faces, name="scan.off")
    assert len(mesh.faces) == len(faces)
    assert any("by single vertices only" in note for note in mesh.notes)
    assert len(clean_mesh(verts, faces, name="scan.off", components="largest").verts) == 162


def test_faces_around_a_vertex_are_connected_through_edges_only():
    _, faces = touching_at_a_vertex(1.0)
    assert edge_component_labels(faces).tolist() == [0] * 320 + [1] * 320


def test_a_small_sheet_that_touches_nothing_has_no_seam_with_itself():
    verts, faces = plane(5)
    mesh = clean_mesh(verts, faces, name="sheet.off")
    assert np.array_equal(mesh.faces, faces)
    assert mesh.notes == ()


def strip(count, width, *, half_turns):
    """A band once around, its two ends at one place, exactly, but not joined."""
    t, across = np.linspace(0, 2 * np.pi, count + 1), np.linspace(-0.3, 0.3, width + 1)
    t[-1] = 0  # the same numbers as at the beginning
    t, across = np.repeat(t, width + 1), np.tile(across, count + 1)
    across[-width - 1 :] *= (-1) ** half_turns
    turn = half_turns * t / 2
    radius = 1 + across * np.cos(turn)
    verts = np.stack([radius * np.cos(t), radius * np.sin(t), across * np.sin(turn)], axis=1)
    i = (np.arange(count)[:, None] * (width + 1) + np.arange(width)).ravel()
    return verts, np.concatenate(
        [np.stack([i, i + width + 1, i + 1], 1), np.stack([i + 1, i + width + 1, i + width + 2], 1)]
    )


@pytest.mark.parametrize("half_turns", [0, 1, 2])
def test_a_band_is_closed_whichever_way_it_is_twisted(half_turns):
    verts, faces = strip(60, 6, half_turns=half_turns)
    mesh = clean_mesh(verts, faces, name="band.off")
    assert len(mesh.verts) == len(verts) - 7
    assert euler_characteristic(mesh.faces) == 0
    assert any("only one side" in note for note in mesh.notes) == (half_turns == 1)


@pytest.mark.parametrize("noise", [0, 1e-8])
def test_charts_with_sharp_edges_between_them_are_sewn_although_some_are_inside_out(noise):
    verts, faces = sphere(2)
    verts = verts / np.abs(verts).max(axis=1, keepdims=True)
    mesh_verts, mesh_faces, original = torn(verts, faces, by_octant(verts, faces), glued=[5])
    half = mesh_faces[:, 0] % 2 == 0 if noise == 0 else by_octant(verts, faces) % 3 == 0
    mesh_faces[half] = mesh_faces[half][:, ::-1]
    mesh_verts = mesh_verts + noise * np.random.default_rng(0).uniform(-1, 1, mesh_verts.shape)
    assert is_sewn(clean_mesh(mesh_verts, mesh_faces, name="scan.off"), original, verts)


@pytest.mark.parametrize("flat_faces", [True, False])
def test_a_sphere_in_rows_and_columns_is_closed_at_its_poles_in_spite_of_rounding(flat_faces):
    """Each pole has a vertex a column; in float32 the sine of π is -9e-8."""
    columns, rows = 24, 12
    u = (np.arange(columns + 1) * np.float32(2 * np.pi / columns)).astype(np.float32)
    v = np.linspace(0, np.float32(np.pi), rows + 1, dtype=np.float32)
    u, v = np.repeat(u, rows + 1), np.tile(v, columns + 1)
    verts = np.stack([np.sin(v) * np.cos(u), np.sin(v) * np.sin(u), np.cos(v)], axis=1).astype(np.float64)
    i = (np.arange(columns)[:, None] * (rows + 1) + np.arange(rows)).ravel()
    faces = np.concatenate([np.stack([i, i + 1, i + rows + 1], 1), np.stack([i + 1, i + rows + 2, i + rows + 1], 1)])
    if not flat_faces:
        row = faces % (rows + 1)
        faces = faces[((row == 0).sum(axis=1) < 2) & ((row == rows).sum(axis=1) < 2)]
    mesh = clean_mesh(verts, faces, name="globe.off")
    assert is_closed_manifold(mesh.faces)
    assert len(mesh.verts) == columns * (rows - 1) + 2
    poles = mesh.relabel(np.arange(len(verts)))[[0, rows + 1, rows, 2 * rows + 1]]
    assert poles[0] == poles[1] != poles[2] == poles[3]
