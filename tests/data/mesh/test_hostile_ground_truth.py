"""Dense ground truth and lists of pairs that are broken or hostile: TSS, photos and folders refuse them by name."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.image_fakes import UNKNOWN, rectangle, scene, write_flow, write_image, write_tss_pair

from pullback.data.image.decoding import ImageError
from pullback.data.image.sets.folder import ImageFolder
from pullback.data.image.sets.photos import Photos
from pullback.data.image.sets.tss import TSS
from pullback.errors import UserError


def test_a_pair_of_tss_with_nothing_to_measure_is_refused(tmp_path):
    folder = tmp_path / "JODS" / "suv_01_02"
    tss = TSS(tmp_path, allow_missing=True)
    write_tss_pair(folder, 1)
    write_flow(folder / "flow2.flo", np.full((26, 30, 2), UNKNOWN))
    with pytest.raises(ImageError, match=r"mask2\.png marks no pixel whose flow is known in flow2\.flo"):
        tss.load(0)
    write_tss_pair(folder, 1)
    write_image(folder / "mask2.png", np.zeros((26, 30), np.uint8))
    with pytest.raises(ImageError, match=r"mask2\.png marks no pixel of the object"):
        tss.load(0)
    write_image(folder / "mask2.png", np.full((26, 31), 255, np.uint8))
    with pytest.raises(ImageError, match=r"flow2\.flo has 30 × 26 pixels, but mask2\.png 31 × 26"):
        tss.load(0)
    write_tss_pair(folder, 1)
    write_image(folder / "image1.png", scene(1, 9, 9))
    with pytest.raises(ImageError, match=r"image1\.png: its mask has 32 × 24 pixels, the photograph 9 × 9"):
        tss.load(0)


@pytest.mark.parametrize(
    ("content", "mirrored"),
    [(b"\xef\xbb\xbf1\r\n", True), (b" 0 \n\n", False), (b"1\x00", None), (b"2", None), (b"1" * 10**6, None)],
)
def test_whether_a_pair_of_tss_is_mirrored_is_one_digit(tmp_path, content, mirrored):
    folder = tmp_path / "JODS" / "suv_01_02"
    write_tss_pair(folder, 1)
    (folder / "flip_gt.txt").write_bytes(content)
    if mirrored is None:
        with pytest.raises(ImageError, match=r"flip_gt\.txt: should hold 0 or 1"):
            TSS(tmp_path, allow_missing=True).load(0)
    else:
        assert TSS(tmp_path, allow_missing=True).load(0).mirrored == mirrored


def photos(root: Path, **changes) -> Photos:
    """A stereo pair, or a warped one where a warp is among the changes, with some keys changed or taken away."""
    write_image(root / "one.png", scene(1, 20, 26))
    write_image(root / "two.png", scene(2, 20, 26))
    write_image(root / "mask.png", rectangle(20, 26, (4, 4, 20, 16)))
    write_image(root / "disparity.png", np.full((20, 26), 400, np.uint16))
    truth = (
        {"mask1": "mask.png"}
        if "warp" in changes
        else {"disparity": "disparity.png", "box1": [2, 3, 20, 15], "box2": [2, 3, 20, 15]}
    )
    pair = {
        "name": "a",
        "subset": "s",
        "category": "cup",
        "image1": "one.png",
        "image2": "two.png",
        "keypoints2": [[8, 9], [12, 11]],
    }
    changed = {key: value for key, value in (pair | truth | changes).items() if value is not ...}
    (root / "pairs.json").write_text(json.dumps([changed]))
    return Photos(root)


WARP = {"matrix": [[1.0, 0.1, 0.5], [-0.1, 1.0, 2.0]], "waves": [[0.5, 0.2, 1.0, 0.4, 0.1]]}


def test_the_fake_pairs_are_read_as_they_are(tmp_path):
    assert photos(tmp_path).load(0).flow21[0, 0, 0] == -400 / 256
    assert photos(tmp_path, warp=WARP).load(0).known2.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image1": "/etc/passwd"}, "image1 should name a file in"),
        ({"disparity": "../a.png"}, "disparity should name a file in"),
        ({"name": "../a"}, "cannot be the name of a pair"),
        ({"name": 3}, "cannot be the name of a pair"),
        ({"category": None}, "category should be a word"),
        ({"subset": "\x1b[31mred"}, "subset should be a word"),
        ({"subset": ...}, "has no subset"),
        ({"disparity": ...}, "has no disparity"),
        ({"keypoints2": [[8, 9], [26, 11]]}, r"keypoints2: \[26.0, 11.0\] lies outside of the photograph"),
        ({"keypoints2": [[8, 9], [-1, 11]]}, "keypoints2: .*lies outside of the photograph"),
        ({"keypoints2": "all"}, "keypoints2 should hold pairs"),
        ({"box1": [9, 9, 2, 2]}, "box1 is inverted"),
        ({"box1": 4}, "box1 should be four"),
        ({"warp": WARP | {"matrix": [[1, 0, 0]]}}, "matrix of its warp should be 2 rows of 3 finite numbers"),
        ({"warp": WARP | {"waves": [[1, 2, 3]]}}, "waves of its warp should be some rows of 5 finite numbers"),
        ({"warp": WARP | {"matrix": [[1, 0, "0"], [0, 1, 0]]}}, "matrix of its warp"),
        ({"warp": {}}, "warp: has no matrix, waves"),
        ({"warp": 3}, "warp: should be a warp"),
        ({"warp": WARP | {"matrix": [[1, 0, 9000], [0, 1, 0]]}}, "knows no pixel of image 2"),
        ({"warp": WARP, "mask1": ...}, "has no mask1"),
        ({"image2": "none.png"}, "none.png"),
    ],
)
def test_a_broken_entry_of_pairs_json_is_named(tmp_path, changes, message):
    with pytest.raises(UserError, match=rf"(?s){message}") as raised:
        photos(tmp_path, **changes).load(0)
    assert "pairs.json" in str(raised.value)


@pytest.mark.parametrize("content", ["{}", "3", "[3]", "[]", "[[]]", "null", "[" * 10_000])
def test_pairs_json_of_another_form_is_named(tmp_path, content):
    (tmp_path / "pairs.json").write_text(content)
    with pytest.raises(UserError, match=r"pairs\.json: "):
        Photos(tmp_path).check()


def test_masks_and_disparities_of_another_size_are_named(tmp_path):
    stereo = photos(tmp_path)
    write_image(tmp_path / "disparity.png", np.full((20, 27), 400, np.uint16))
    with pytest.raises(ImageError, match=r"disparity\.png has 27 × 20 pixels, two\.png 26 × 20"):
        stereo.load(0)
    warped = photos(tmp_path, warp=WARP)
    write_image(tmp_path / "mask.png", rectangle(21, 26, (4, 4, 20, 16)))
    with pytest.raises(ImageError, match=r"one\.png: its mask has 26 × 21 pixels"):
        warped.load(0)


def test_a_folder_takes_photographs_by_content_and_leaves_out_everything_else(tmp_path):
    for name in ("b.png", "a.avif", "c.jfif"):
        write_image(tmp_path / "whole.png", scene(1))
        (tmp_path / name).write_bytes((tmp_path / "whole.png").read_bytes())
    (tmp_path / "whole.png").rename(tmp_path / "without_ending")
    (tmp_path / "film.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42")
    (tmp_path / "notes.md").write_text("words")
    (tmp_path / "d.png").mkdir()
    assert [files.name for files in ImageFolder(tmp_path).pairs] == ["a-b", "b-c", "c-without_ending"]
