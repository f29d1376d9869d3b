"""Regions of a surface: their boundary, where images lie, pieces and holes, and cut out as meshes."""

import numpy as np
import pytest
import torch
from tests.meshes import sphere

from pullback.geometry.geodesic import edge_graph
from pullback.geometry.regions import cut_out, image_density, largest_share, longest_boundary, overlap, tidied


@pytest.fixture(scope="module")
def ball():
    verts, faces = sphere(3)
    return verts, faces, edge_graph(verts, faces), np.full(len(verts), 1 / len(verts))


def test_a_closed_surface_has_no_boundary_and_a_half_ball_its_equator(ball):
    verts, faces = ball[:2]
    assert longest_boundary(verts, faces) == 0
    ids, half = cut_out(verts, faces, verts[:, 2] >= -1e-9)
    assert longest_boundary(verts[ids], half) == pytest.approx(
        2 * np.pi / np.sqrt(2 * np.pi), rel=0.15
    )  # the cut is jagged


def test_of_two_holes_the_longer_counts(ball):
    verts, faces = ball[:2]
    one = cut_out(verts, faces, verts[:, 2] < 0.7)
    two = cut_out(verts, faces, (verts[:, 2] < 0.7) & (verts[:, 2] > -0.95))
    small, both = (longest_boundary(verts[ids], part) for ids, part in (one, two))
    assert both == pytest.approx(small, rel=0.05)


def test_everything_cut_out_is_the_mesh_itself(ball):
    verts, faces = ball[:2]
    ids, part = cut_out(verts, faces, np.ones(len(verts), bool))
    assert np.array_equal(ids, np.arange(len(verts))) and np.array_equal(part, faces)
    assert cut_out(verts, faces, np.zeros(len(verts), bool)) is None


def test_images_of_a_map_onto_lie_evenly_and_those_of_a_part_where_it_is(tiny_shape):
    mass, all_of_it = tiny_shape.basis.mass, torch.arange(tiny_shape.n)
    assert image_density(all_of_it, mass, tiny_shape.basis).numpy() == pytest.approx(1, abs=0.02)
    upper = tiny_shape.verts[:, 2] > 0
    density = image_density(all_of_it[upper], mass[upper], tiny_shape.basis).numpy()
    found = largest_share(density, mass.numpy(), float(mass[upper].sum()))
    assert overlap(found, upper.numpy(), mass.numpy()) > 0.95


def test_the_largest_values_make_up_the_share():
    mass = np.array([0.5, 0.1, 0.2, 0.2])
    assert largest_share(np.array([1.0, 4, 3, 2]), mass, 0.5).tolist() == [False, True, True, True]
    assert largest_share(np.array([1.0, 4, 3, 2]), mass, 1.0).all()


def test_small_pieces_go_and_small_holes_are_filled(ball):
    verts, _, graph, mass = ball
    upper = verts[:, 2] > 0.2
    blemished = upper.copy()
    blemished[np.argmax(verts[:, 2])] = False
    blemished[np.argmin(verts[:, 2])] = True
    assert np.array_equal(tidied(blemished, graph, mass), upper)
    assert not tidied(np.zeros(len(verts), bool), graph, mass).any()
