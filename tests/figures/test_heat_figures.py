import numpy as np
import torch
from tests.figures.photographs import gradient_photo

from pullback.figures.heat import blob, draw_heat_transfer


def test_a_blob_peaks_at_its_centre_and_falls_as_a_gaussian():
    heat = blob((30, 50), np.array([20.0, 10.0]), sigma=4.0)
    assert heat.shape == (30, 50) and heat[10, 20] == 1
    np.testing.assert_allclose([heat[10, 24], heat[14, 20]], np.exp(-0.5))


def test_heat_glows_where_it_is_and_leaves_the_rest_grey():
    photo = gradient_photo()
    heat = blob(photo.size, np.array([15.0, 20.0]), sigma=2.0)
    moved = torch.from_numpy(blob(photo.size, np.array([45.0, 20.0]), sigma=2.0) - 0.2)
    picture = draw_heat_transfer(photo, photo, heat, {"shifted": moved}, title="")
    given, carried = (panel.image.astype(int) for panel in picture.panels)
    scale = given.shape[1] / 60
    at, there = round(15.5 * scale), round(45.5 * scale)
    middle = given.shape[0] // 2
    assert np.ptp(given[middle, at, :3]) > 40 and np.ptp(carried[middle, there, :3]) > 40
    assert np.ptp(given[middle, there, :3]) <= 1 and np.ptp(carried[middle, at, :3]) <= 1
    assert picture.panels[1].label == "image 2: shifted"


def test_no_heat_at_all_is_a_grey_photograph():
    photo = gradient_photo()
    nothing = np.full(photo.size, np.nan)
    image = (
        draw_heat_transfer(photo, photo, nothing, {"nothing": np.zeros(photo.size)}, title="")
        .panels[0]
        .image.astype(int)
    )
    assert np.ptp(image[..., :3], axis=-1).max() <= 1


def test_the_place_that_it_belongs_to_is_ringed():
    photo = gradient_photo()
    heat = np.zeros(photo.size)
    plain, ringed = (
        draw_heat_transfer(photo, photo, heat, {"x": heat}, title="", place2=place).panels[1].image.astype(int)
        for place in (None, np.array([30.0, 20.0]))
    )
    row, column = np.nonzero((plain != ringed).any(axis=-1))
    scale = plain.shape[0] / 40
    np.testing.assert_allclose([column.mean(), row.mean()], [30.5 * scale - 0.5, 20.5 * scale - 0.5], atol=0.5)
    assert np.ptp(column) <= 26 and np.ptp(row) <= 26
