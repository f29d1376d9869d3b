"""Counting edges, pieces and holes, against loops."""

from collections import Counter

import numpy as np
import pytest
from tests.meshes import plane, sphere

from pullback.geometry.connectivity import (
    component_labels,
    euler_characteristic,
    face_edges,
    group_rows,
    half_edges_by_edge,
    has_equal_rows,
    is_closed_manifold,
)


def test_equal_rows_are_grouped_as_numpy_does():
    rows = np.random.default_rng(0).integers(0, 3, (60, 3))
    first, group = group_rows(rows)
    unique, index = np.unique(rows, axis=0, return_index=True)
    assert sorted(first) == sorted(index)
    assert np.array_equal(rows[first][group], rows)
    assert len(first) == len(unique)


def test_edges_are_counted_as_a_loop_counts_them():
    _, faces = plane(4)
    edge, use = face_edges(faces)
    ends = [tuple(sorted((int(face[i]), int(face[(i + 1) % 3])))) for face in faces for i in range(3)]
    count = Counter(ends)
    assert [use[e] for e in edge] == [count[end] for end in ends]
    assert len(use) == len(count)


def test_pieces_are_those_connected_through_vertices():
    _, faces = sphere(0)
    bow_tie = np.array([[0, 1, 2], [2, 3, 4], [7, 8, 9]])
    assert component_labels(bow_tie).tolist() == [0, 0, 1]
    assert np.unique(component_labels(np.concatenate([faces, faces + 20])), return_counts=True)[1].tolist() == [20, 20]


def test_euler_characteristics_of_known_surfaces():
    _, faces = sphere(1)
    assert euler_characteristic(faces) == 2
    assert euler_characteristic(faces[1:]) == 1
    assert euler_characteristic(plane(5)[1]) == 1
    assert euler_characteristic(torus()) == 0


def test_closed_manifolds_are_told_from_open_and_pinched_surfaces():
    _, faces = sphere(1)
    assert is_closed_manifold(faces)
    assert is_closed_manifold(torus())
    assert is_closed_manifold(faces[:, ::-1])
    assert not is_closed_manifold(faces[1:])
    touching = np.concatenate([faces, np.where(faces == 0, 0, faces + 100)])  # two spheres with one vertex in common
    assert not is_closed_manifold(touching)


def torus(m: int = 6) -> np.ndarray:
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(m), np.arange(m)))
    a, b, c, d = i * m + j, (i + 1) % m * m + j, (i + 1) % m * m + (j + 1) % m, i * m + (j + 1) % m
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


@pytest.mark.parametrize("top", [3, 40, 3_000_000])
def test_equal_rows_are_noticed_whatever_the_size_of_the_numbers(top):
    rows = np.unique(np.random.default_rng(0).integers(0, top, (50, 3)), axis=0)
    assert not has_equal_rows(rows)
    assert has_equal_rows(np.concatenate([rows, rows[[4]]]))
    assert not has_equal_rows(rows[:0])


@pytest.mark.parametrize("scale", [1, 2**27])  # the second is too large for the quick way to sort
def test_half_edges_are_sorted_by_edge_and_in_order_within_one(scale):
    faces = np.concatenate([plane(4)[1], [[0, 1, 5]]]) * scale
    order, start = half_edges_by_edge(faces)
    tails, heads = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    ends = [tuple(sorted(end)) for end in zip(tails.tolist(), heads.tolist(), strict=True)]
    assert order.tolist() == sorted(range(len(ends)), key=lambda h: (ends[h], h))
    assert [ends[order[i]] for i in start] == sorted(set(ends))


def test_pieces_are_numbered_by_their_first_vertex_though_some_vertices_are_unused():
    faces = np.array([[9, 8, 7], [2, 3, 4], [8, 11, 12], [3, 5, 6]])
    assert component_labels(faces).tolist() == [1, 0, 1, 0]
