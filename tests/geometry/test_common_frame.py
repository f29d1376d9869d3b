"""Shapes that lie in any way are turned into one frame, without correspondence."""

import numpy as np
import pytest
from tests.animals import animal, rotation
from tests.meshes import sphere

from pullback.geometry.common_frame import CommonFrame
from pullback.geometry.rigid import angle_between, rotation_angles, surface_sample

COUNT = 60


@pytest.fixture(scope="module")
def frame():
    """Of three animals that lie in three ways."""
    return CommonFrame.of([sample(number) for number in range(3)])


def sample(number, *, turn=None):
    verts, faces = animal(number)
    return surface_sample(verts @ rotation(number if turn is None else turn).T, faces, count=COUNT)


def test_animals_that_lie_in_any_way_are_laid_alike(frame):
    laid = np.stack([frame.place(sample(number)).rotation @ rotation(number) for number in range(4, 7)])
    assert rotation_angles(laid @ laid[0].T).max() < 15


def test_a_shape_is_laid_the_same_however_it_lay(frame):
    laid = [frame.place(sample(5, turn=turn)).rotation @ rotation(turn) for turn in (11, 12)]
    assert angle_between(*laid) < 1


def test_the_frame_has_its_longest_axis_third_and_feet_along_its_second(frame):
    laid = frame.place(sample(6)).rotation @ rotation(6)
    assert abs(laid[2] @ [0, 0, 1]) > 0.95
    assert laid[1] @ [0, 1, 0] < -0.9


def test_the_same_shapes_give_the_same_frame(frame):
    again = CommonFrame.of([sample(number) for number in range(3)]).samples
    for one, other in zip(frame.samples, again, strict=True):
        np.testing.assert_allclose(one.points, other.points, atol=1e-6)


def test_a_reference_has_no_vote_on_itself(frame):
    assert frame.place(sample(0)).margin < 10


def test_a_clear_shape_has_a_margin_and_a_ball_has_none(frame):
    verts, faces = sphere(3)
    clear = frame.place(sample(7)).margin
    ball = CommonFrame([surface_sample(verts * [1.0, 1.0, 1.01], faces, count=COUNT)])
    egg = surface_sample(verts * [1.0, 1.01, 1.0], faces, count=COUNT)
    assert clear > 1.1, clear
    assert ball.place(egg).margin < 1.04


def test_a_box_that_is_the_same_after_a_half_turn_is_in_doubt():
    verts, faces = sphere(3)
    box = np.sign(verts) * np.abs(verts) ** 0.3 * [1.0, 1.6, 2.5]
    frame = CommonFrame([surface_sample(box * [1.1, 1, 1], faces, count=200)])
    assert frame.place(surface_sample(box @ rotation(3).T, faces, count=200)).margin < 1.04


def test_one_shape_makes_no_frame():
    with pytest.raises(ValueError, match="1 shape makes no common frame"):
        CommonFrame.of([sample(0)])
