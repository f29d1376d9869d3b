from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tests.figures.looks import Mesh
from tests.meshes import sphere

from pullback.figures.correspondence import draw_correspondence, errors_on_surface, representative_pairs
from pullback.figures.picture import Panel, Picture, sheet


@pytest.fixture
def ball():
    verts, faces = sphere(3)
    return Mesh(verts * [0.4, 1.6, 0.3], faces)  # slender: fewer pixels to draw


def visible_difference(image1, image2):
    both = (image1[..., 3] == 255) & (image2[..., 3] == 255)
    return np.abs(image1.astype(int) - image2)[both][:, :3].max(axis=1)


def test_the_identity_map_gives_both_shapes_the_same_picture(ball):
    picture = draw_correspondence(ball, ball, np.arange(len(ball.verts)), title="identity")
    np.testing.assert_array_equal(picture.panels[0].image, picture.panels[1].image)


def test_the_true_map_carries_colours_to_a_renumbered_copy(ball):
    order = np.random.default_rng(0).permutation(len(ball.verts))
    renumbered = Mesh(ball.verts[order], np.argsort(order)[ball.faces])
    picture = draw_correspondence(ball, renumbered, torch.from_numpy(order), title="renumbered")
    assert visible_difference(picture.panels[0].image, picture.panels[1].image).max() <= 1


def test_a_left_right_flip_shows(ball):
    flip = np.linalg.norm(ball.verts[:, None] * [-1, 1, 1] - ball.verts[None], axis=-1).argmin(axis=1)
    picture = draw_correspondence(ball, ball, flip, title="flipped")
    assert np.median(visible_difference(picture.panels[0].image, picture.panels[1].image)) > 40


def test_what_is_not_to_be_trusted_is_pale(ball):
    sure = np.where(ball.verts[:, 1] > 0, 0.9, 0.1)
    plain, faded = (
        draw_correspondence(ball, ball, np.arange(len(ball.verts)), title="", confidence2=confidence).panels[1].image
        for confidence in (None, sure)
    )
    h, w = plain.shape[:2]
    assert np.array_equal(plain[h // 4, w // 2], faded[h // 4, w // 2])
    lower = faded[3 * h // 4, w // 2, :3].astype(int)
    assert np.ptp(lower) < 20 < np.ptp(plain[3 * h // 4, w // 2, :3].astype(int))


def test_what_has_no_partner_is_pale_on_either_shape(ball):
    upper = ball.verts[:, 1] > 0
    given = {"title": "", "matched": (upper, upper)}
    panels = draw_correspondence(ball, ball, np.arange(len(ball.verts)), **given).panels
    h, w = panels[0].image.shape[:2]
    for panel in panels:
        below, above = (panel.image[row, w // 2, :3].astype(int) for row in (3 * h // 4, h // 4))
        assert np.ptp(below) < 20 < np.ptp(above)


def test_known_errors_add_a_panel_with_its_scale_and_larger_errors_are_darker(ball):
    errors = np.where(ball.verts[:, 0] < 0, 0.0, 0.5)
    picture = draw_correspondence(ball, ball, np.arange(len(ball.verts)), title="errors", errors2=errors)
    heat = picture.panels[2].image
    h, w = heat.shape[:2]
    assert heat[h // 2, w // 4, :3].mean() > heat[h // 2, 3 * w // 4, :3].mean() + 80
    assert (picture.bar.low, picture.bar.high) == ("0", "≥ 10") and "unknown" not in picture.bar.label


def test_a_map_of_the_other_direction_is_refused(ball):
    verts, faces = sphere(2)
    with pytest.raises(ValueError, match="shape 2 has 162 vertices and shape 1 has 642"):
        draw_correspondence(ball, Mesh(verts, faces), np.zeros(642, dtype=int), title="")
    with pytest.raises(ValueError, match="from 0 to 200"):
        draw_correspondence(Mesh(verts, faces), Mesh(verts, faces), np.full(162, 200) * (np.arange(162) > 0), title="")


def test_errors_stay_at_their_landmarks_and_repeated_landmarks_are_averaged(ball):
    errors = errors_on_surface(ball, torch.tensor([5, 5, 9]), torch.tensor([0.1, 0.3, 0.4]))
    assert errors[5] == pytest.approx(0.2) and errors[9] == pytest.approx(0.4)


def test_errors_spread_to_the_surroundings_and_no_farther(ball):
    errors = errors_on_surface(ball, np.array([0]), np.array([0.25]))
    distance = np.linalg.norm(ball.verts - ball.verts[0], axis=1)
    known = np.isfinite(errors)
    assert 20 < known.sum() < 100
    np.testing.assert_allclose(errors[known], 0.25)
    assert distance[known].max() < distance[~known].max() and known[distance < 0.05].all()


def test_best_median_and_worst_pair_are_chosen_by_error():
    errors = {"a": 3.0, "b": 1.0, "c": 9.0, "d": 2.0, "e": float("nan"), "f": 5.0}
    assert representative_pairs(errors) == {"best": "b", "median": "a", "worst": "c"}


def test_few_pairs_are_each_shown_once():
    assert representative_pairs({"a": 3.0}) == {"best": "a"}
    assert representative_pairs({"a": 3.0, "b": 4.0}) == {"best": "a", "worst": "b"}
    with pytest.raises(ValueError, match="no pair has a finite error"):
        representative_pairs({"a": float("nan")})


def test_a_sheet_shows_the_panels_pixel_for_pixel(ball):
    picture = draw_correspondence(ball, ball, np.arange(len(ball.verts)), title="A pair", names=("one", "two"))
    figure = sheet([picture, picture])
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())
    panel = picture.panels[0].image
    row, column = panel.shape[0] // 2, panel.shape[1] // 2
    colour = panel[row, column - 3 : column + 4, :3]
    found = np.lib.stride_tricks.sliding_window_view(drawn[..., :3], (7, 3), axis=(1, 2)).reshape(
        drawn.shape[0], -1, 7, 3
    )
    assert (found == colour).all(axis=(2, 3)).sum() >= 4  # two panels in each of two pictures
    assert (drawn[0, 0] == 255).all()


def test_an_empty_sheet_is_refused():
    with pytest.raises(ValueError, match="at least one picture"):
        sheet([])


def test_captions_on_a_sheet_stay_under_their_panels():
    long = "a_name_of_a_file_that_goes_on_and_on_without_a_blank " * 3
    panel = Panel(np.zeros((90, 180, 4), dtype=np.uint8), long)
    figure = sheet([Picture(long, (panel, panel, panel, panel), note=long)], gap=40)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.texts]
    title, note, *labels = boxes
    assert title.x0 >= 0 and title.x1 <= note.x0 and note.x1 <= figure.bbox.width
    for box, after in pairwise(labels):
        assert box.x1 <= after.x0 and box.y0 >= 0 and box.y1 <= 84
    assert labels[0].x0 >= 0 and all(text.get_text().endswith("…") for text in figure.texts)
