"""Annotations that are broken or hostile: boxes, keypoints, names of files, warps; refused by name, with the key."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from tests.image_fakes import (
    scene,
    write_image,
    write_pascal,
    write_spair_pair,
    write_willow,
)

from pullback.data.image.annotations import box_of, inside, is_plain_name, keypoints_of
from pullback.data.image.decoding import ImageError
from pullback.data.image.sets.pf_pascal import PFPascal
from pullback.data.image.sets.pf_willow import CLASSES, PFWillow
from pullback.data.image.sets.spair71k import SPair71k
from pullback.errors import UserError

HUGE = 10**400


@pytest.fixture
def spair(tmp_path):
    """Writes an annotation with some keys changed (or taken away, where the value is ...), and reads its pair."""
    write_spair_pair(tmp_path, 1, "cat")
    (path,) = (tmp_path / "PairAnnotation" / "test").glob("*.json")
    whole = json.loads(path.read_text())

    def read(**changes):
        changed = {key: value for key, value in (whole | changes).items() if value is not ...}
        path.write_text(json.dumps(changed))
        return SPair71k(tmp_path, sample=None).load(0)

    read.path = path
    return read


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([4, 5, 4, 18], "src_bndbox is empty"),
        ([0, 0, 0, 0], "src_bndbox is empty"),
        ([20, 5, 4, 18], "src_bndbox is inverted"),
        ([4, 18, 20, 5], "src_bndbox is inverted"),
        ([400, 500, 420, 518], "src_bndbox lies outside of its photograph of 32 × 24 pixels"),
        ([-50, -50, -20, -20], "src_bndbox lies outside"),
        ([4, 5, 200_000, 18], "far outside of its photograph"),
        (["4", 5, 20, 18], "src_bndbox should be four finite numbers"),
        ([4, 5, 20], "src_bndbox should be four finite numbers"),
        ([4, 5, 20, None], "src_bndbox should be four finite numbers"),
        ([4, 5, 1e300, 18], "src_bndbox should be four finite numbers"),
        ([4, 5, HUGE, 18], "src_bndbox should be four finite numbers"),
        ([True, 5, 20, 18], "src_bndbox should be four finite numbers"),
        ({"x": 4}, "src_bndbox should be four finite numbers"),
        (None, "src_bndbox should be four finite numbers"),
        (..., "has no src_bndbox"),
    ],
)
def test_a_box_that_is_none_is_refused_with_its_file_and_key(spair, box, message):
    with pytest.raises(ImageError, match=message) as raised:
        spair(src_bndbox=box)
    assert str(raised.value).startswith(str(spair.path))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[5, 6], [19, 17]], "2 keypoints on the source and 3 on the target"),
        ([], "0 keypoints on the source and 3 on the target"),
        ([[5, 6], ["19", 17], [3, 4]], r"src_kps: keypoint 2 should be two finite numbers"),
        ([[5, 6], [19], [3, 4]], r"src_kps: keypoint 2 should be two finite numbers"),
        ([[5, 6], [None, 4], [3, 4]], r"src_kps: keypoint 2 should be two finite numbers"),
        ([[5, 6], 7, [3, 4]], r"src_kps: keypoint 2 should be two finite numbers"),
        ([[5, 6], [1e12, 4], [3, 4]], r"src_kps: keypoint 2 should be two finite numbers"),
        ([[5, 6], [900, 4], [3, 4]], r"src_kps: \[900.0, 4.0\] lies far outside"),
        ("all", "src_kps should hold pairs"),
        ({"0": [1, 2]}, "src_kps should hold pairs"),
        (None, "src_kps should hold pairs"),
    ],
)
def test_keypoints_that_are_none_are_refused_with_their_file_and_key(spair, points, message):
    with pytest.raises(ImageError, match=message) as raised:
        spair(src_kps=points)
    assert str(raised.value).startswith(str(spair.path))


def test_a_pair_without_any_keypoint_is_refused(spair):
    with pytest.raises(ImageError, match="has no keypoints, so there is nothing to measure"):
        spair(src_kps=[], trg_kps=[])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_keypoints_and_boxes_of_no_number_are_refused(spair, number):
    for key, written in (("src_kps", f"[[5, 6], [{number}, 17], [11, 9]]"), ("trg_bndbox", f"[6, 3, 30, {number}]")):
        spair()
        known = json.loads(spair.path.read_text()) | {key: "HERE"}
        spair.path.write_text(json.dumps(known).replace('"HERE"', written))
        with pytest.raises(UserError, match=r"000001-.*cat\.json: "):
            SPair71k(spair.path.parents[2], sample=None).load(0)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "/etc/passwd",
            "../../../secret.jpg",
            "a/../../b.jpg",
            "..",
            "C:\\a.jpg",
            "..\\..\\a.jpg",
            "\\\\host\\a.jpg",
            "~/a.jpg",
        ),
        *("a\0.jpg", "", 3, None),
    ],
)
def test_a_name_that_leads_out_of_the_data_set_opens_no_file(spair, name):
    with pytest.raises(ImageError, match="src_imname should name a file in ") as raised:
        spair(src_imname=name)
    assert str(raised.value).startswith(str(spair.path))


@pytest.mark.parametrize("category", ["../../cat", "/etc", "dog", "", 7, None, ["cat"]])
def test_a_category_that_is_not_the_annotations_is_refused(spair, category):
    with pytest.raises(ImageError, match="its category is"):
        spair(category=category)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"', "[[1]]"])
def test_an_annotation_that_is_no_mapping_is_refused(spair, content):
    spair()
    spair.path.write_text(content)
    with pytest.raises(ImageError, match=r"cat\.json: should be an annotation of a pair, but holds"):
        SPair71k(spair.path.parents[2], sample=None).load(0)


def test_a_data_set_may_be_reached_through_symbolic_links(tmp_path, spair):
    root = spair.path.parents[2]
    os.symlink(root, tmp_path / "link")
    assert len(SPair71k(tmp_path / "link", sample=None).load(0).keypoints1) == 3
    (root / "JPEGImages").rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", root / "JPEGImages")
    assert len(SPair71k(root, sample=None).load(0).keypoints1) == 3


def test_a_segmentation_of_another_size_is_refused(spair, tmp_path):
    write_image(tmp_path / "Segmentation" / "cat" / "2008_000003.png", np.full((7, 9), 8, np.uint8))
    with pytest.raises(ImageError, match=r"2008_000003\.jpg: its mask has 9 × 7 pixels, the photograph 32 × 25"):
        spair()


def test_boxes_and_keypoints_on_the_rim_are_fine(spair):
    pair = spair(src_bndbox=[-1, 0, 32, 24.5], src_kps=[[-0.5, 0], [31.5, 24], [1, 2.25]])
    assert pair.image2.box.tolist() == [-1, 0, 32, 24.5]


# --- PF-WILLOW, PF-PASCAL


def test_keypoints_of_willow_that_do_not_fit_are_refused(tmp_path):
    for points, message in (
        (np.ones((2, 7)), "7 keypoints"),
        (np.ones((2, 0)), r"a\.mat: has no keypoints"),
        (np.full((2, 10), 5000.0), r"pts_coord: .* far outside of its photograph"),
        (np.full((2, 10), np.inf), "two rows of finite numbers"),
        (np.ones((2, 10)) * 1j, "two rows of finite numbers"),
    ):
        write_willow(tmp_path, CLASSES[:1])
        savemat(tmp_path / CLASSES[0] / "Photo_000a.mat", {"pts_coord": points})
        with pytest.raises(ImageError, match=message) as raised:
            PFWillow(tmp_path, allow_missing=True).load(0)
        assert "Photo_000a.mat" in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",20,", ",nan,", "line 2: cannot be read"),
        (",20,", ",inf,", "line 2: cannot be read"),
        (",20,", ",1e300,", "line 2"),
        (",20,", ",20.5.1,", "line 2: cannot be read"),
        (";", ";nan;", "line 2: .*nan is no place"),
        (";", ";1e12;", "line 2: .*is no place"),
        (";", ";300;", "line 2: "),
        ("2008_1.jpg", "..", "line 2: source_image should name a file"),
        ("2008_1.jpg", "", "line 2: source_image should name a file"),
        (",20,", "", "line 2"),
        (",20,", ",20,\0", ""),
    ],
)
def test_a_damaged_list_of_pascal_names_its_line(tmp_path, old, new, message):
    write_pascal(tmp_path, [("2008_1", "2008_2", 20)])
    listing = tmp_path / "test_pairs.csv"
    listing.write_text(listing.read_text().replace(old, new, 1))
    with pytest.raises(ImageError, match=rf"test_pairs\.csv.*{message}"):
        PFPascal(tmp_path).load(0)


def test_a_list_of_pascal_opens_no_file_elsewhere_and_may_begin_with_a_mark(tmp_path):
    write_pascal(tmp_path / "PF", [("2008_1", "2008_2", 20)])
    write_image(tmp_path / "secret.jpg", scene(1))
    listing = tmp_path / "PF" / "test_pairs.csv"
    whole = listing.read_text()
    listing.write_text(whole.replace("PF-dataset-PASCAL/JPEGImages/2008_1.jpg", f"{tmp_path}/secret.jpg"))
    with pytest.raises(UserError, match=r"lacks 1 of 2 files: JPEGImages/secret\.jpg"):
        PFPascal(tmp_path / "PF").check()
    listing.write_text("\ufeff" + whole)
    assert len(PFPascal(tmp_path / "PF")) == 1
    listing.write_bytes(whole.encode("utf-16"))
    with pytest.raises(ImageError, match=r"test_pairs\.csv: not a csv file"):
        PFPascal(tmp_path / "PF").check()
    listing.write_text(whole.splitlines()[0])
    with pytest.raises(ImageError, match=r"test_pairs\.csv: has no line below"):
        PFPascal(tmp_path / "PF").check()


# --- the parts


def test_only_names_within_a_folder_are_files_of_it():
    assert inside(Path("data"), "a/b c.jpg", "x: key") == Path("data/a/b c.jpg")
    assert inside(Path("data"), "…/ä.jpg", "x: key") == Path("data/…/ä.jpg")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a\\b", "a\0", "", "x" * 300, 3, None])
def test_a_plain_name_leads_nowhere(name):
    assert is_plain_name("a b-ü.1~2") and not is_plain_name(name)


def test_more_keypoints_than_anybody_marks_are_refused():
    with pytest.raises(ImageError, match="x should hold pairs"):
        keypoints_of([[0, 0]] * 100_001, "x")


def test_a_message_shows_the_beginning_of_a_long_value():
    with pytest.raises(ImageError) as raised:
        box_of(list(range(10_000)), "x")
    assert len(str(raised.value)) < 300
