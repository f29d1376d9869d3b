"""Landmarks that spread over a mesh."""

import numpy as np
import pytest
from tests.meshes import sphere

from pullback.geometry.farthest_points import farthest_points
from pullback.geometry.geodesic import geodesic_rows


@pytest.fixture(scope="module")
def cigar() -> tuple[np.ndarray, np.ndarray]:
    """Long in x, a little bent, so that no two distances are equal."""
    verts, faces = sphere(3)
    verts = verts * [2.5, 1.0, 0.8]
    return verts + np.outer(0.05 * verts[:, 0] ** 2 + 0.01 * verts[:, 0], [0.0, 1.0, 0.3]), faces


def test_the_first_point_is_the_farthest_from_the_middle_and_each_other_one_from_those_before(cigar):
    verts, faces = cigar
    candidates = np.arange(0, len(verts), 3)
    dist = geodesic_rows(verts, faces, candidates)[:, candidates]
    chosen = farthest_points(verts, faces, candidates, 6)
    middle = np.linalg.norm(verts[candidates] - verts[candidates].mean(axis=0), axis=1).argmin()
    assert dist[middle].argmax() == chosen[0]
    for i in range(1, 6):
        assert dist[chosen[:i]].min(axis=0).argmax() == chosen[i]


def test_the_order_of_the_vertices_does_not_matter(cigar):
    verts, faces = cigar
    order = np.random.default_rng(0).permutation(len(verts))
    first = farthest_points(verts, faces, np.arange(len(verts)), 6)
    second = farthest_points(verts[order], np.argsort(order)[faces], np.arange(len(verts)), 6)
    np.testing.assert_array_equal(order[second], first)


def test_a_vertex_that_is_named_twice_is_chosen_once(cigar):
    verts, faces = cigar
    candidates = np.array([7, 7, 30, 30, 30, 100])
    assert sorted(candidates[farthest_points(verts, faces, candidates, 3)]) == [7, 30, 100]
    with pytest.raises(ValueError, match="4 points cannot be chosen among 3 distinct ones"):
        farthest_points(verts, faces, candidates, 4)


def test_a_part_that_is_not_connected_gets_a_point_early(cigar):
    verts, faces = cigar
    both, parts = np.concatenate([verts, verts * 0.01 + 0.5]), np.concatenate([faces, faces + len(verts)])
    chosen = farthest_points(both, parts, np.arange(len(both)), 2)
    assert {int(point >= len(verts)) for point in chosen} == {0, 1}
