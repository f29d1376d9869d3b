import numpy as np
import pytest
import torch
from tests.figures.looks import Mesh, dominant
from tests.meshes import sphere

from pullback.figures.fmap import draw_features, fmap_figure, fmaps_figure


def test_the_map_is_shown_before_and_after_with_the_block_that_compares():
    after = torch.linspace(-1, 1, 30).reshape(6, 5)
    before = after[:4, :3] + 0.1
    images = [axes.get_images()[0].get_array() for axes in fmap_figure(before, after).axes if axes.get_images()]
    for shown, expected in zip(
        images, [before, after[:4, :3], after, before.abs(), after[:4, :3].abs(), after.abs()], strict=True
    ):
        np.testing.assert_allclose(shown, expected, rtol=1e-6)


def test_maps_of_one_size_before_and_after_are_not_shown_twice():
    figure = fmap_figure(np.eye(4), 0.5 * np.eye(4))
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]
    assert [title for title in titles if title] == ["before refinement, 4 × 4", "after refinement, 4 × 4"]


def test_signed_colours_are_symmetric_and_a_row_shares_its_scale():
    figure = fmap_figure(np.diag([1.0, 0.2]), np.diag([0.9, -0.3, 0.1]))
    limits = [axes.get_images()[0].get_clim() for axes in figure.axes if axes.get_images()]
    assert len(set(limits[:3])) == 1 and len(set(limits[3:])) == 1
    low, high = limits[0]
    assert low == -high and limits[3] == (0, high)


def test_features_share_one_scale_on_both_shapes():
    verts, faces = sphere(3)
    shape = Mesh(verts * [0.4, 1.6, 0.3], faces)
    x = torch.from_numpy(verts[:, :1])
    (picture,) = draw_features(shape, shape, x, x + 10)
    low, high = (panel.image[panel.image.shape[0] // 2, panel.image.shape[1] // 2] for panel in picture.panels)
    assert dominant(low) == 2 and dominant(high) == 0  # blue against red
    assert float(picture.bar.low) < 0 and float(picture.bar.high) > 10


def test_channels_that_vary_and_differ_are_chosen():
    verts, faces = sphere(2)
    shape = Mesh(verts * [0.2, 1, 0.2], faces)
    x, y, z = torch.from_numpy(verts).T
    features = torch.stack([0.01 * z, 3 * x, 2.9 * x, 2 * y, torch.full_like(x, 50.0)], dim=1)
    chosen = [picture.title for picture in draw_features(shape, shape, features, features, count=3)]
    assert chosen == ["channel 1", "channel 3", "channel 0"]


def test_bfloat16_features_and_fewer_channels_than_asked_are_fine():
    verts, faces = sphere(2)
    shape = Mesh(verts * [0.2, 1, 0.2], faces)
    features = torch.from_numpy(verts[:, :2]).to(torch.bfloat16)
    assert len(draw_features(shape, shape, features, features, count=4)) == 2


def test_features_of_two_networks_are_refused():
    verts, faces = sphere(1)
    with pytest.raises(ValueError, match="3 feature channels on shape 1 and 2 on shape 2"):
        draw_features(Mesh(verts, faces), Mesh(verts, faces), verts, verts[:, :2])


def test_named_maps_show_their_block_and_the_whole_on_one_scale():
    maps = {"without": np.diag(np.linspace(0.1, 1, 60)), "with": torch.eye(60)}
    images = [axes.get_images()[0] for axes in fmaps_figure(maps, block=50).axes if axes.get_images()]
    titles = [axes.get_title(loc="left") for axes in fmaps_figure(maps, block=50).axes if axes.get_title(loc="left")]
    assert titles == ["without\n50 × 50", "with\n50 × 50", "without\n60 × 60", "with\n60 × 60"]
    expected = [maps["without"][:50, :50], np.eye(50), maps["without"], np.eye(60)]
    for top, bottom, matrix in zip(images[:4], images[4:], expected, strict=True):
        np.testing.assert_allclose(top.get_array(), matrix)
        np.testing.assert_allclose(bottom.get_array(), abs(matrix))
    assert len({image.get_clim() for image in images[:4]}) == 1
    with pytest.raises(ValueError, match="at least one"):
        fmaps_figure({})
