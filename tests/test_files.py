"""Texts in the encodings that people's editors write, and files that cannot be read."""

import os

import pytest

from pullback.errors import UserError
from pullback.files import MissingFileError, TextFileError, UnreadableFileError, read_bytes, read_lines, read_text

NAMES = "Körper.off\nb\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_text_is_read_in_any_encoding_and_with_any_line_ends(tmp_path, encoding, ending):
    (tmp_path / "list.txt").write_bytes(NAMES.replace("\n", ending).encode(encoding))
    assert read_text(tmp_path / "list.txt") == NAMES


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_the_mark_of_big_and_little_endian_utf16_is_removed(tmp_path, encoding):
    (tmp_path / "list.txt").write_bytes(("\ufeff" + NAMES).encode(encoding))
    assert read_text(tmp_path / "list.txt") == NAMES


def test_lines_end_where_line_ends_are_and_nowhere_else(tmp_path):
    (tmp_path / "list.txt").write_bytes("a\x0bb\x85c\u2028d\ne".encode())
    assert read_lines(tmp_path / "list.txt") == ["a\x0bb\x85c\u2028d", "e"]


def test_a_zero_inside_a_text_is_named_with_its_line_and_padding_with_zeros_is_not_minded(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"a\nb\0c\n")
    with pytest.raises(TextFileError, match=r"list\.txt, line 2: a zero byte"):
        read_lines(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_bytes(b"a\nb\n\0\0\0")
    assert read_lines(tmp_path / "list.txt") == ["a", "b", ""]


def test_half_a_character_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "list.txt").write_bytes("abc".encode("utf-16")[:-1])
    with pytest.raises(TextFileError, match=r"list\.txt: begins like utf-16"):
        read_text(tmp_path / "list.txt")


def test_what_cannot_be_read_is_named_for_the_user(tmp_path):
    with pytest.raises(MissingFileError, match=r"there is no mesh file .*nowhere\.off"):
        read_bytes(tmp_path / "nowhere.off", what="mesh file")
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        read_bytes(tmp_path)
    assert issubclass(MissingFileError, (UserError, FileNotFoundError))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_never_ends_is_not_read(tmp_path, make):
    make(tmp_path / "x.txt")
    with pytest.raises(UnreadableFileError, match=r"x\.txt is no file but a device or a pipe"):
        read_text(tmp_path / "x.txt")
