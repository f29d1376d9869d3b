import numpy as np
import pytest
import torch
from tests.figures.photographs import gradient_photo, left_half, shift, still

from pullback.figures.flow import draw_flow, flow_colors, flow_wheel, roughness


def test_the_wheel_has_the_colours_of_the_benchmark():
    directions = np.array([[1.0, 0], [0, 1.0], [-1.0, 0], [0, 0], [3.0, 0], [np.nan, 0]])
    right, down, left, rest, beyond, unknown = flow_colors(directions, radius=1.0)
    np.testing.assert_allclose(right, [1, 0, 0])
    np.testing.assert_allclose(down, [1, 55 / 60, 0])  # a quarter of 55 steps is 13.75: just short of yellow
    np.testing.assert_allclose(left, [0, 1 - 2.5 / 11, 1])  # half of 55 is 27.5: from cyan at 25 towards blue at 36
    np.testing.assert_allclose(rest, [1, 1, 1])
    np.testing.assert_allclose(beyond, [0.75, 0, 0])
    assert np.isnan(unknown).all()


def test_the_key_is_a_disc_with_each_direction_where_it_points():
    wheel = flow_wheel(200, diameter=101)
    assert wheel.shape == (200, 101, 4)
    assert wheel[0, 50, 3] == 0 and wheel[100, 50, 3] == 255
    np.testing.assert_allclose(wheel[99, 97, :3] / 255.0, flow_colors(np.array([0.95, 0]), radius=1.0), atol=0.1)


def test_roughness_is_the_change_to_the_next_pixels_and_ignores_the_silhouette():
    x = np.arange(6.0)
    flow = np.stack(np.broadcast_arrays(2 * x[None, :], 3 * x[:, None]), axis=-1)
    inside = np.ones((6, 6), dtype=bool)
    inside[:, 4:] = False
    change = roughness(flow, inside)
    np.testing.assert_array_equal(change[:5, :3], 5)
    np.testing.assert_array_equal(change[:5, 3], 3)  # nothing to the right
    assert np.isnan(change[:, 4:]).all()


def test_equal_flows_look_alike_and_a_rough_one_is_darker():
    photo, rough = gradient_photo(), shift(5.0, 0.0)
    rough = rough + torch.randn(rough.shape, generator=torch.Generator().manual_seed(0)) * 3
    picture = draw_flow(photo, {"predicted": rough, "true": shift(5.0, 0.0)}, title="", known2=left_half())
    predicted, true, _, coarse, smooth = (panel.image.astype(int) for panel in picture.panels)
    assert predicted.shape == true.shape == coarse.shape
    assert (np.ptp(true.reshape(-1, 4), axis=0) == 0).all() and true[0, 0, 3] == 255
    assert smooth[..., :3].min() > 240 and coarse[..., :3].mean() < 150
    same = draw_flow(photo, {"a": rough, "b": rough}, title="")
    np.testing.assert_array_equal(same.panels[0].image, same.panels[1].image)


def test_panels_end_where_the_known_pixels_end_and_what_is_unknown_between_is_transparent():
    known = torch.zeros(40, 60, dtype=torch.bool)
    known[10:20, 10:30] = True
    known[10:15, 10:20] = False
    panel = draw_flow(gradient_photo(), {"true": shift(5.0, 0.0)}, title="", known2=known).panels[0].image
    assert panel.shape[1] == 2 * panel.shape[0]
    h, w = panel.shape[:2]
    assert (panel[: h // 2 - 1, : w // 2 - 1, 3] == 0).all() and (panel[h // 2 + 1 :, :, 3] == 255).all()


def test_unknown_flow_is_transparent_and_still_flow_is_no_division_by_zero():
    flow = still()
    flow[:, :5] = torch.inf
    panel = draw_flow(gradient_photo(), {"true": flow}, title="").panels[0].image
    assert (panel[:20, :, 3] == 0).all() and (panel[60:] == 255).all()


def test_no_flow_is_refused():
    with pytest.raises(ValueError, match="at least one flow"):
        draw_flow(gradient_photo(), {}, title="")
