"""Data sets with keypoints: which pairs are found, whose keypoints are carried over,
and what is said when files are not there.
"""

import json
import shutil

import numpy as np
import pytest
from scipy.io import loadmat
from tests.image_fakes import (
    by_name,
    names,
    write_image,
    write_pascal,
    write_spair,
    write_willow,
)

from pullback.data.errors import MissingDataError
from pullback.data.image.decoding import ImageError
from pullback.data.image.sets.pf_pascal import PFPascal
from pullback.data.image.sets.pf_willow import CLASSES, PFWillow
from pullback.data.image.sets.spair71k import SPair71k
from pullback.files import JsonError


@pytest.fixture
def spair_root(tmp_path):
    write_spair(tmp_path / "SPair-71k")
    return tmp_path / "SPair-71k"


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
    with pytest.raises(
        MissingDataError, match=r"(?s)none/PairAnnotation/test \(it does not exist\).*cvlab.*dataset\.spair71k\.root="
    ):
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
    with pytest.raises(JsonError, match="not a JSON file"):
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


def test_willow_takes_some_kinds_of_object_alone(tmp_path):
    write_willow(tmp_path, CLASSES, photos=10)
    some = PFWillow(tmp_path, categories=["car", "duck"])
    assert some.subsets == CLASSES[:4]
    assert "of car, duck" in some.protocol
    for categories, said in ((["cat"], "cat is not among car, duck"), ([], "an empty list")):
        with pytest.raises(ValueError, match=rf"dataset\.pf_willow\.categories: {said}"):
            PFWillow(tmp_path, categories=categories)


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
