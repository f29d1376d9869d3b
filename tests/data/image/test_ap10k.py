"""AP-10K as a benchmark of correspondence: which pairs, which keypoints, and whose box."""

import json

import pytest
from tests.image_fakes import by_name, names, write_animals

from pullback.data.errors import MissingDataError
from pullback.data.image.decoding import ImageError
from pullback.data.image.sets.ap10k import AP10K

FIRST = "000000000000-000000000001_fox"


@pytest.fixture
def root(tmp_path):
    write_animals(tmp_path)
    return tmp_path


def test_pairs_are_of_a_species_of_a_family_or_of_any_animals(root):
    found = {setting: AP10K(root, setting=setting) for setting in ("intra_species", "cross_species", "cross_family")}
    assert {setting: (len(some), some.subsets) for setting, some in found.items()} == {
        "intra_species": (6, ("cat", "fox", "wolf")),
        "cross_species": (1, ("canidae",)),
        "cross_family": (1, ("all",)),
    }
    assert found["cross_species"].protocol == "test, cross species, all pairs, source to target"


def test_keypoints_are_those_that_both_photographs_have_and_image_2_is_the_source(root):
    pair = by_name(AP10K(root), FIRST)
    source, target = (json.loads((root / f"ImageAnnotation/canidae/fox/{i:012d}.json").read_text()) for i in (0, 1))
    rows = [(s, t) for s, t in zip(*(_rows(known["keypoints"]) for known in (source, target)), strict=True)]
    kept = [(s[:2], t[:2]) for s, t in rows if s[2] > 0 and t[2] > 0]
    assert 0 < len(kept) < 17
    for points, side in ((pair.keypoints2, 0), (pair.keypoints1, 1)):
        assert points.tolist() == [pytest.approx(both[side], abs=1e-5) for both in kept]
    assert (pair.image1.size, pair.image2.size) == ((25, 32), (24, 32)) and pair.image1.category == "fox"


def test_the_box_of_coco_becomes_corners(root):
    assert by_name(AP10K(root), FIRST).image1.box.tolist() == [2, 3, 30, 22]


def test_a_sample_draws_with_replacement_and_numbers_repetitions(root):
    drawn = AP10K(root, sample=5, categories=["wolf"])
    assert len(drawn) == 5 and len(set(names(drawn))) == 5 and any("~" in name for name in names(drawn))
    assert drawn.protocol == "test, intra species, 5 pairs a category (seed 42, with replacement), 1 categories, " + (
        "source to target"
    )


def test_missing_folders_pairs_and_photographs_are_named(root, tmp_path):
    with pytest.raises(MissingDataError, match=r"PairAnnotation/val .*\n.*prepare_ap10k\.ipynb"):
        AP10K(root, split="val").find()
    (root / "JPEGImages/canidae/fox/000000000000.jpg").unlink()
    with pytest.raises(MissingDataError, match=r"looked for the photograph .*fox/000000000000\.jpg"):
        by_name(AP10K(root), FIRST)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keypoints": [1, 2, 3]}, "keypoints should hold 17 times x, y and visibility"),
        ({"keypoints": [0] * 51}, "no keypoint is on both photographs"),
        ({"bbox": [2, 3, 0, 19]}, "bbox is empty"),
        ({"bbox": "all"}, "bbox should be four finite numbers"),
    ],
)
def test_damaged_annotations_are_named(root, change, words):
    path = root / "ImageAnnotation/canidae/fox/000000000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ImageError, match=words):
        by_name(AP10K(root), FIRST)


def test_an_annotation_that_leads_out_of_the_data_is_refused(root):
    outside = "data/ap-10k/ImageAnnotation/../../secret.json"
    for path in (root / "PairAnnotation/test").glob("*:fox.json"):
        path.write_text(json.dumps({"src_json_path": outside, "trg_json_path": outside}))
    with pytest.raises(ImageError, match=r"without a leading / and without \.\."):
        AP10K(root, categories=["fox"]).load(0)


@pytest.mark.parametrize("options", [{"split": "all"}, {"setting": "species"}, {"sample": 0}])
def test_unknown_options_are_refused(root, options):
    with pytest.raises(ValueError, match=r"split=all|setting=species|sample"):
        AP10K(root, **options)


def test_names_that_were_unpacked_without_their_colon_are_the_same_categories(root):
    before = AP10K(root)
    categories, pairs = before.subsets, names(before)
    for path in (root / "PairAnnotation" / "test").glob("*.json"):
        path.rename(path.with_name(path.name.replace(":", "_")))
    after = AP10K(root)
    assert after.subsets == categories and names(after) == pairs


def test_unknown_categories_are_told_with_the_known_ones(root):
    with pytest.raises(ImageError, match="zebra not among cat, fox, wolf"):
        AP10K(root, categories=["zebra"]).find()


def _rows(flat):
    return [flat[i : i + 3] for i in range(0, len(flat), 3)]
