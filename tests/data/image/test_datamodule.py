"""Cropped pairs say the same as whole ones, and the loaders give every pair once, in order."""

from dataclasses import replace

import pytest
import torch
from tests.image_fakes import rectangle, scene, write_image, write_tss
from tests.later import later

from pullback.data.errors import MissingDataError
from pullback.data.image.cropping import crop_pair, mask_box
from pullback.data.image.sets.folder import ImageFolder
from pullback.data.image.sets.tss import TSS
from pullback.types import Image, ImagePair

datamodule = later("pullback.data.image.datamodule")


def photo(seed, height, width, box):
    """A scene with an object that fills its box (x1 and y1 not included)."""
    mask = torch.from_numpy(rectangle(height, width, box))
    pixels = torch.from_numpy(scene(seed, height, width).transpose(2, 0, 1).copy())
    x0, y0, x1, y1 = box
    return Image(f"photo{seed}", pixels, "cup", mask, torch.tensor([x0, y0, x1 - 1, y1 - 1], dtype=torch.float32))


@pytest.fixture
def pair():
    """Objects of equal size, moved by (4, -3) from image 2 to image 1, with three keypoints on them."""
    image1, image2 = photo(1, 40, 50, (14, 7, 34, 19)), photo(2, 44, 42, (10, 10, 30, 22))
    flow21 = torch.zeros(2, 44, 42)
    flow21[0], flow21[1] = 4.0, -3.0
    keypoints2 = torch.tensor([[10.0, 10.0], [29.0, 21.0], [15.5, 12.25]])
    return ImagePair(
        "a-b",
        image1,
        image2,
        "cups",
        keypoints2 + torch.tensor([4.0, -3.0]),
        keypoints2,
        flow21,
        image2.mask,
        mirrored=True,
    )


@pytest.fixture
def tss(tmp_path):
    write_tss(tmp_path / "TSS_CVPR2016")
    return TSS(tmp_path / "TSS_CVPR2016", allow_missing=True)


@pytest.fixture
def own(tmp_path):
    for number in range(6):
        write_image(tmp_path / "own" / f"p{number}.png", scene(number))
    return ImageFolder(tmp_path / "own")


# --- cropping


def test_no_crop_changes_nothing(pair):
    assert crop_pair(pair, "none", margin=0.3) is pair


@pytest.mark.parametrize("crop", ["box", "mask"])
def test_a_crop_is_the_object(pair, crop):
    cropped = crop_pair(pair, crop)
    assert cropped.image1.size == cropped.image2.size == (12, 20)
    assert torch.equal(cropped.image1.pixels, pair.image1.pixels[:, 7:19, 14:34])
    assert torch.equal(cropped.image2.pixels, pair.image2.pixels[:, 10:22, 10:30])
    assert cropped.image1.mask.all()
    assert cropped.known2.all()
    assert (cropped.name, cropped.subset, cropped.mirrored, cropped.image1.category) == ("a-b", "cups", True, "cup")


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.23, 5.0])
@pytest.mark.parametrize("crop", ["box", "mask"])
def test_every_statement_about_a_pair_survives_its_crop(pair, crop, margin):
    """Colours under keypoints, at flow targets and in boxes are those of the whole photographs."""
    pair = replace(
        pair, flow21=pair.flow21 + 0.25 * torch.randn(pair.flow21.shape, generator=torch.Generator().manual_seed(0))
    )
    cropped = crop_pair(pair, crop, margin=margin)

    def colours(image, xy):
        columns, rows = xy.round().long().unbind(dim=-1)
        return image.pixels[:, rows, columns]

    for whole, cut, points, moved in (
        (pair.image1, cropped.image1, pair.keypoints1, cropped.keypoints1),
        (pair.image2, cropped.image2, pair.keypoints2, cropped.keypoints2),
    ):
        assert torch.equal(colours(whole, points), colours(cut, moved))
        assert torch.equal(colours(whole, whole.box[2:]), colours(cut, cut.box[2:]))
        assert torch.equal(cut.box[2:] - cut.box[:2], whole.box[2:] - whole.box[:2])
        assert int(cut.mask.sum()) == int(whole.mask.sum())
    assert int(cropped.known2.sum()) == int(pair.known2.sum())

    def ends(pair):
        rows, columns = pair.known2.nonzero().T
        return torch.stack([columns, rows], dim=1) + pair.flow21[:, rows, columns].T

    shift = ends(pair) - ends(cropped)
    corner1 = pair.keypoints1[0] - cropped.keypoints1[0]
    assert torch.allclose(shift, corner1.expand_as(shift), atol=1e-4)


def test_the_margin_is_a_share_of_the_longer_side_and_ends_at_the_edge(pair):
    assert crop_pair(pair, "mask", margin=0.2).image1.size == (12 + 2 * 4, 20 + 2 * 4)  # 0.2 of 19 is 3.8
    wide = crop_pair(pair, "mask", margin=10.0)
    assert torch.equal(wide.image1.pixels, pair.image1.pixels)
    assert torch.equal(wide.flow21, pair.flow21)


def test_a_window_grows_to_hold_its_keypoints(pair):
    outside = torch.cat([pair.keypoints2, torch.tensor([[2.0, 40.0]])])
    cropped = crop_pair(replace(pair, keypoints2=outside, keypoints1=outside), "box")
    height, width = cropped.image2.size
    assert (cropped.keypoints2 >= 0).all()
    assert (cropped.keypoints2 <= torch.tensor([width - 1, height - 1])).all()


def test_a_crop_of_what_is_not_known_is_refused_with_a_way_out(pair):
    bare = replace(pair, image2=replace(pair.image2, mask=None, box=None))
    with pytest.raises(ValueError, match=r"crop=box, but photo2 of the pair a-b has no box; use data\.crop=none"):
        crop_pair(bare, "box")
    empty = replace(pair, image1=replace(pair.image1, mask=torch.zeros(40, 50, dtype=torch.bool)))
    with pytest.raises(ValueError, match=r"photo1 of the pair a-b: the mask is empty"):
        crop_pair(empty, "mask")
    far = replace(
        pair, image1=replace(pair.image1, box=torch.tensor([90.0, 90.0, 95.0, 99.0])), keypoints1=None, keypoints2=None
    )
    with pytest.raises(ValueError, match=r"lies outside of 50 × 40 pixels"):
        crop_pair(far, "box")
    with pytest.raises(ValueError, match="crop=tight is unknown; use one of none, box, mask"):
        crop_pair(pair, "tight")


def test_a_pair_without_ground_truth_is_cropped_too(pair):
    cropped = crop_pair(replace(pair, keypoints1=None, keypoints2=None, flow21=None, known2=None), "mask")
    assert cropped.image1.size == (12, 20)
    assert cropped.flow21 is cropped.keypoints1 is cropped.known2 is None


def test_the_box_of_a_mask_includes_its_last_pixels():
    assert mask_box(torch.from_numpy(rectangle(9, 9, (2, 3, 5, 8)))) == (2, 3, 4, 7)


# --- loading


def test_the_first_pairs_say_that_they_are_the_first(own):
    pairs = datamodule.ImagePairDataModule([own], test_pairs=4).test_sets[0]
    first = pairs.first(3)
    assert [first.name(i) for i in range(len(first))] == [pairs.name(i) for i in range(3)]
    assert f"4 of {len(own)} pairs, seed 0, the first 3 of 4" in first.protocol and "first" not in pairs.protocol


def test_every_pair_of_every_data_set_comes_once_in_batches(tss, own):
    data = datamodule.ImagePairDataModule({"tss": tss, "own": own}, batch_pairs=2)
    data.prepare_data()
    assert data.test_names == ["tss", "image_folder"]
    batches = [list(loader) for loader in data.test_dataloader()]
    assert [[len(batch) for batch in of_one_set] for of_one_set in batches] == [[2, 2, 1], [2, 2, 1]]
    for pairs, of_one_set in zip(data.test_sets, batches, strict=True):
        assert [pair.name for batch in of_one_set for pair in batch] == [pairs.name(i) for i in range(len(pairs))]
    assert [len(loader) for loader in data.predict_dataloader()] == [3, 3]


def test_worker_processes_give_the_same_pairs(tss):
    alone, helped = (
        list(datamodule.ImagePairDataModule([tss], num_workers=workers).test_dataloader()[0]) for workers in (0, 1)
    )
    assert [batch[0].name for batch in alone] == [batch[0].name for batch in helped]
    assert torch.equal(alone[3][0].flow21, helped[3][0].flow21)


def test_pairs_are_cropped_as_the_settings_say(tss):
    (pairs,) = datamodule.ImagePairDataModule([tss], crop="mask").test_sets
    assert pairs[0].image1.size == (10, 12)
    assert pairs[0].image1.mask.all()
    assert pairs[0].known2.all()


def test_some_pairs_are_drawn_by_the_seed_and_keep_their_order(own):
    def drawn(seed):
        (pairs,) = datamodule.ImagePairDataModule([own], test_pairs=3, seed=seed).test_sets
        return [pairs.name(i) for i in range(len(pairs))]

    assert drawn(0) == drawn(0) == sorted(drawn(0))
    assert len({tuple(drawn(seed)) for seed in range(8)}) > 1
    assert len(datamodule.ImagePairDataModule([own], test_pairs=99).test_sets[0]) == 5


def test_the_protocol_says_what_was_drawn_and_cropped(tss, own):
    (pairs,) = datamodule.ImagePairDataModule([own], test_pairs=3, seed=4).test_sets
    assert pairs.protocol == "consecutive photographs, 3 of 5 pairs, seed 4"
    (pairs,) = datamodule.ImagePairDataModule([tss], crop="mask", margin=0.1).test_sets
    assert pairs.protocol.startswith("image 2 to image 1")
    assert pairs.protocol.endswith("cropped to the mask with a margin of 0.1")
    assert pairs.subsets == ("FG3DCar", "JODS", "PASCAL")
    assert pairs.subset(4) == "PASCAL"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": "tight"}, r"data\.crop=tight is unknown; use one of none, box, mask"),
        ({"margin": -0.1}, r"margin=-0\.1 is too small; give 0 or more"),
        ({"batch_pairs": 0}, r"batch_pairs=0 is too small; give 1 or more"),
        ({"test_pairs": 0}, r"test_pairs=0 is too small; give 1 or more"),
        ({"batchsize": 2}, r"data\.batchsize does not exist; data has crop, margin"),
    ],
)
def test_a_wrong_setting_is_named(own, settings, message):
    with pytest.raises(ValueError, match=message):
        datamodule.ImagePairDataModule([own], **settings)


def test_data_sets_must_be_there_and_have_names_of_their_own(own, tmp_path):
    with pytest.raises(ValueError, match="no data set was chosen; give one, such as dataset=photos"):
        datamodule.ImagePairDataModule({})
    with pytest.raises(ValueError, match=r"same name.*dataset\.image_folder\.name=NAME"):
        datamodule.ImagePairDataModule([own, own])
    with pytest.raises(MissingDataError, match="does not exist"):
        datamodule.ImagePairDataModule([ImageFolder(tmp_path / "none")]).prepare_data()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_pair_that_cannot_be_read_comes_as_the_reason_and_ends_nothing(own, workers):
    photos = sorted(path for path in own.root.iterdir() if path.suffix in (".jpg", ".png"))
    photos[-1].write_bytes(b"no photograph")
    (loader,) = datamodule.ImagePairDataModule([own], num_workers=workers, batch_pairs=2).predict_dataloader()
    pairs = [pair for batch in loader for pair in batch]
    assert isinstance(pairs[0], ImagePair) and isinstance(pairs[-1], datamodule.UnreadPair)
    assert pairs[-1].name == own.pair_name(len(own) - 1) and str(photos[-1]) in pairs[-1].reason


def test_a_pair_that_cannot_be_cropped_fails_alone(own):
    (loader,) = datamodule.ImagePairDataModule([own], crop="box").predict_dataloader()
    assert all(
        isinstance(pair, datamodule.UnreadPair) and "use data.crop=none" in pair.reason
        for batch in loader
        for pair in batch
    )
