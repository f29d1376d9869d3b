"""The page of two matched meshes, as Python writes it."""

import base64
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from tests.figures.test_report import EVIL, Page

from pullback.api.pages import Page as ShownPage
from pullback.figures import three
from pullback.figures.alignment import aligning_rotation, turned
from pullback.figures.packing import packed, packed_columns, packed_ids, packed_levels
from pullback.figures.surface import Surface
from pullback.figures.three import ViewerError, three_js
from pullback.figures.viewer import Side, ViewedPair, shown_eigenfunctions, viewer_html, write_viewer

TRIANGLE = Side("flat", np.eye(3), np.array([[0, 1, 2]]))


def unpacked(found):
    values = np.frombuffer(
        zlib.decompress(base64.b64decode(found["data"])), dtype=found["kind"].removesuffix("Array").lower()
    )
    return values


def rotation(degrees, axis):
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(np.radians(degrees) * np.array(axis, float)).as_matrix()


def plain_pair(**more):
    ids = np.arange(3)
    return ViewedPair("a → b", TRIANGLE, TRIANGLE, ids, ids, **more)


def test_nothing_on_the_page_is_fetched_and_what_comes_from_outside_is_text():
    side = replace(TRIANGLE, name=EVIL, features=np.eye(3))
    html = viewer_html(replace(plain_pair(told=[EVIL], channels=[EVIL] * 3), title=EVIL, side1=side, side2=side))
    own = html.replace(three_js(), "")
    assert EVIL not in own and own.count("<script>") == own.count("</script>") == 8
    assert "default-src 'none'" in html and "connect-src" not in html
    page = Page(re.sub(r"<script>.*?</script>|<link[^>]*>|<input[^>]*>", "", own, flags=re.DOTALL))
    assert not page.values("src") and page.text.count(EVIL) > 3


def test_the_library_comes_with_its_licence_and_defines_its_name():
    assert "@license" in three_js()[:40] and "SPDX-License-Identifier: MIT" in three_js() and ".THREE={}" in three_js()


def test_a_trimesh_without_the_library_is_told_with_one_that_has_it(monkeypatch):
    monkeypatch.setattr(three, "_LIBRARY", re.compile("not there"))
    three_js.cache_clear()
    with pytest.raises(ViewerError, match=r"with trimesh 5\.2\.0 there is"):
        three_js()
    three_js.cache_clear()


def test_ids_survive_packing_and_none_is_the_largest_number():
    few, many = packed_ids(np.array([3, -1, 0])), packed_ids(np.array([70_000, -1]))
    assert few["kind"] == "Uint16Array" and unpacked(few).tolist() == [3, 65535, 0]
    assert many["kind"] == "Uint32Array" and unpacked(many).tolist() == [70_000, 2**32 - 1]
    assert packed_ids(np.array([65535]))["kind"] == "Uint32Array"


def test_columns_are_packed_one_after_another_each_on_its_own_scale():
    values = np.array([[1.0, -100.0], [0.25, 50.0], [-1.0, 0.0]])
    found = packed_columns(values)
    back = unpacked(found).reshape(2, 3).T * found["scale"]
    np.testing.assert_allclose(back, values, atol=100 / 32767)
    np.testing.assert_allclose(back[:, 0], values[:, 0], atol=1 / 32767)
    assert np.isfinite(packed_columns(np.zeros((3, 1)))["scale"]).all()


def test_levels_keep_what_is_no_number_apart():
    assert unpacked(packed_levels(np.array([0.0, 1.0, 0.5, np.nan, 7.0]), low=0.0, high=1.0)).tolist() == [
        0, 254, 127, 255, 254,
    ]  # fmt: skip
    assert unpacked(packed(np.array([1.5], dtype=np.float32))).tolist() == [1.5]


def test_fine_meshes_bring_fewer_eigenfunctions():
    def pair(n, k=200):
        side = Side("s", np.zeros((n, 3)), np.zeros((1, 3), int), evecs=np.broadcast_to(0.0, (n, k)))
        return ViewedPair("", side, side, np.zeros(n, int), np.zeros(n, int), fmap12=np.zeros((k, k)))

    assert [shown_eigenfunctions(pair(n)) for n in (1_000, 100_000, 1_000_000)] == [60, 20, 12]
    assert shown_eigenfunctions(pair(1_000, k=7)) == 7 and shown_eigenfunctions(plain_pair()) == 0


@pytest.mark.parametrize("degrees", [90, 180])
def test_a_shape_is_turned_back_to_the_side_of_its_partner(icosphere, degrees):
    verts, faces = icosphere
    away = rotation(degrees, (0, 1, 0))
    found = aligning_rotation(verts, verts @ away.T, np.arange(len(verts)))
    np.testing.assert_allclose(found, away.T, atol=1e-9)
    np.testing.assert_allclose(turned(Surface(verts @ away.T, faces), found).verts, verts, atol=1e-6)


def test_a_shape_is_not_turned_for_little_nor_by_a_map_that_says_nothing_nor_mirrored(icosphere):
    verts, _ = icosphere
    ids, shuffled = np.arange(len(verts)), np.random.default_rng(0).permutation(len(verts))
    for there, p2p21 in (
        (verts @ rotation(15, (0, 1, 0)).T, ids),
        (verts, shuffled),
        (verts, np.full(len(verts), -1)),
    ):
        np.testing.assert_array_equal(aligning_rotation(verts, there, p2p21), np.eye(3))
    assert np.linalg.det(aligning_rotation(verts, verts * [-1, 1, 1], ids)) > 0


def test_vertices_without_a_partner_do_not_turn_the_shape(icosphere):
    verts, _ = icosphere
    p2p21 = np.where(verts[:, 1] > 0, np.arange(len(verts)), -1)
    away = rotation(120, (1, 2, 3) / np.sqrt(14))
    there = np.where(p2p21[:, None] < 0, 9.0, verts @ away.T)
    np.testing.assert_allclose(aligning_rotation(verts, there, p2p21), away.T, atol=1e-9)


def test_a_notebook_gets_the_page_in_a_frame_and_a_file_keeps_it(tmp_path):
    page = ShownPage('<p title="a">&amp;</p>')
    (frame,) = [value for _, name, value in Page(page._repr_html_()).attributes if name == "srcdoc"]
    assert frame == page.html and page._repr_html_().count("<p") == 0
    assert 'sandbox="allow-scripts"' in page._repr_html_()
    assert page.save(tmp_path / "a.html").read_text() == page.html
    assert len(repr(ShownPage("x" * 10_000))) < 100


def test_the_file_holds_the_page_and_its_data_are_json(tmp_path):
    path = write_viewer(tmp_path / "viewer.html", plain_pair())
    html = path.read_text(encoding="utf-8")
    data = json.loads(re.search(r"const DATA = (.*);</script>", html)[1])
    assert html == viewer_html(plain_pair()) and unpacked(data["p2p21"]).tolist() == [0, 1, 2]
