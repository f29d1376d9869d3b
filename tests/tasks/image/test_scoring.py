"""Scoring stored matches of photographs: right where the true match is stored,
and wrong by as much as a wrong convention costs.
"""

import dataclasses
import logging

import numpy as np
import pytest
import torch
from tests.image_pairs import PairList, stretched, stretched_pair

from pullback.data.image.decoding import ImageError
from pullback.data.image.sets.tss import TSS
from pullback.mapping.grid_match import patch_centres, patch_of
from pullback.tasks.image.results import ImageProtocol
from pullback.tasks.image.scoring import score_image_pair, score_image_store
from pullback.tasks.store import PredictionStore

PROTOCOL = ImageProtocol("all", "image1", "bilinear", "none", "raw", "raw: basis", "none", 0)
SIZE1, SIZE2, GRID1, GRID2 = (24, 48), (32, 24), (6, 8), (8, 6)  # patches of 4 × 6 and of 4 × 4 pixels (height × width)


@pytest.fixture
def store(tmp_path):
    return PredictionStore(tmp_path, {"seed": 0})


def true_places():
    """Where the patches of image 2 lie on image 1."""
    return stretched(patch_centres(GRID2, SIZE2), SIZE1, SIZE2)


def save(store, pair, xy21, *, grid2=GRID2, patches2=None, **arrays):
    patches2 = torch.arange(grid2[0] * grid2[1]) if patches2 is None else patches2
    sizes = {"size1": torch.tensor(pair.image1.size), "size2": torch.tensor(pair.image2.size)}
    grids = {"grid1": torch.tensor(GRID1), "grid2": torch.tensor(grid2), "patches2": patches2}
    store.save(
        pair.name, torch.zeros(len(xy21), dtype=torch.long), **{"xy21": xy21.float(), **sizes, **grids, **arrays}
    )


def score_of(store, pair, **options):
    return score_image_pair(
        store.load(pair.name), pair, **{"pck_reference": "image1", "interpolation": "bilinear"} | options
    )


def score(store, pairs, protocol=PROTOCOL, **options):
    pairs = pairs if hasattr(pairs, "name") else PairList(pairs)
    return score_image_store(store, pairs, dataset="stretched", split="test", protocol=protocol, **options)


def shifted_pair(shift=(5.0, -3.0), **options):
    """Image 1 shows image 2 moved by ``shift``."""
    pair = stretched_pair(size1=SIZE2, size2=SIZE2, **options)
    offset = torch.tensor(shift)
    keypoints1 = None if pair.keypoints2 is None else pair.keypoints2 + offset
    flow21 = None if pair.flow21 is None else pair.flow21 + offset[:, None, None]
    return dataclasses.replace(pair, keypoints1=keypoints1, flow21=flow21)


def test_the_true_match_of_a_moved_picture_has_no_error_and_a_smooth_flow(store):
    pair = shifted_pair(keypoints=True)
    save(store, pair, patch_centres(GRID2, SIZE2) + torch.tensor([5.0, -3.0]))
    found = score_of(store, pair)
    assert (found.flow.mean, found.keypoints.mean) == (pytest.approx(0, abs=1e-5), pytest.approx(0, abs=1e-5))
    assert (found.flow.pck(0.05), found.keypoints.pck(0.05)) == (1.0, 1.0)
    assert found.smoothness == pytest.approx(0, abs=1e-5) and found.smoothness_truth == 0
    assert found.excluded_pixels == 0


def test_a_known_displacement_of_the_match_is_the_error(store):
    pair = shifted_pair(keypoints=True)
    save(store, pair, patch_centres(GRID2, SIZE2) + torch.tensor([5.0 + 3.0, -3.0 + 4.0]))
    found = score_of(store, pair)
    assert (found.flow.mean, found.keypoints.mean) == (pytest.approx(5), pytest.approx(5))
    assert [found.flow.pck(kappa) for kappa in (0.05, 0.1, 0.2)] == [0.0, 0.0, 1.0]  # L = 32: 1.6, 3.2 and 6.4 pixels


def test_photographs_and_grids_of_different_sizes_are_told_apart(store):
    pair = stretched_pair(size1=SIZE1, size2=SIZE2, keypoints=True)
    save(store, pair, true_places())
    found = score_of(store, pair)
    assert found.flow.mean < 0.5  # bilinear is exact but within half a patch of the border
    assert found.flow.length == 48


def true_division(patches, grid1, grid2):
    return patches / grid1[1], patches % grid1[1]


def target_width(patches, grid1, grid2):
    return patches // grid2[1], patches % grid2[1]


def swapped_axes(patches, grid1, grid2):
    return patches % grid1[1], patches // grid1[1]


def decoded(patches, convention, *, swapped_scale=False):
    """Places on image 1 of patches numbered on its grid, under a convention found in released code."""
    row, column = convention(patches, GRID1, GRID2)
    height, width = SIZE1[0] / GRID1[0], SIZE1[1] / GRID1[1]
    if swapped_scale:
        height, width = width, height
    return torch.stack([(column + 0.5) * width - 0.5, (row + 0.5) * height - 0.5], dim=1)


@pytest.mark.parametrize(
    ("convention", "swapped_scale"),
    [
        (true_division, False),  # idx / W leaves the column's fraction in the row
        (target_width, False),  # the width of image 2's grid decodes indices of image 1's
        (swapped_axes, False),
        (lambda patches, grid1, grid2: (patches // grid1[1], patches % grid1[1]), True),  # x by H / h and y by W / w
    ],
)
def test_a_wrong_convention_of_released_code_would_be_seen(store, convention, swapped_scale):
    pair = stretched_pair(size1=SIZE1, size2=SIZE2, keypoints=True)
    p2p21 = patch_of(true_places(), GRID1, SIZE1)
    save(store, pair, patch_centres(GRID1, SIZE1, p2p21))
    right = score_of(store, pair)
    assert right.flow.mean < 2 and right.flow.pck(0.1) == 1.0  # less than half a patch
    save(store, pair, decoded(p2p21, convention, swapped_scale=swapped_scale))
    wrong = score_of(store, pair)
    assert wrong.flow.mean > right.flow.mean + 0.4
    assert wrong.keypoints.mean > right.keypoints.mean


def test_unknown_flow_is_excluded_and_counted(store):
    mask2 = torch.zeros(SIZE2, dtype=torch.bool)
    mask2[4:20, 4:20] = True
    pair = shifted_pair(mask2=mask2)
    flow21, known2 = pair.flow21.clone(), pair.known2.clone()
    flow21[:, 4:6], known2[19] = 1e10, False  # two rows of the object, and one row marked unknown by the data set
    pair = dataclasses.replace(pair, flow21=flow21, known2=known2)
    save(store, pair, patch_centres(GRID2, SIZE2) + torch.tensor([5.0, -3.0]))
    found = score_of(store, pair)
    assert (found.flow.count, found.excluded_pixels) == (13 * 16, 3 * 16)
    assert found.flow.mean == pytest.approx(0, abs=1e-5)
    assert (
        found.smoothness == pytest.approx(found.smoothness_truth) == pytest.approx((5 + 3) * 2 * (13 + 16) / (13 * 16))
    )


def test_without_true_flow_the_smoothness_is_that_of_the_box_of_image_2(store):
    pair = shifted_pair(keypoints=True, dense=False)
    pair = dataclasses.replace(pair, image2=dataclasses.replace(pair.image2, box=torch.tensor([2.0, 2.0, 11.0, 9.0])))
    save(store, pair, patch_centres(GRID2, SIZE2) + torch.tensor([5.0, -3.0]))
    found = score_of(store, pair)
    assert (found.region, found.flow, found.excluded_pixels, found.smoothness_truth) == ("box", None, None, None)
    assert found.smoothness == pytest.approx((5 + 3) * 2 * (10 + 8) / 80, rel=1e-5)


def test_a_pair_without_ground_truth_has_a_smoothness_and_no_need_of_a_length(store):
    pair = stretched_pair(size1=SIZE1, size2=SIZE2, dense=False)
    save(store, pair, true_places())
    found = score_of(store, pair, pck_reference="box1")
    assert (found.points, found.mean, found.region) == (None, None, "image")
    assert found.smoothness > 0


def test_keypoints_go_with_their_patch_or_between_patches_as_the_protocol_says(store):
    pair = stretched_pair(size1=SIZE1, size2=SIZE2, keypoints=True)
    save(store, pair, true_places())
    nearest = score(store, [pair], dataclasses.replace(PROTOCOL, interpolation="nearest")).pairs[0].score
    bilinear = score(store, [pair]).pairs[0].score
    assert bilinear.keypoints.mean < 0.1 < nearest.keypoints.mean
    assert nearest.flow.mean == bilinear.flow.mean


def test_the_protocol_names_the_length_that_is_used(store):
    pair = stretched_pair(size1=SIZE1, size2=SIZE2, keypoints=True)
    save(store, pair, true_places())
    by_box = score(store, [pair], dataclasses.replace(PROTOCOL, pck_reference="box1"))
    assert by_box.pairs[0].score.keypoints.length == 20.0


def test_a_graph_of_some_patches_is_scored_with_those(store):
    pair = shifted_pair()
    patches2 = torch.tensor([7, 8, 13, 14])
    save(store, pair, patch_centres(GRID2, SIZE2, patches2) + torch.tensor([5.0, -3.0]), patches2=patches2)
    assert score_of(store, pair).flow.mean == pytest.approx(0, abs=1e-5)


def test_pairs_that_cannot_be_scored_have_failed_and_the_others_are_scored(store, caplog):
    pairs = [stretched_pair(name, SIZE1, SIZE2) for name in ("missing", "cropped", "mesh", "good")]
    save(store, stretched_pair("cropped", SIZE1, (16, 24)), patch_centres((4, 6), (16, 24)), grid2=(4, 6))
    store.save("mesh", torch.arange(4))
    save(store, pairs[3], true_places(), seconds=np.float64(0.25))
    with caplog.at_level(logging.WARNING):
        result = score(store, pairs)
    missing, cropped, mesh, good = result.pairs
    assert [pair.status for pair in result.pairs] == ["failed", "failed", "failed", "ok"]
    assert "run=[match,score] makes it" in missing.message
    assert (
        "(24, 48) and (16, 24) pixels" in cropped.message
        and "have (24, 48) and (32, 24); set data.crop" in cropped.message
    )
    assert "xy21" in mesh.message
    assert good.seconds == 0.25 and result.metrics()["epe"] < 0.5


def test_the_outcome_names_pair_subset_and_photographs(store):
    pair = dataclasses.replace(stretched_pair("a b", SIZE1, SIZE2, subset="cars"), mirrored=True)
    save(store, pair, true_places())
    outcome = score(store, [pair]).pairs[0]
    assert (outcome.pair, outcome.subset, outcome.image1, outcome.image2) == ("a b", "cars", "a b-1", "a b-2")
    assert outcome.mirrored


def test_progress_counts_the_pairs(store):
    counts = []
    score(store, [stretched_pair("a"), stretched_pair("b")], progress=counts.append)
    assert counts == [1, 1]


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["FG3DCar-001_005", "JODS-car_03_04"])  # masks of 0 and 255, and of 0 and 1
def test_the_true_flow_of_tss_read_off_at_patches_scores_as_the_truth(real_data_dir, store, name):
    data = TSS(real_data_dir / "TSS_CVPR2016", allow_missing=True)
    pair = next(data.load(i) for i in range(len(data)) if data.pair_name(i) == name)
    grid = (40, 60)
    centres = patch_centres(grid, pair.image2.size)
    x, y = centres.round().long().T
    patches2 = pair.known2[y, x].nonzero()[:, 0]
    save(store, pair, centres[patches2] + pair.flow21[:, y, x].T[patches2], grid2=grid, patches2=patches2)
    found = score_of(store, pair)
    assert found.excluded_pixels == 0 and found.flow.count == int(pair.image2.mask.sum()) > 20_000
    assert found.flow.mean < 0.5 and found.flow.pck(0.05) > 0.999
    assert found.smoothness == pytest.approx(found.smoothness_truth, rel=0.05)


class OneUnread(list):
    """Pairs, of which the second cannot be read."""

    def __getitem__(self, i):
        if i == 1:
            raise ImageError("b.json: its box is \x1b[31mempty")
        return super().__getitem__(i)

    def name(self, i):
        return "ab"[i]

    def subset(self, i):
        return "cats"


def test_a_pair_whose_files_cannot_be_read_has_failed_and_the_others_are_scored(store):
    pair = dataclasses.replace(shifted_pair(keypoints=True), name="a")
    save(store, pair, patch_centres(GRID2, SIZE2) + torch.tensor([5.0, -3.0]))
    first, second = score(store, OneUnread([pair, pair])).pairs
    assert (first.status, second.status) == ("ok", "failed")
    assert (second.subset, second.pair, second.message) == ("cats", "b", "b.json: its box is [31mempty")
