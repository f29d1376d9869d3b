"""The quick readers of text give what the readers by line give, or leave the file to them."""

from pathlib import Path

import numpy as np
import pytest
from tests.data.mesh.test_io import saved
from tests.mesh_files import FACES, OBJ, OFF, VERTS, obj_text, off_text, stl_text
from tests.meshes import sphere

from pullback.data.mesh.io import read_mesh, write_off
from pullback.data.mesh.readers.obj import obj_at_once, read_obj_by_line
from pullback.data.mesh.readers.off import off_at_once, read_off_by_line
from pullback.data.mesh.readers.source import Source
from pullback.data.mesh.readers.text import number_lines, word_lines

AT_ONCE = {"off": (off_at_once, read_off_by_line), "obj": (obj_at_once, read_obj_by_line)}
QUICK = (
    "plain",
    "windows",
    "comments",
    "glued",
    "no_keyword",
    "vertex_colours",
    "texture",
    "materials",
    "relative",
    "negative",
    "latin1",
)
ORDERLY = {name: text for name, text in (OFF | OBJ).items() if name.split(".")[0] in QUICK} | {
    "indented.off": off_text().replace("\n", "\n\t "),
    "trailing.off": off_text() + "\n# the end\n1 2 3\n",
    "old_mac.off": off_text().replace("\n", "\n\r"),
    "polygons.off": "OFF\n6 3 0\n"
    + "0 0 0\n1 0 0\n1 1 0\n0 1 0\n0 0 1\n2 0 0\n"
    + "4 0 1 2 3\n3 0 1 4 255 0 0\n5 0 1 2 3 4 0.5\n",
    "polygons.obj": "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\nf 1 2 4\n",
    "indented.obj": obj_text().replace("\nf", "\n  f"),
    "windows.obj": obj_text().replace("\n", "\r\n"),
}


@pytest.mark.parametrize("name", ORDERLY)
def test_an_orderly_file_is_read_at_once_and_gives_the_same_mesh(tmp_path, name):
    path = saved(tmp_path, name, ORDERLY[name])
    at_once, by_line = AT_ONCE[name[-3:]]
    found, expected = at_once(Source.of(path)), by_line(Source.of(path))
    np.testing.assert_array_equal(found.verts, expected.verts)
    np.testing.assert_array_equal(found.faces, expected.faces)
    assert (found.verts.dtype, found.faces.dtype) == (np.float64, np.int64)


ODD = {
    "one_line.off": OFF["one_line.off"],
    "accents.off": off_text().replace("OFF\n", "OFF\n# écrit à la main\n"),
    "marked.off": "\ufeff" + off_text(),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_read_all_the_same(tmp_path, name):
    verts, faces = read_mesh(saved(tmp_path, name, ODD[name]))
    np.testing.assert_array_equal(verts, VERTS)
    np.testing.assert_array_equal(faces, FACES)


LEFT_TO_THE_OTHERS = {
    "short_vertex": off_text().replace("0.0 1.0 0.0\n", "0.0 1.0\n"),
    "shared_out_wrongly": off_text()
    .replace("0.0 1.0 0.0\n", "0.0 1.0\n")
    .replace("0.0 0.0 1.0\n", "0.0 0.0 1.0 0.0\n"),
    "fractional_corner": off_text().replace("3 0 1 3", "3 0 1.5 3"),
    "two_corners": off_text().replace("3 0 1 3", "2 0 1"),
    "word": off_text().replace("9.0", "nine"),
    "too_few_lines": off_text(announced=(5, 9)),
}


@pytest.mark.parametrize("name", LEFT_TO_THE_OTHERS)
def test_what_is_out_of_order_is_left_to_the_reader_by_line(name):
    assert off_at_once(Source(Path("mesh.off"), LEFT_TO_THE_OTHERS[name].encode())) is None


def test_coordinates_are_read_bit_for_bit(tmp_path):
    verts, faces = sphere(2)
    verts = verts * np.random.default_rng(0).uniform(1e-9, 1e9, (len(verts), 3))
    write_off(tmp_path / "sphere.off", verts, faces)
    found = off_at_once(Source.of(tmp_path / "sphere.off"))
    np.testing.assert_array_equal(found.verts, verts)
    np.testing.assert_array_equal(found.faces, faces)


def test_numbers_know_their_lines():
    lines = number_lines(b"1 2\n\n  3\t4e1 -5\r\n6")
    assert lines.values.tolist() == [1, 2, 3, 40, -5, 6]
    assert lines.count.tolist() == [2, 3, 1]
    assert lines.columns(slice(0, 2), 2).tolist() == [[1, 2], [3, 40]]
    assert lines.columns(slice(None), 2) is None


def test_lines_are_chosen_by_their_whole_first_word():
    text = b"v 1\nvt 2\n\n  v\t3 v 4\nv\nw v 5\nv"
    lines = word_lines(text).after(b"v")
    assert lines.text.split() == [b"1", b"3", b"v", b"4"]
    assert [text[start : start + 1] for start in lines.starts] == [b"v"] * 4


def test_text_stl_is_read_with_any_spacing(tmp_path):
    verts, faces = read_mesh(saved(tmp_path, "mesh.stl", stl_text().replace("vertex ", "Vertex\t  ")))
    np.testing.assert_array_equal(verts[faces], VERTS[FACES])
