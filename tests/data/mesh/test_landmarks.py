"""Files of landmarks: two columns of vertex numbers from 1, and every way to get them wrong."""

import numpy as np
import pytest

from pullback.data.mesh.io import read_landmarks
from pullback.geometry.cleaning import MeshError


def saved(tmp_path, text):
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text", ["1 4\n2 5\n10 12\n", "# source target\n\n1 4\n2\t5  # the nose\r\n  10   12", "1,4\n2, 5\n10,12\n"]
)
def test_landmarks_count_from_0_inside_and_keep_their_order(tmp_path, text):
    ids1, ids2 = read_landmarks(saved(tmp_path, text), n1=10, n2=12)
    np.testing.assert_array_equal(ids1, [0, 1, 9])
    np.testing.assert_array_equal(ids2, [3, 4, 11])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 1\n2\n3 3\n", r"line 2: '2' is not two vertex numbers; write `source target`, counted from 1"),
        ("1 1 1\n", r"line 1: '1 1 1' is not two"),
        ("1 1\n2.5 2\n", r"line 2: '2.5 2' is not two"),
        ("nose nose\n", r"line 1: 'nose nose' is not two"),
        ("1 1\n0 2\n", r"line 2: the source has no vertex 0, but the vertices 1\.\.10\. Vertices count from 1 here"),
        (
            "1 1\n2 13\n",
            r"line 2: the target has no vertex 13, but the vertices 1\.\.12\. Are the columns the wrong way round",
        ),
        ("11 1\n", r"line 1: the source has no vertex 11"),
        ("1 1\n2 -2\n", r"line 2: the target has no vertex -2"),
        ("1 1\n\n2 2\n1 3\n", r"line 4: vertex 1 of the source was in line 1 already; keep one"),
        ("1 1\n2 1\n", r"line 2: vertex 1 of the target was in line 1 already"),
        ("1 1\n2 2\n", r"2 landmarks, but a map needs at least 3"),
        ("", r"0 landmarks"),
    ],
)
def test_what_is_no_list_of_landmarks_is_refused_with_file_and_line(tmp_path, text, message):
    path = saved(tmp_path, text)
    with pytest.raises(MeshError, match=message) as caught:
        read_landmarks(path, n1=10, n2=12)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named_with_what_to_write(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pairs\.txt; write one with a line `source target`"):
        read_landmarks(tmp_path / "pairs.txt", n1=1, n2=1)
