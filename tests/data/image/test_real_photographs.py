"""The production loaders on TSS and PF-WILLOW, where they are at hand."""

import pytest
import torch

from pullback.data.image.io import read_mask
from pullback.data.image.sets.pf_willow import PFWillow
from pullback.data.image.sets.tss import TSS
from pullback.data.image.truth import is_known_flow, read_flo

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def tss(real_data_dir):
    if not (real_data_dir / "TSS_CVPR2016").is_dir():
        pytest.skip(f"needs TSS_CVPR2016 in {real_data_dir}")
    return TSS(real_data_dir / "TSS_CVPR2016", allow_missing=True)


def shown_on_2(pair, flow21):
    """Image 1 sampled where the flow leads from each pixel of image 2 (3, H2, W2)."""
    (height1, width1), (height2, width2) = pair.image1.size, pair.image2.size
    columns, rows = torch.meshgrid(torch.arange(width2), torch.arange(height2), indexing="xy")
    grid = torch.stack(
        [2 * (columns + flow21[0] + 0.5) / width1 - 1, 2 * (rows + flow21[1] + 0.5) / height1 - 1], dim=-1
    )
    return torch.nn.functional.grid_sample(
        pair.image1.pixels[None].float(), grid[None], align_corners=False, padding_mode="border"
    )[0]


def test_the_flow_of_tss_shows_image_1_as_image_2(tss):
    errors = []
    for i in range(len(tss)):
        pair = tss.load(i)
        for flow in (pair.flow21, torch.zeros_like(pair.flow21)):
            difference = (shown_on_2(pair, flow) - pair.image2.pixels).abs().mean(dim=0)
            errors.append(float(difference[pair.known2].mean()))
    with_flow, without = torch.tensor(errors).reshape(-1, 2).T
    assert len(with_flow) >= 7
    assert (with_flow < without).all()
    assert with_flow.mean() < 0.8 * without.mean()


def test_the_objects_of_tss_match_each_other(tss):
    for i in range(len(tss)):
        pair = tss.load(i)
        rows, columns = pair.known2.nonzero().T
        x, y = (
            (columns + pair.flow21[0, rows, columns]).round().long(),
            (rows + pair.flow21[1, rows, columns]).round().long(),
        )
        height, width = pair.image1.size
        assert x.min() >= 0
        assert y.min() >= 0
        assert x.max() < width
        assert y.max() < height
        assert pair.image1.mask[y, x].float().mean() > 0.9


def test_flow_of_the_tss_sample_is_known_exactly_on_the_masks(tss):
    assert tss.excluded.pixels == 0
    for files in tss.pairs:
        for number in (1, 2):
            flow, mask = read_flo(files.folder / f"flow{number}.flo"), read_mask(files.folder / f"mask{number}.png")
            assert torch.equal(is_known_flow(flow), mask)


def test_the_tss_sample_has_one_mirrored_pair(tss):
    mirrored = [files.name for files in tss.pairs if files.mirrored]
    assert mirrored == ["PASCAL-bike_01_03"] or len(tss) > 7


def test_willow_has_900_pairs_with_keypoints_on_the_photographs(real_data_dir):
    if not (real_data_dir / "PF-dataset-WILLOW").is_dir():
        pytest.skip(f"needs PF-dataset-WILLOW in {real_data_dir}")
    willow = PFWillow(real_data_dir / "PF-dataset-WILLOW")
    assert len(willow) == 900
    assert len(willow.subsets) == 10
    for i in range(0, 900, 9):
        pair = willow.load(i)
        assert pair.keypoints1.shape == pair.keypoints2.shape == (10, 2)
        height, width = pair.image1.size
        assert (pair.keypoints1 >= 0).all()
        assert (pair.keypoints1 <= torch.tensor([width - 1, height - 1])).all()
        assert float((pair.image1.box[2:] - pair.image1.box[:2]).max()) > 0.25 * max(height, width)
