"""Rotations between shapes, with and without corresponding points."""

import numpy as np
import pytest
from tests.animals import animal, rotation

from pullback.geometry.rigid import (
    angle_between,
    best_rotation,
    mean_rotation,
    poses,
    principal_axes,
    rotation_angles,
    rotations_to_mean,
    surface_sample,
)


def test_corresponding_points_give_the_rotation_between_them():
    points = np.random.default_rng(0).standard_normal((20, 3))
    np.testing.assert_allclose(best_rotation(points, points @ rotation(1).T + 3), rotation(1), atol=1e-12)


def test_mirrored_points_give_no_reflection():
    points = np.random.default_rng(0).standard_normal((20, 3))
    assert np.linalg.det(best_rotation(points, points * [-1, 1, 1])) == pytest.approx(1)


def test_the_angle_of_a_rotation_is_told_in_degrees():
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(rotation_angles(np.stack([np.eye(3), turn, turn @ turn])), [0, 90, 180])


def test_the_mean_of_rotations_to_both_sides_is_the_middle():
    cos, sin = np.cos(0.7), np.sin(0.7)
    tilt = np.array([[1.0, 0, 0], [0, cos, -sin], [0, sin, cos]])
    np.testing.assert_allclose(mean_rotation(np.stack([tilt, tilt.T])), np.eye(3), atol=1e-9)


def test_shapes_that_lie_alike_are_not_turned_to_their_mean():
    bodies = np.stack([animal(number)[0] for number in range(4)])
    assert rotation_angles(rotations_to_mean(bodies)).max() < 8


def test_turned_shapes_are_turned_back_to_their_mean():
    bodies = np.stack([animal(0)[0] @ rotation(number).T for number in range(4)])
    back = rotations_to_mean(bodies)
    laid = bodies @ back.transpose(0, 2, 1)
    np.testing.assert_allclose(laid, laid[:1].repeat(4, axis=0), atol=1e-6)


def test_principal_axes_are_right_handed_and_the_longest_comes_first():
    points = np.random.default_rng(0).standard_normal((500, 3)) * [1, 5, 2]
    axes = principal_axes(points)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert abs(axes[:, 0] @ [0, 1, 0]) > 0.99


@pytest.mark.parametrize("number", range(2))
def test_a_turned_shape_is_laid_on_itself(number):
    verts, faces = animal(0)
    there = surface_sample(verts, faces, count=80)
    best = poses(surface_sample(verts @ rotation(number).T, faces, count=80), there)[0]
    assert angle_between(best.rotation, rotation(number).T) < 0.5


def test_a_mirrored_shape_is_laid_without_a_reflection():
    verts, faces = animal(0)
    mirrored = surface_sample(verts * [-1, 1, 1], faces[:, ::-1], count=80)
    # nearly symmetric in x: the mirror image lies as the shape does
    best = poses(mirrored, surface_sample(verts, faces, count=80))[0]
    assert np.linalg.det(best.rotation) == pytest.approx(1)
    assert angle_between(best.rotation, np.eye(3)) < 10


def test_poses_are_apart_from_each_other_and_in_order():
    (first, faces), (second, _) = animal(0), animal(1)
    found = poses(surface_sample(first, faces, count=80), surface_sample(second, faces, count=80))
    assert [pose.distance for pose in found] == sorted(pose.distance for pose in found)
    assert all(angle_between(a.rotation, b.rotation) > 30 for i, a in enumerate(found) for b in found[:i])
