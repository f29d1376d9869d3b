"""Places on photographs that are asked for."""

import numpy as np
import pytest
import torch

from pullback.data.image.decoding import ImageError
from pullback.data.image.query_places import listed_places, read_places

ON = {"size": (40, 60), "side": "source"}


def test_a_file_of_places_may_have_commas_blank_lines_and_remarks(tmp_path):
    (tmp_path / "points.txt").write_text("# eyes\n12 30\n\n13.5, 8  # left\n0;39\n")
    assert read_places(tmp_path / "points.txt", **ON).tolist() == [[12, 30], [13.5, 8], [0, 39]]


@pytest.mark.parametrize("form", [list, np.array, torch.tensor])
def test_places_may_be_lists_arrays_or_tensors(form):
    assert listed_places(form([[12, 30], [59, 0]]), **ON).tolist() == [[12, 30], [59, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n3\n", "line 2: '3' is no place"),
        ("1 2 3\n", "line 1: '1 2 3' is no place"),
        ("left eye\n", "line 1: 'left eye' is no place"),
        ("60 3\n", "line 1 lies outside of the source, which has 60 × 40 pixels: x from 0 to 59"),
        ("nan 3\n", "line 1 lies outside"),
        ("# nothing\n", "there are no points in it; write x y in each line"),
    ],
)
def test_what_is_no_place_is_told_with_its_line(text, message, tmp_path):
    (tmp_path / "points.txt").write_text(text)
    with pytest.raises(ImageError, match=message):
        read_places(tmp_path / "points.txt", **ON)


@pytest.mark.parametrize("given", [[], [1, 2], [[1, 2, 3]], [["a", "b"]]])
def test_lists_of_other_forms_are_refused(given):
    with pytest.raises(ImageError, match=r"points=\[\[120,40\],\[33,80\]\]"):
        listed_places(given, **ON)


def test_a_place_outside_is_named():
    with pytest.raises(ImageError, match=r"points: \[5.0, 40.0\] lies outside of the source"):
        listed_places([[5, 40]], **ON)
