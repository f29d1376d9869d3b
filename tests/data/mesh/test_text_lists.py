"""Lists, ground truth and landmarks as people's editors save them: in any encoding, with any line ends,
and with what is wrong in them.
"""

import numpy as np
import pytest
from PIL import Image

from pullback.data.errors import ListError, MissingDataError
from pullback.data.image.sets.folder import ImageFolder
from pullback.data.mesh.io import count_rows, read_landmarks, read_vts
from pullback.data.mesh.lists import listed_splits, read_names
from pullback.data.mesh.sets.folder import Folder
from pullback.errors import UserError
from pullback.files import MissingFileError, TextFileError
from pullback.geometry.cleaning import MeshError

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1")
ENDINGS = {"unix": "\n", "windows": "\r\n", "old mac": "\r", "blanks": "  \t\n", "empty lines": "\n\n \n"}


def saved(tmp_path, text, encoding="utf-8", ending="\n", name="list.txt"):
    path = tmp_path / name
    path.write_bytes(text.replace("\n", ending).encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_every_list_is_read_in_every_encoding_and_with_every_line_end(tmp_path, encoding, ending):
    assert read_names(saved(tmp_path, "Körper.off\nb.OFF.gz\nc d\n", encoding, ending)) == ["Körper", "b", "c d"]
    assert read_vts(saved(tmp_path, "1\n5\n3\n", encoding, ending), n_vertices=5).tolist() == [0, 4, 2]
    ids1, ids2 = read_landmarks(saved(tmp_path, "# né\n1 4\n2 5\n10 12\n", encoding, ending), n1=10, n2=12)
    np.testing.assert_array_equal(np.stack([ids1, ids2]), [[0, 1, 9], [3, 4, 11]])


def test_zeros_behind_the_last_line_are_not_minded_and_others_are_refused_with_the_line(tmp_path):
    padded = saved(tmp_path, "1\n2\n3\n\0\0\0\0")
    assert read_vts(padded, n_vertices=3).tolist() == [0, 1, 2]
    assert read_names(padded) == ["1", "2", "3"]
    broken = saved(tmp_path, "1 1\n2 2\n3\0 3\n")
    with pytest.raises(TextFileError, match=r"list\.txt, line 3: a zero byte"):
        read_names(broken)
    with pytest.raises(UserError, match=r"list\.txt, line 3"):
        read_landmarks(broken, n1=5, n2=5)
    with pytest.raises(MeshError, match=r"list\.txt, line 3"):
        count_rows(broken)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n\n2.5\n", r"line 3: entry 2 is 2\.5"),
        ("1\nzwei\n", r"line 2: 'zwei' is not one vertex number"),
        ("1\n²\n", "line 2: '²' is not one vertex number"),
        ("1\n1_0\n", "line 2: '1_0' is not one vertex number"),
        ("1\n" + "9" * 30, "line 2: entry 2 is 9999"),
        ("1\n1e400", "line 2: entry 2 is 1e400"),
        ("1\n2\n7\n", r"the first other is 7, line 3"),
    ],
)
def test_ground_truth_that_is_none_is_refused_with_its_line(tmp_path, text, message):
    path = saved(tmp_path, text, name="a.vts")
    with pytest.raises(MeshError, match=message) as caught:
        read_vts(path, n_vertices=5)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("word", ["--1", "²", "1_0", "٣", "1e400", "nan", "1.5", "-"])
def test_a_word_that_only_looks_like_a_vertex_number_is_refused_with_its_line(tmp_path, word):
    with pytest.raises(MeshError, match=r"list\.txt, line 2: .* is not two vertex numbers"):
        read_landmarks(saved(tmp_path, f"1 1\n{word} 2\n3 3\n"), n1=10, n2=10)


@pytest.mark.parametrize("text", ["1;4\n2; 5\n10\t12\n", "1.0 4.0\n2e0 5\n10 12", "1,4,\n2 5 ;\n 10 , 12 # c"])
def test_landmarks_may_be_written_as_spreadsheets_and_matlab_do(tmp_path, text):
    ids1, ids2 = read_landmarks(saved(tmp_path, text), n1=10, n2=12)
    assert ids1.tolist() == [0, 1, 9] and ids2.tolist() == [3, 4, 11]


def test_what_is_missing_is_a_users_error_that_names_the_file(tmp_path):
    for read in (
        read_names,
        count_rows,
        lambda path: read_vts(path, n_vertices=1),
        lambda path: read_landmarks(path, n1=1, n2=1),
    ):
        with pytest.raises(MissingFileError, match=r"nowhere\.txt"):
            read(tmp_path / "nowhere.txt")


def test_split_lists_name_the_line_of_what_is_wrong(tmp_path):
    saved(tmp_path, "a\nb\nx\n", "utf-16", name="train.txt")
    with pytest.raises(
        MissingDataError, match=r"train\.txt \(line 3\) names 1 shapes that the data set does not have: x"
    ):
        listed_splits(tmp_path, ["a", "b"])
    saved(tmp_path, "a\nb\n\na.off\n", name="train.txt")
    with pytest.raises(ListError, match=r"train\.txt, line 4: a was named in line 1 already"):
        listed_splits(tmp_path, ["a", "b"])
    saved(tmp_path, "\ufeffa\n", name="train.txt")
    assert listed_splits(tmp_path, ["a", "b"]) == {"train": ["a"], "test": ["b"]}


def test_a_folder_takes_packed_meshes_and_lists_in_any_encoding(tmp_path):
    for name in ("Körper.off", "b.ply.gz", "c.GLB", "notes.txt.gz"):
        (tmp_path / name).write_bytes(b"x")
    saved(tmp_path, "Körper\nb.ply.gz\n", "latin-1", name="train.txt")
    folder = Folder(tmp_path)
    assert [files.name for files in folder.shapes("train")] == ["Körper", "b"]
    assert [files.name for files in folder.shapes("test")] == ["c"]
    saved(tmp_path, "b\nnobody\n", name="train.txt")
    with pytest.raises(MissingDataError, match=r"train\.txt \(line 2\) names 1 shapes .* not have: nobody"):
        folder.shapes("train")


def test_two_files_of_one_name_are_told_apart_by_the_user(tmp_path):
    for name in ("a.off", "a.off.gz"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(MeshError, match=r"would both be called a: remove or rename one"):
        Folder(tmp_path).shapes("test")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_pairs_of_photographs_are_listed_in_any_encoding(tmp_path, encoding):
    for name in ("Körper.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    saved(tmp_path, "Körper.png b.png\n", encoding, "\r\n", name="pairs.txt")
    (pair,) = ImageFolder(tmp_path).find()
    assert (pair.first.name, pair.second.name) == ("Körper.png", "b.png")
