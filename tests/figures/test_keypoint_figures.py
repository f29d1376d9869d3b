import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from tests.figures.photographs import gradient_photo

from pullback.figures.keypoints import RIGHT, TRUTH, WRONG, draw_keypoints, is_right
from pullback.types import Image

GREY = Image("grey", torch.full((3, 100, 100), 128, dtype=torch.uint8))


def has_color(image, color):
    return abs(image[..., :3].astype(int) - np.round(255 * np.array(to_rgb(color)))).max(axis=-1) <= 12


def test_right_is_nearer_than_the_threshold_strictly():
    truth = torch.tensor([[10.0, 10.0], [10.0, 10.0], [10.0, 10.0]])
    predicted = truth + torch.tensor([[3.0, 0.0], [5.0, 0.0], [4.0, 4.0]])
    assert is_right(predicted, truth, threshold=5.0).tolist() == [True, False, False]


def test_lines_are_blue_where_right_and_red_where_wrong():
    points2 = torch.tensor([[50.0, 20.0], [50.0, 80.0]])
    truth1 = torch.tensor([[50.0, 20.0], [50.0, 80.0]])
    predicted1 = torch.tensor([[52.0, 20.0], [20.0, 80.0]])
    picture = draw_keypoints(GREY, GREY, points2, predicted1, title="", truth1=truth1, threshold=10.0)
    image, half = picture.panels[0].image, picture.panels[0].image.shape[0] // 2
    assert has_color(image[:half], RIGHT).sum() > 100 and not has_color(image[:half], WRONG).any()
    assert has_color(image[half:], WRONG).sum() > 100 and not has_color(image[half:], RIGHT).any()
    assert picture.note == "1 of 2 right"


def test_points_are_drawn_where_they_are():
    height = 420
    picture = draw_keypoints(
        GREY,
        GREY,
        np.array([[10.0, 30.0]]),
        np.array([[20.0, 70.0]]),
        title="",
        truth1=np.array([[80.0, 70.0]]),
        threshold=1.0,
    )
    image = picture.panels[0].image
    scale = height / 100
    assert image.shape[:2] == (height, 2 * height + 12)
    for x, y in ((20.5 * scale, 70.5 * scale), (height + 12 + 10.5 * scale, 30.5 * scale)):
        assert has_color(image[int(y), int(x)], WRONG)
    ring = has_color(image, TRUTH).nonzero()
    np.testing.assert_allclose([ring[1].mean(), ring[0].mean()], [80.5 * scale - 0.5, 70.5 * scale - 0.5], atol=2.5)


def test_without_truth_there_is_no_judgement():
    picture = draw_keypoints(gradient_photo(), GREY, torch.tensor([[50.0, 20.0]]), torch.tensor([[5.0, 5.0]]), title="")
    assert not has_color(picture.panels[0].image, WRONG).any() and picture.note == ""
    with pytest.raises(ValueError, match="come together"):
        draw_keypoints(GREY, GREY, torch.zeros(1, 2), torch.zeros(1, 2), title="", threshold=3.0)


def test_of_very_many_keypoints_some_are_drawn_and_it_is_said(monkeypatch):
    monkeypatch.setattr("pullback.figures.keypoints._MOST_DRAWN", 3)
    points = torch.tensor([[50.0, 5.0], *[[50.0, 80.0]] * 50, [50.0, 95.0]])
    picture = draw_keypoints(GREY, GREY, points, points, title="", truth1=points, threshold=10.0)
    assert picture.note == "52 of 52 right; 3 of 52 are drawn"
    assert (
        has_color(picture.panels[0].image[:50], RIGHT).any() and has_color(picture.panels[0].image[-50:], RIGHT).any()
    )
