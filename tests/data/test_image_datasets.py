"""Which pairs of photographs are found, in which direction, and what is said when files are not there."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from scipy.io import loadmat
from tests.image_fakes import (
    rectangle,
    scene,
    write_flow,
    write_image,
    write_pascal,
    write_spair_pair,
    write_tss,
    write_tss_pair,
    write_willow,
)

from pullback.data.dataset import MissingDataError
from pullback.data.image_folder import ImageFolder
from pullback.data.image_io import ImageError
from pullback.data.pf_pascal import PFPascal
from pullback.data.pf_willow import CLASSES, PFWillow
from pullback.data.photos import Photos
from pullback.data.spair71k import SPair71k
from pullback.data.tss import PAIRS, TSS, category_of


def names(dataset):
    return [dataset.pair_name(i) for i in range(len(dataset))]


def by_name(dataset, name):
    return dataset.load(names(dataset).index(name))


@pytest.fixture
def tss_root(tmp_path):
    write_tss(tmp_path / "TSS_CVPR2016")
    return tmp_path / "TSS_CVPR2016"


@pytest.fixture
def spair_root(tmp_path):
    """Thirty pairs of cats and five of potted plants."""
    root = tmp_path / "SPair-71k"
    for number in range(30):
        write_spair_pair(root, number, "cat", mirror=number % 2)
    for number in range(30, 35):
        write_spair_pair(root, number, "pottedplant")
    write_spair_pair(root, 40, "dog", split="val")
    return root


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
    there = pair.image1.pixels[:, rows + pair.flow21[1, rows, columns].long(), columns + pair.flow21[0, rows, columns].long()]
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
    flow[8, 5], flow[9, 6, 1], flow[10, 7, 0], flow[0, 0] = 1e10, np.nan, -np.inf, 1e10  # the last lies outside of the mask
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
    with pytest.raises(MissingDataError, match=r"(?s)2 of 195 FG3DCar, 1 of 81 JODS, 2 of 124 PASCAL.*allow_missing=true") as caught:
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


# --- SPair-71k


def test_spair_carries_the_keypoints_of_the_source_to_the_target(spair_root):
    spair = SPair71k(spair_root, sample=None)
    assert len(spair) == 35
    assert spair.subsets == ("cat", "pottedplant")
    pair = spair.load(1)
    assert pair.name == "000001-2008_000002-2008_000003_cat"
    assert (pair.image1.name, pair.image2.name) == ("cat-2008_000003", "cat-2008_000002")
    assert (pair.image1.size, pair.image2.size) == ((25, 32), (24, 32))
    assert pair.keypoints2.tolist() == [[5, 6], [19, 17], [11, 9]]
    assert pair.keypoints1.tolist() == [[7, 4], [29, 21], [15, 12]]
    assert pair.image1.box.tolist() == [6, 3, 30, 22]  # the scale of PCK is the target's
    assert pair.mirrored
    assert pair.image1.mask is None
    assert spair.load(34).image1.category == "potted plant"


def test_a_segmentation_is_the_mask_where_there_is_one(spair_root):
    write_image(spair_root / "Segmentation" / "cat" / "2008_000003.png", np.full((25, 32), 8, np.uint8))
    pair = SPair71k(spair_root, sample=None).load(1)
    assert pair.image1.mask.all()
    assert pair.image2.mask is None


def test_the_sample_is_that_of_prior_work_drawn_with_replacement(spair_root):
    spair = SPair71k(spair_root, sample=20)
    assert len(spair) == 40
    drawn = []
    state = np.random.get_state()
    for category, count, start in (("cat", 30, 0), ("pottedplant", 5, 30)):
        np.random.seed(42)  # as prior work draws it
        chosen = np.random.choice(count, 20)
        files = sorted((spair_root / "PairAnnotation" / "test").glob(f"*:{category}.json"))
        drawn += [files[i].name for i in chosen]
        assert int(files[0].name[:6]) == start
    np.random.set_state(state)
    assert [files.annotation.name for files in spair.pairs] == drawn
    assert len(set(names(spair))) == 40
    assert sum("~" in name for name in names(spair)) == 40 - len(set(drawn)) > 10
    assert "20 pairs a category (seed 42, with replacement)" in spair.protocol


def test_splits_and_categories_of_spair_are_chosen_by_name(spair_root):
    assert names(SPair71k(spair_root, split="val", sample=None)) == ["000040-2008_000080-2008_000081_dog"]
    some = SPair71k(spair_root, sample=3, categories=["pottedplant"])
    assert some.subsets == ("pottedplant",)
    assert "1 categories" in some.protocol
    with pytest.raises(ValueError, match="cow not among cat, pottedplant"):
        SPair71k(spair_root, categories=["cow"]).check()
    with pytest.raises(ValueError, match="use trn, val or test"):
        SPair71k(spair_root, split="train")


def test_an_absent_spair_says_where_it_was_looked_for(spair_root, tmp_path):
    with pytest.raises(MissingDataError, match=r"(?s)none/PairAnnotation/test \(it does not exist\).*cvlab.*dataset\.spair71k\.root="):
        SPair71k(tmp_path / "none").check()
    (spair_root / "JPEGImages" / "cat" / "2008_000003.jpg").unlink()
    with pytest.raises(MissingDataError, match=r"2008_000003\.jpg"):
        SPair71k(spair_root, sample=None).load(1)
    shutil.rmtree(spair_root / "PairAnnotation" / "test")
    (spair_root / "PairAnnotation" / "test").mkdir()
    with pytest.raises(MissingDataError, match="it has none"):
        SPair71k(spair_root).check()


def test_damaged_annotations_of_spair_are_named(spair_root):
    (path,) = (spair_root / "PairAnnotation" / "val").glob("*.json")
    known = json.loads(path.read_text())
    for changed, message in (
        ({**known, "trg_kps": known["trg_kps"][:2]}, "3 keypoints on the source and 2 on the target"),
        ({key: value for key, value in known.items() if key != "src_bndbox"}, "has no src_bndbox"),
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(ImageError, match=message):
            SPair71k(spair_root, split="val").load(0)
    path.write_text("{")
    with pytest.raises(ImageError, match="not a JSON file"):
        SPair71k(spair_root, split="val").load(0)


# --- PF-WILLOW and PF-PASCAL


def test_willow_pairs_every_photograph_with_every_other_of_its_class(tmp_path):
    write_willow(tmp_path, CLASSES, photos=10)
    willow = PFWillow(tmp_path)
    assert len(willow) == len(set(names(willow))) == 900
    assert willow.subsets == CLASSES
    assert all(files.source.parent == files.target.parent and files.source != files.target for files in willow.pairs)


def test_willow_carries_the_keypoints_of_the_source_and_scales_by_the_target(tmp_path):
    write_willow(tmp_path, CLASSES[:1])
    pair = by_name(PFWillow(tmp_path, allow_missing=True), "car(G)-Photo_000a-Photo_001a")
    stored = [loadmat(tmp_path / "car(G)" / f"Photo_00{number}a.mat")["pts_coord"].T - 1 for number in (0, 1)]
    assert np.allclose(pair.keypoints2, stored[0])
    assert np.allclose(pair.keypoints1, stored[1])
    assert np.allclose(pair.image1.box, [*stored[1].min(axis=0), *stored[1].max(axis=0)])
    assert (pair.image1.size, pair.image2.size) == ((23, 30), (22, 30))
    assert (pair.subset, pair.image1.category) == ("car(G)", "car")


def test_an_incomplete_willow_says_what_is_short(tmp_path):
    write_willow(tmp_path / "PF", CLASSES[3:5])
    with pytest.raises(MissingDataError, match=r"(?s)car\(G\) \(0 of 10\).*duck\(S\) \(2 of 10\).*proposalflow"):
        PFWillow(tmp_path / "PF").check()
    assert PFWillow(tmp_path / "PF", allow_missing=True).check() == "pf_willow: 4 pairs (2 duck(S), 2 motorbike(G))"
    with pytest.raises(MissingDataError, match="does not exist"):
        PFWillow(tmp_path / "none").check()


def test_pascal_reads_its_list(tmp_path):
    write_pascal(tmp_path, [("2008_1", "2008_2", 20), ("2008_2", "2008_1", 20), ("2009_1", "2009_2", 1)])
    pascal = PFPascal(tmp_path)
    assert names(pascal) == ["aeroplane-2009_1-2009_2", "tvmonitor-2008_1-2008_2", "tvmonitor-2008_2-2008_1"]
    pair = pascal.load(2)
    points = np.random.default_rng(1).uniform(2, 20, (4, 4))
    assert np.allclose(pair.keypoints2, points[:2].T, atol=1e-5)
    assert np.allclose(pair.keypoints1, points[2:].T, atol=1e-5)
    assert np.allclose(pair.image1.box, [*points[2:].min(axis=1), *points[2:].max(axis=1)], atol=1e-5)
    assert (pair.image2.name, pair.image1.category) == ("tvmonitor-2008_2", "tv monitor")


def test_a_wrong_list_or_photograph_of_pascal_is_named(tmp_path):
    write_pascal(tmp_path, [("2008_1", "2008_2", 20)])
    with pytest.raises(MissingDataError, match=r"val_pairs\.csv, the list of pairs"):
        PFPascal(tmp_path, listing="val_pairs.csv").check()
    (tmp_path / "JPEGImages" / "2008_2.jpg").unlink()
    with pytest.raises(MissingDataError, match=r"lacks 1 of 2 files: JPEGImages/2008_2\.jpg"):
        PFPascal(tmp_path).check()
    text = (tmp_path / "test_pairs.csv").read_text()
    for changed, message in (
        (text.replace(",20,", ",21,"), r"line 2: class 21 with 3 and 3 keypoints"),
        (text.replace(";", ";x", 1), r"line 2: cannot be read"),
        (text.replace("XA", "X1"), r"lacks the columns XA"),
    ):
        (tmp_path / "test_pairs.csv").write_text(changed)
        with pytest.raises(ImageError, match=message):
            PFPascal(tmp_path).check()


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
        with pytest.raises(ValueError, match=rf"dataset\.{kind.name}\.pck_reference=box is unknown; use one of image1, image2, both, box1"):
            kind(tmp_path, pck_reference="box")


@pytest.mark.parametrize("kind", ["tss", "spair"])
def test_data_sets_can_be_sent_to_worker_processes(tss_root, spair_root, kind):
    dataset = TSS(tss_root, allow_missing=True) if kind == "tss" else SPair71k(spair_root)
    dataset.check()
    assert torch.equal(pickle.loads(pickle.dumps(dataset)).load(1).image1.pixels, dataset.load(1).image1.pixels)
