import numpy as np
import pytest
import torch
from tests.figures.photographs import gradient_photo, left_half, shift, still

from pullback.figures.image_pair import (
    dense_errors,
    draw_dense_correspondence,
    draw_image_match,
    draw_texture_transfer,
    rainbow,
)
from pullback.figures.page import data_uri
from pullback.figures.picture import Panel
from pullback.figures.thumbnail import Thumbnail, panel_height, thumbnails
from pullback.types import Image


def images(picture):
    return [panel.image.astype(int) for panel in picture.panels]


def test_the_identity_gives_both_photographs_the_same_colours():
    photo = gradient_photo()
    dense = images(draw_dense_correspondence(photo, photo, still(), title="", dress="plain"))
    np.testing.assert_array_equal(dense[0], dense[1])
    texture = images(draw_texture_transfer(photo, photo, still(), title="", dress="plain"))
    assert abs(texture[2] - texture[0]).max() <= 1


def test_a_shifted_flow_shifts_the_colours():
    photo = gradient_photo()
    source, _, carried = images(draw_texture_transfer(photo, photo, shift(12.0, -5.0), title="", dress="plain"))
    scale = source.shape[0] / 40
    dx, dy = round(12 * scale), round(-5 * scale)
    h, w = source.shape[:2]
    inside = carried[-dy + 5 : h - 5, 5 : w - dx - 5]
    assert abs(inside - source[5 : h + dy - 5, dx + 5 : w - 5]).max() <= 3
    # the match lies outside of image 1
    assert (carried[:, w - dx + 5 :, 3] == 0).all() and (carried[: -dy - 5, :, 3] == 0).all()


def test_x_and_y_are_not_exchanged_between_photographs_of_different_sizes():
    photo1, photo2 = gradient_photo(40, 60), gradient_photo(80, 30)
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(30.0), indexing="ij")
    flow = torch.stack([(x + 0.5) * 2 - 0.5 - x, (y + 0.5) / 2 - 0.5 - y])  # stretches image 2 over image 1
    source, target, carried = images(draw_texture_transfer(photo1, photo2, flow, title="", dress="plain"))
    assert source.shape[0] == target.shape[0] == carried.shape[0]
    np.testing.assert_allclose(carried[:, [5, -6], 0].mean(axis=0), target[:, [5, -6], 0].mean(axis=0), atol=8)
    np.testing.assert_allclose(carried[[5, -6], :, 1].mean(axis=1), target[[5, -6], :, 1].mean(axis=1), atol=8)


def test_masked_pixels_are_transparent_and_blended_ones_keep_the_photograph():
    photo = gradient_photo(mask=left_half())
    masked = images(draw_dense_correspondence(photo, photo, still(), title="", dress="masked"))[1]
    middle = masked.shape[1] // 2
    assert (masked[:, : middle - 3, 3] == 255).all() and (masked[:, middle + 3 :, 3] == 0).all()
    blended = images(draw_dense_correspondence(photo, photo, still(), title="", dress="blended"))[1]
    assert (blended[..., 3] == 255).all()
    outside = blended[:, middle + 3 :, :3]
    assert np.ptp(outside, axis=-1).max() == 0  # grey
    assert np.ptp(blended[:, : middle - 3, :3], axis=-1).max() > 60


def test_another_dress_is_refused():
    with pytest.raises(ValueError, match="dress='naked'"):
        draw_texture_transfer(gradient_photo(), gradient_photo(), still(), title="", dress="naked")


def test_a_flow_of_the_other_direction_is_refused():
    with pytest.raises(ValueError, match=r"\(40, 60\) do not lie on a photograph of \(30, 50\)"):
        draw_texture_transfer(gradient_photo(), gradient_photo(30, 50), still(), title="")


def test_unknown_matches_are_no_colour_and_no_warning():
    flow = still()
    flow[:, :, 30:] = np.nan
    photo = gradient_photo()
    for drawn in (draw_texture_transfer, draw_dense_correspondence):
        last = images(drawn(photo, photo, flow, title="", dress="plain"))[-1]
        assert (last[:, -100:, 3] == 0).all() and (last[:, :100, 3] == 255).all()


def test_rainbow_hues_turn_about_the_centre_and_pale_towards_it():
    xy = np.array([[10.0, 5.0], [5.0, 10.0], [0.0, 5.0], [5.0, 5.0], [np.nan, 0.0]])
    right, below, left, centre, unknown = rainbow(xy, centre=np.array([5.0, 5.0]), radius=5.0)
    np.testing.assert_allclose(right, [1, 0.2, 0.2])  # hue 0, saturation 0.8
    np.testing.assert_allclose(below, [0.6, 1, 0.2], atol=1e-9)  # a quarter of the circle
    np.testing.assert_allclose(left, [0.2, 1, 1], atol=1e-9)
    np.testing.assert_allclose(centre, [1, 0.8, 0.8])  # saturation 0.2
    assert np.isnan(unknown).all()


def test_the_errors_of_a_flow_are_shares_of_the_longer_side_where_the_truth_is_known():
    errors = dense_errors(shift(3.0, 4.0), still(), size1=(20, 50), known2=left_half())
    np.testing.assert_allclose(errors[:, :30], 0.1)
    assert np.isnan(errors[:, 30:]).all()
    picture = draw_dense_correspondence(gradient_photo(), gradient_photo(), still(), title="", errors2=errors)
    heat = images(picture)[2]
    assert heat[50, 50].tolist()[:3] == [92, 13, 58] and picture.bar.high == "≥ 10 %"


def test_thumbnails_of_a_pair_have_one_height_and_keep_their_proportions():
    tall, wide = gradient_photo(90, 30), gradient_photo(50, 400)
    assert panel_height(tall) == 360
    small1, small2 = thumbnails(tall, wide)
    assert small1.pixels.shape[0] == small2.pixels.shape[0] == 65
    assert abs(small2.pixels.shape[1] - 520) <= 1 and small1.pixels.shape[1] == 22


def test_places_on_a_thumbnail_go_to_the_photograph_and_back():
    small = Thumbnail.of(gradient_photo(40, 60), height=20)
    places = small.places()
    np.testing.assert_allclose(places[0, 0], [0.5, 0.5])
    np.testing.assert_allclose(places[-1, -1], [58.5, 38.5])
    row, column = np.mgrid[:20, :30]
    np.testing.assert_allclose(small.on_panel(places), np.stack([column, row], axis=-1), atol=1e-9)
    np.testing.assert_allclose(small.colors_at(places), small.pixels, atol=1e-9)


def test_a_match_of_two_photographs_is_dense_colours_texture_and_the_maps():
    pictures = draw_image_match(gradient_photo(), gradient_photo(), still(), title="a pair", fmaps={"C": np.eye(60)})
    assert [len(picture.panels) for picture in pictures] == [2, 3, 2]
    top_left, whole = (panel.image for panel in pictures[2].panels)
    assert pictures[2].panels[0].label == "C, 50 × 50" and top_left.shape == whole.shape == (300, 300, 4)
    dark = whole[..., 0] < 128
    assert dark[np.arange(300), np.arange(300)].all() and not dark[0, 10:].any()


def test_photographs_are_stored_as_jpeg_and_what_is_transparent_as_png():
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 4), dtype=np.uint8)
    noise[..., 3] = 255
    assert data_uri(Panel(noise, "", photographic=True)).startswith("data:image/jpeg;base64,/9j/")
    assert data_uri(Panel(noise, "")).startswith("data:image/png")
    noise[0, 0, 3] = 0
    assert data_uri(Panel(noise, "", photographic=True)).startswith("data:image/png")


def test_a_photograph_of_one_pixel_is_no_error():
    photo = Image("dot", torch.full((3, 1, 1), 128, dtype=torch.uint8))
    for picture in draw_image_match(photo, photo, torch.zeros(2, 1, 1), title=""):
        assert all(panel.image.size > 0 for panel in picture.panels)


def test_what_is_not_to_be_trusted_and_what_has_no_match_is_drawn_pale():
    photo = Image("photo", torch.randint(256, (3, 60, 90), generator=torch.Generator().manual_seed(0)).to(torch.uint8))
    flow = torch.zeros(2, 60, 90)
    flow[:, :, :20] = torch.nan
    confidence = np.ones((60, 90), dtype=np.float32)
    confidence[:, 70:] = 0.2
    for draw in (draw_dense_correspondence, draw_texture_transfer):
        image = draw(photo, photo, flow, title="", confidence2=confidence).panels[-1].image
        colour = np.ptp(image[..., :3].astype(int), axis=2)
        w = image.shape[1]
        assert colour[:, : int(0.2 * w)].max() <= 1 and colour[:, int(0.8 * w) :].max() <= 1
        assert colour[:, int(0.3 * w) : int(0.7 * w)].mean() > 10
