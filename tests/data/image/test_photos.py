"""The embedded photographs: their ground truth is what the formulas and the pixels say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from pullback.data.errors import MissingDataError
from pullback.data.image.io import read_pixels
from pullback.data.image.sets.photos import Photos, carried_mask
from pullback.data.image.warps import Warp

PHOTOS = Path(__file__).resolve().parents[3] / "data" / "photos"
WAVY = Warp([[0.9, -0.2, 5.0], [0.3, 1.1, -4.0]], [[2.0, 1.0, 0.5, 1.2, 0.1], [0.0, 3.0, 1.0, 0.2, 0.6]], (20, 30))


@pytest.fixture(scope="module")
def pairs():
    photos = Photos(PHOTOS)
    return [photos.load(i) for i in range(len(photos))]


def test_a_warp_is_its_formula():
    for x, y in ((0.0, 0.0), (12.5, 7.25), (29.0, 19.0)):
        x1, y1 = 0.9 * x - 0.2 * y + 5, 0.3 * x + 1.1 * y - 4
        for ax, ay, cx, cy, phase in WAVY.waves:
            wave = np.sin(2 * np.pi * (cx * x / 30 + cy * y / 20 + phase))
            x1, y1 = x1 + ax * wave, y1 + ay * wave
        point = torch.tensor([x, y], dtype=torch.float64)
        assert torch.allclose(WAVY.xy21(point), torch.tensor([x1, y1], dtype=torch.float64))


def test_the_flow_of_a_warp_leads_each_pixel_to_its_place():
    flow = WAVY.flow21()
    assert flow.shape == (2, 20, 30)
    place = WAVY.xy21(torch.tensor([17.0, 4.0], dtype=torch.float64))
    assert torch.allclose(flow[:, 4, 17].double() + torch.tensor([17.0, 4.0]), place, atol=1e-5)


def test_the_jacobian_is_the_derivative():
    point = torch.tensor([11.3, 6.2], dtype=torch.float64)
    numeric = torch.autograd.functional.jacobian(WAVY.xy21, point)
    assert torch.allclose(WAVY.jacobian(point), numeric)


def test_a_mask_is_carried_by_the_flow_and_ends_with_the_photograph():
    mask1 = torch.zeros(4, 5, dtype=torch.bool)
    mask1[1, 4] = mask1[0, 0] = True
    flow = torch.zeros(2, 3, 6)
    flow[0] = 1.0
    assert carried_mask(mask1, flow).nonzero().tolist() == [[1, 3]]


def test_eight_pairs_need_no_download(pairs):
    assert [pair.subset for pair in pairs] == ["stereo"] * 2 + ["warp"] * 6
    assert Photos(PHOTOS).check() == "photos: 8 pairs (2 stereo, 6 warp)"
    assert sum(path.stat().st_size for path in PHOTOS.iterdir()) < 3e6
    assert (PHOTOS / "README.md").is_file()


def test_the_flow_explains_the_photographs(pairs):
    """Image 1 at the matches looks like image 2 up to light: its grey levels correlate,
    and far better than without the flow.
    """
    for pair in pairs:
        rows, columns = pair.known2.nonzero().numpy().T
        flow = pair.flow21[:, rows, columns].numpy()
        grey1, grey2 = (image.pixels.float().mean(dim=0).numpy() for image in (pair.image1, pair.image2))
        matched = map_coordinates(grey1, [rows + flow[1], columns + flow[0]], order=1, mode="nearest")
        unmoved = map_coordinates(grey1, [rows, columns], order=1, mode="nearest")
        here = grey2[rows, columns]
        assert np.corrcoef(matched, here)[0, 1] > 0.85, pair.name
        assert np.corrcoef(matched, here)[0, 1] > np.corrcoef(unmoved, here)[0, 1] + 0.2, pair.name


def test_keypoints_follow_the_flow_and_lie_on_the_object(pairs):
    for pair in pairs:
        assert len(pair.keypoints2) >= 8
        columns, rows = pair.keypoints2.long().T
        assert pair.known2[rows, columns].all()
        assert torch.allclose(pair.keypoints2 + pair.flow21[:, rows, columns].T, pair.keypoints1, atol=1e-3)
        for image, points in ((pair.image1, pair.keypoints1), (pair.image2, pair.keypoints2)):
            assert (points >= image.box[:2] - 1).all(), pair.name
            assert (points <= image.box[2:] + 1).all(), pair.name


def test_known_matches_lie_on_image_1(pairs):
    for pair in pairs:
        rows, columns = pair.known2.nonzero().T
        x, y = columns + pair.flow21[0, rows, columns], rows + pair.flow21[1, rows, columns]
        height, width = pair.image1.size
        assert x.min() >= -0.5
        assert y.min() >= -0.5
        assert x.max() <= width - 0.5
        assert y.max() <= height - 0.5
        assert 0.2 < float(pair.known2.float().mean()) < 0.9


def test_no_warp_folds():
    for files in Photos(PHOTOS).pairs:
        if "warp" in files.written:
            warp = Warp.of(files.written["warp"], read_pixels(PHOTOS / files.written["image2"]).shape[1:])
            assert torch.linalg.det(warp.jacobian(warp.pixels2())).min() > 0.2


def test_hidden_points_of_the_stereo_scene_do_not_count(pairs):
    """No two known pixels of a row share a place on the right photograph with different depths."""
    for pair in pairs[:2]:
        rows, columns = pair.known2.nonzero().numpy().T
        disparity = -pair.flow21[0].numpy()[rows, columns]
        cell = rows * 10_000 + np.round(columns - disparity).astype(int)
        order = np.lexsort((disparity, cell))
        same = np.diff(cell[order]) == 0
        assert np.diff(disparity[order])[same].max() < 1.1


def test_an_absent_embedded_set_says_how_to_restore_it(tmp_path):
    with pytest.raises(MissingDataError, match=r"(?s)pairs\.json.*git checkout -- data/photos"):
        Photos(tmp_path).check()
    (tmp_path / "pairs.json").write_text((PHOTOS / "pairs.json").read_text())
    with pytest.raises(MissingDataError, match=r"lacks 18 of 18 files"):
        Photos(tmp_path).check()
