"""Prepared shapes are held while there is room, those of the last pair in any case."""

from dataclasses import replace

import pytest
from tests.fakes import write_mesh
from tests.meshes import sphere

from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.data.mesh.shelf import Shelf

SIZE = 5 * 42 * (8 + 20)  # bytes, of a shape of 42 vertices with 8 eigenfunctions


@pytest.fixture
def prepared(tmp_path):
    write_mesh(tmp_path / "a.off", *sphere(1))
    return load_shape(tmp_path / "a.off", PreparationSettings(k=8), tmp_path / "cache")


@pytest.mark.parametrize(
    ("room", "asked", "made"),
    [
        (3 * SIZE, "abcadbc", "abcdbc"),  # d takes the place of b, which was used least lately, and so on
        (4 * SIZE, "abcadbc", "abcd"),
        (1, "abab", "ab"),  # both shapes of a pair stay however large
    ],
)
def test_the_shapes_used_last_stay_while_there_is_room(prepared, room, asked, made):
    found, shelf = [], Shelf(most_bytes=room)
    for key in asked:
        shelf.get(key, lambda key=key: found.append(key) or replace(prepared, notes=(key,)))
    assert "".join(found) == made
    assert shelf.get(asked[-1], lambda: prepared).notes == (asked[-1],)
