"""The geometry-aware keypoints of SPair-71k: those that have a twin on the target."""

import json

import pytest
from tests.image_fakes import names, write_spair_pair, write_spair_photo
from tests.later import later

from pullback.data.errors import MissingDataError
from pullback.data.image.decoding import ImageError
from pullback.data.image.sets.spair71k import SPair71k
from pullback.data.image.sets.spair71k_geo_aware import GROUPS, SPairGeoAware

loading = later("pullback.data.image.datamodule")


def write_pair(root, number, shared, on_target, category="cat"):
    """A pair that shares three keypoints, whose target shows more."""
    write_spair_pair(root, number, category)
    path = next(root.glob(f"PairAnnotation/test/{number:06d}-*.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"kps_ids": [str(i) for i in shared]}))
    write_spair_photo(root, category, f"2008_{2 * number + 1:06d}", on_target)


def chosen(root, **options):
    return SPairGeoAware(root, sample=None, **options)


def test_a_keypoint_counts_where_the_target_shows_another_of_its_group(tmp_path):
    write_pair(tmp_path, 0, shared=(2, 9, 13), on_target=(2, 9, 11, 13))  # one ear alone, two paws, the tail
    pair, whole = chosen(tmp_path).load(0), SPair71k(tmp_path, sample=None).load(0)
    assert pair.keypoints2.tolist() == [whole.keypoints2[1].tolist()]
    assert pair.keypoints1.tolist() == [whole.keypoints1[1].tolist()]


def test_all_shared_keypoints_of_a_group_count(tmp_path):
    write_pair(tmp_path, 0, shared=(2, 3, 9), on_target=(2, 3, 9))
    assert len(chosen(tmp_path).load(0).keypoints1) == 2


def test_pairs_without_such_keypoints_are_left_out_after_the_sample_was_drawn(tmp_path):
    for number in range(6):
        write_pair(tmp_path, number, shared=(2, 3, 9), on_target=(2, 3, 9) if number % 2 else (2, 9))
    assert len(chosen(tmp_path)) == 3
    drawn, whole = SPairGeoAware(tmp_path, sample=8), SPair71k(tmp_path, sample=8)
    kept = [name for name in names(whole) if int(name[:6]) % 2]
    assert names(drawn) == kept and 0 < len(kept) < 8


def test_the_subset_is_not_cropped_where_the_whole_set_is(tmp_path):
    write_pair(tmp_path, 0, shared=(2, 3, 9), on_target=(2, 3, 9))
    sets = loading.ImagePairDataModule([chosen(tmp_path), SPair71k(tmp_path, sample=None)]).test_sets
    assert [pairs.crop for pairs in sets] == ["none", "box"]
    assert "cropped to the box" in sets[1].protocol and "geometry-aware keypoints alone" in sets[0].protocol
    (own,) = loading.ImagePairDataModule([SPair71k(tmp_path, sample=None)], crop="none").test_sets
    assert own.crop == "none" and "cropped" not in own.protocol and own[0].image1.size == (25, 32)
    assert sets[1][0].image1.size != (25, 32)


def test_groups_are_of_distinct_keypoints_of_all_categories():
    assert len(GROUPS) == 18
    for groups in GROUPS.values():
        ids = [keypoint for group in groups for keypoint in group]
        assert len(ids) == len(set(ids)) and max(ids) < 30 and min(map(len, groups)) >= 2


def test_missing_and_damaged_annotations_of_photographs_are_named(tmp_path):
    write_pair(tmp_path, 0, shared=(2, 3, 9), on_target=(2, 3, 9))
    path = tmp_path / "ImageAnnotation" / "cat" / "2008_000001.json"
    path.write_text('{"kps": []}')
    with pytest.raises(ImageError, match=r"2008_000001\.json: kps should give the place"):
        chosen(tmp_path).find()
    path.unlink()
    with pytest.raises(MissingDataError, match=r"looked for .*2008_000001\.json"):
        chosen(tmp_path).find()


@pytest.mark.parametrize("shared", [(2, 3), (2, 3, 9, 10)])
def test_another_number_of_names_than_of_keypoints_fails_that_pair_alone(tmp_path, shared):
    write_pair(tmp_path, 0, shared=shared, on_target=(2, 3, 9, 10))
    write_pair(tmp_path, 1, shared=(2, 3, 9), on_target=(2, 3, 9))
    dataset = chosen(tmp_path)
    with pytest.raises(ImageError, match=f"kps_ids names {len(shared)} keypoints, and there are 3"):
        dataset.load(0)
    assert len(dataset.load(1).keypoints1) == 2


def test_names_that_were_unpacked_without_their_colon_are_the_same_pairs(tmp_path):
    write_pair(tmp_path, 0, shared=(2, 3, 9), on_target=(2, 3, 9))
    before = names(chosen(tmp_path))
    (path,) = (tmp_path / "PairAnnotation" / "test").glob("*.json")
    path.rename(path.with_name(path.name.replace(":", "_")))
    after = chosen(tmp_path)
    assert names(after) == before and after.subsets == ("cat",) and len(after.load(0).keypoints1) == 2


def test_a_choice_without_twins_is_refused(tmp_path):
    write_pair(tmp_path, 0, shared=(0, 1, 4), on_target=(0, 1, 4))
    with pytest.raises(ImageError, match="no pair of these categories has a keypoint with a twin"):
        chosen(tmp_path).find()
