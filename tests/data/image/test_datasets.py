"""Which pairs of photographs are found, in which direction, and what is said when files are not there."""

import pickle

import numpy as np
import pytest
import torch
from tests.image_fakes import (
    by_name,
    names,
    rectangle,
    scene,
    write_flow,
    write_image,
    write_spair,
    write_tss,
    write_tss_pair,
)

from pullback.data.errors import MissingDataError
from pullback.data.image.decoding import ImageError
from pullback.data.image.sets.folder import ImageFolder
from pullback.data.image.sets.pf_pascal import PFPascal
from pullback.data.image.sets.pf_willow import PFWillow
from pullback.data.image.sets.photos import Photos
from pullback.data.image.sets.spair71k import SPair71k
from pullback.data.image.sets.tss import PAIRS, TSS, category_of


@pytest.fixture
def tss_root(tmp_path):
    write_tss(tmp_path / "TSS_CVPR2016")
    return tmp_path / "TSS_CVPR2016"


@pytest.fixture
def spair_root(tmp_path):
    write_spair(tmp_path / "SPair-71k")
    return tmp_path / "SPair-71k"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "mine"
    for number, suffix in enumerate((".png", ".JPG", ".png")):
        write_image(root / f"photo{number}{suffix.lower()}", scene(number))
        (root / f"photo{number}{suffix.lower()}").rename(root / f"photo{number}{suffix}")
    (root / "notes.md").write_text("no photograph")
    (root / ".hidden.png").write_text("nor is this")
    return root


# --- TSS


def test_tss_asks_on_photograph_2_and_answers_on_photograph_1(tss_root):
    tss = TSS(tss_root, allow_missing=True)
    pair = by_name(tss, "FG3DCar-001_005")
    folder = tss_root / "FG3DCar" / "001_005"
    assert (pair.image1.size, pair.image2.size) == ((24, 32), (26, 30))
    assert torch.equal(pair.image1.mask, torch.from_numpy(rectangle(24, 32, (8, 6, 20, 16))))
    assert torch.equal(pair.image2.mask, torch.from_numpy(rectangle(26, 30, (5, 8, 17, 18))))
    assert torch.equal(pair.known2, pair.image2.mask)
    assert pair.flow21.shape == (2, 26, 30)
    rows, columns = pair.known2.nonzero().T
    there = pair.image1.pixels[
        :, rows + pair.flow21[1, rows, columns].long(), columns + pair.flow21[0, rows, columns].long()
    ]
    assert torch.equal(there, pair.image2.pixels[:, rows, columns])  # the object was copied, pixel by pixel
    assert (folder / "flow2.flo").stat().st_size == 12 + 8 * 26 * 30


def test_both_directions_of_tss_are_two_pairs_with_1_and_2_exchanged(tss_root):
    tss = TSS(tss_root, allow_missing=True, directions="both")
    assert len(tss) == 10
    pair, reverse = by_name(tss, "JODS-suv_01_02"), by_name(tss, "JODS-suv_01_02~reversed")
    assert torch.equal(pair.image1.pixels, reverse.image2.pixels)
    assert torch.equal(pair.image2.mask, reverse.image1.mask)
    assert reverse.flow21[:, reverse.known2].unique(dim=1).tolist() == [[-3], [2]]
    assert reverse.subset == "JODS"


def test_pixels_without_flow_do_not_count_and_are_counted(tss_root):
    folder = tss_root / "PASCAL" / "busd_01_02"
    flow = np.zeros((26, 30, 2))
    # the last lies outside of the mask
    flow[8, 5], flow[9, 6, 1], flow[10, 7, 0], flow[0, 0] = 1e10, np.nan, -np.inf, 1e10
    write_flow(folder / "flow2.flo", flow)
    tss = TSS(tss_root, allow_missing=True)
    pair = by_name(tss, "PASCAL-busd_01_02")
    assert int(pair.image2.mask.sum()) - int(pair.known2.sum()) == 3
    assert float(pair.flow21[:, ~pair.known2].abs().max()) == 0  # never a NaN or a huge number in a sum
    assert (tss.excluded.pixels, tss.excluded.of) == (3, 5 * 120)
    assert "3 of 600 mask pixels without known flow do not count" in tss.check()
    assert "3 of 600 mask pixels" in tss.protocol


def test_mirrored_pairs_of_tss_are_marked_or_dropped(tss_root):
    kept, dropped = (TSS(tss_root, allow_missing=True, mirrored=choice) for choice in ("keep", "drop"))
    assert [kept.load(i).mirrored for i in range(len(kept))] == [False, False, False, True, False]
    assert names(dropped) == [name for name in names(kept) if name != "PASCAL-bike_01_03"]
    assert "left out" in dropped.protocol


def test_categories_of_tss_are_words(tss_root):
    tss = TSS(tss_root, allow_missing=True)
    assert [tss.load(i).image2.category for i in range(len(tss))] == ["car", "car", "car", "bicycle", "bus"]
    assert category_of(tss_root / "PASCAL" / "plane_03_04") == "aeroplane"
    assert category_of(tss_root / "PASCAL" / "Horse_03_04") == "horse"


def test_an_incomplete_tss_says_how_many_it_found(tss_root):
    with pytest.raises(
        MissingDataError, match=r"(?s)2 of 195 FG3DCar, 1 of 81 JODS, 2 of 124 PASCAL.*allow_missing=true"
    ) as caught:
        TSS(tss_root).check()
    assert str(tss_root) in str(caught.value)
    assert TSS(tss_root, allow_missing=True).check().startswith("tss: 5 pairs (2 FG3DCar, 1 JODS, 2 PASCAL)")
    assert "5 of 400" in TSS(tss_root, allow_missing=True).protocol
    with pytest.raises(MissingDataError, match=r"it does not exist"):
        TSS(tss_root / "none", allow_missing=True).check()
    (tss_root / "empty").mkdir()
    with pytest.raises(MissingDataError, match="found 0 of 195"):
        TSS(tss_root / "empty", allow_missing=True).check()
    (tss_root / "JODS" / "suv_01_02" / "flow2.flo").unlink()
    with pytest.raises(MissingDataError, match=r"lacks 1 of 7 files: JODS/suv_01_02/flow2\.flo"):
        TSS(tss_root, allow_missing=True).check()


def test_a_complete_tss_is_recognised(tmp_path):
    write_tss_pair(tmp_path / "pair", 1)
    for subset, count in PAIRS.items():
        for number in range(count):
            (tmp_path / "TSS" / subset).mkdir(parents=True, exist_ok=True)
            (tmp_path / "TSS" / subset / f"car_{number:03d}").symlink_to(tmp_path / "pair")
    tss = TSS(tmp_path / "TSS")
    assert len(tss) == 400
    assert tss.subsets == ("FG3DCar", "JODS", "PASCAL")
    assert len(set(names(tss))) == 400


def test_files_of_tss_that_contradict_each_other_are_named(tss_root):
    folder = tss_root / "PASCAL" / "busd_01_02"
    write_image(folder / "mask2.png", np.ones((5, 5), np.uint8))
    with pytest.raises(ImageError, match=r"flow2\.flo has 30 × 26 pixels, but mask2\.png 5 × 5"):
        by_name(TSS(tss_root, allow_missing=True), "PASCAL-busd_01_02")
    (folder / "flip_gt.txt").write_text("yes")
    with pytest.raises(ImageError, match=r"flip_gt\.txt: should hold 0 or 1.*'yes'"):
        TSS(tss_root, allow_missing=True).check()


@pytest.mark.parametrize(("option", "value"), [("directions", "three"), ("mirrored", "maybe")])
def test_an_unknown_choice_is_named_with_the_known_ones(tss_root, option, value):
    with pytest.raises(ValueError, match=rf"dataset\.tss\.{option}={value} is unknown; use"):
        TSS(tss_root, **{option: value})


# --- a folder


def test_a_folder_pairs_each_photograph_with_the_next(folder):
    own = ImageFolder(folder, category="teapot")
    assert names(own) == ["photo0-photo1", "photo1-photo2"]
    pair = own.load(0)
    assert np.array_equal(pair.image1.pixels.permute(1, 2, 0), scene(0))
    assert pair.image2.category == "teapot"
    assert pair.flow21 is pair.known2 is pair.keypoints1 is pair.image1.mask is None


def test_a_list_says_which_photographs_are_pairs(folder):
    (folder / "pairs.txt").write_text("# first holds the answers\nphoto2.png photo0.png\n\nphoto1.JPG\tphoto0.png\n")
    assert names(ImageFolder(folder)) == ["photo2-photo0", "photo1-photo0"]
    assert ImageFolder(folder).protocol == "pairs.txt"
    (folder / "pairs.txt").write_text("photo2.png photo9.png\n")
    with pytest.raises(MissingDataError, match=r"pairs\.txt, line 1: there is no photograph photo9\.png"):
        ImageFolder(folder).check()
    (folder / "pairs.txt").write_text("photo2.png\n")
    with pytest.raises(ImageError, match=r"line 1: 'photo2\.png' should be two file names"):
        ImageFolder(folder).check()


def test_masks_of_a_folder_are_used_and_must_fit(folder):
    write_image(folder / "masks" / "photo1.png", rectangle(24, 32, (3, 4, 9, 9)).astype(np.uint8))
    pair = ImageFolder(folder).load(0)
    assert int(pair.image2.mask.sum()) == 30
    write_image(folder / "masks" / "photo1.png", np.ones((4, 4), np.uint8))
    with pytest.raises(ImageError, match=r"photo1\.JPG: its mask has 4 × 4 pixels, the photograph 32 × 24"):
        ImageFolder(folder).load(0)


def test_a_folder_without_a_pair_says_so(tmp_path, folder):
    with pytest.raises(MissingDataError, match=r"none \(it does not exist\)\. Give their folder"):
        ImageFolder(tmp_path / "none").check()
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match=r"it has none"):
        ImageFolder(tmp_path / "empty").check()
    write_image(tmp_path / "empty" / "one.png", scene(0))
    with pytest.raises(MissingDataError, match=r"one\.png and no more, and a pair needs two"):
        ImageFolder(tmp_path / "empty").check()
    write_image(folder / "photo0.bmp", scene(0))
    with pytest.raises(ValueError, match=r"photo0\.bmp, photo0\.png differ only in their suffix"):
        ImageFolder(folder).check()


def test_the_unit_of_pck_is_that_of_most_papers_and_can_be_chosen(tmp_path):
    usual = {TSS: "image1", SPair71k: "box1", PFWillow: "box1", PFPascal: "image1", Photos: "image1"}
    assert {kind: kind(tmp_path).pck_reference for kind in usual} == usual
    assert ImageFolder(tmp_path).pck_reference == "image1"
    for kind in usual:
        assert kind(tmp_path, pck_reference="both").pck_reference == "both"
        with pytest.raises(
            ValueError,
            match=rf"dataset\.{kind.name}\.pck_reference=box is unknown; use one of image1, image2, both, box1",
        ):
            kind(tmp_path, pck_reference="box")


@pytest.mark.parametrize("kind", ["tss", "spair"])
def test_data_sets_can_be_sent_to_worker_processes(tss_root, spair_root, kind):
    dataset = TSS(tss_root, allow_missing=True) if kind == "tss" else SPair71k(spair_root)
    dataset.check()
    assert torch.equal(pickle.loads(pickle.dumps(dataset)).load(1).image1.pixels, dataset.load(1).image1.pixels)
