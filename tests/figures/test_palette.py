import numpy as np
import pytest
from matplotlib.colors import to_rgb
from tests.meshes import sphere

from pullback.figures.camera import View
from pullback.figures.palette import (
    ERROR_MAP,
    MAGNITUDE_MAP,
    SERIES_DARK,
    SERIES_LIGHT,
    UNKNOWN,
    position_colors,
    srgb_from_oklab,
    value_colors,
)

# Machado, Oliveira & Fernandes 2009, severity 1, in linear RGB
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(srgb):
    srgb = np.asarray(srgb)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    to_lms = np.array(
        [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.6299787]]
    )
    to_lab = np.array(
        [
            [0.21045426, 0.79361779, -0.00407205],
            [1.9779985, -2.42859221, 0.45059371],
            [0.0259040, 0.78277177, -0.80867577],
        ]
    )
    return np.cbrt(np.clip(rgb @ to_lms.T, 0, None)) @ to_lab.T


def luminance(srgb):
    return linear(srgb) @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("colors", [SERIES_LIGHT, SERIES_DARK], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_lines_are_told_apart_by_colour_blind_eyes(colors, vision):
    seen = oklab(np.clip(linear([to_rgb(color) for color in colors]) @ np.array(VISION[vision]).T, 0, 1))
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    assert distance[~np.eye(len(colors), dtype=bool)].min() > 0.11


@pytest.mark.parametrize(
    ("colors", "page"), [(SERIES_LIGHT, "#ffffff"), (SERIES_DARK, "#14171c")], ids=["light", "dark"]
)
def test_lines_stand_out_from_their_page(colors, page):
    pair = [luminance([to_rgb(color) for color in colors]), luminance(to_rgb(page))]
    assert ((np.maximum(*pair) + 0.05) / (np.minimum(*pair) + 0.05)).min() >= 3


@pytest.mark.parametrize("colormap", [ERROR_MAP, MAGNITUDE_MAP], ids=["error", "magnitude"])
def test_larger_values_are_always_darker(colormap):
    lightness = oklab(linear(colormap(np.linspace(0, 1, 50))[:, :3]))[:, 0]
    assert (np.diff(lightness) < 0).all()


def test_a_mirrored_body_wears_clearly_different_colours():
    verts, _ = sphere(4)
    body = verts * [1, 2, 0.5]
    image = np.linalg.norm(body[:, None] * [-1, 1, 1] - body[None], axis=-1).argmin(axis=1)
    colors = oklab(linear(position_colors(body)))
    difference = np.linalg.norm(colors - colors[image], axis=1)
    assert difference[np.abs(verts[:, 0]) > 0.5].min() > 0.1


def test_position_colours_change_little_along_an_edge_and_use_the_palette():
    verts, faces = sphere(4)
    colors = oklab(linear(position_colors(verts)))
    assert np.linalg.norm(colors[faces[:, 0]] - colors[faces[:, 1]], axis=1).max() < 0.06
    assert np.ptp(colors, axis=0).min() > 0.2


def test_oklab_colours_come_back_through_srgb():
    lab = np.array([[0.7, 0.1, -0.05], [0.5, -0.08, 0.06], [0.9, 0.0, 0.0]])
    np.testing.assert_allclose(oklab(linear(srgb_from_oklab(lab))), lab, atol=1e-5)


def test_position_colours_belong_to_the_picture_not_to_the_axes_of_the_file():
    verts, _ = sphere(3)
    body = verts * [1, 2, 0.5]
    lying = body[:, [2, 0, 1]]  # x ← z, y ← x, z ← y
    np.testing.assert_allclose(position_colors(lying, view=View(up="z", front="x")), position_colors(body), atol=1e-9)


def test_numbers_are_clamped_to_the_scale_and_the_unknown_is_grey():
    colors = value_colors(np.array([-1.0, 0.0, 2.0, 9.0, np.nan]), ERROR_MAP, low=0.0, high=2.0)
    np.testing.assert_allclose(colors[0], colors[1])
    np.testing.assert_allclose(colors[2], ERROR_MAP(1.0)[:3])
    np.testing.assert_allclose(colors[2], colors[3])
    np.testing.assert_allclose(colors[4], UNKNOWN)
