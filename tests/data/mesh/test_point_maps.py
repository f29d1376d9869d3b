"""Maps to begin with, from files of any origin."""

import numpy as np
import pytest
import scipy.io

from pullback.data.mesh.point_maps import read_point_map
from pullback.data.mesh.query_points import listed_points, read_points
from pullback.files import MissingFileError
from pullback.geometry.cleaning import MeshError

MAP = np.array([3, 0, 2, 3, -1, 1])


def test_text_counts_from_one_and_has_zero_or_minus_one_for_none(tmp_path):
    for none in ("0", "-1"):
        (tmp_path / "p.txt").write_text("".join(f"{i + 1}\n" if i >= 0 else f"{none}\n" for i in MAP))
        assert np.array_equal(read_point_map(tmp_path / "p.txt", n1=4, n2=6), MAP)


def test_arrays_count_from_zero_and_matlab_from_one(tmp_path):
    np.save(tmp_path / "p.npy", MAP)
    np.savez(tmp_path / "match.npz", fmap12=np.eye(3), p2p21=MAP)
    scipy.io.savemat(tmp_path / "p.mat", {"p2p21": (MAP + 1.0)[:, None]})
    for name in ("p.npy", "match.npz", "p.mat"):
        assert np.array_equal(read_point_map(tmp_path / name, n1=4, n2=6), MAP)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1\n2\n3\n", r"p\.txt: 3 entries, but the target has 6 vertices"),
        ("1\n2\n9\n1\n1\n1\n", r"p\.txt, line 3: the source has no vertex 9, but the vertices 1\.\.4"),
        ("1\n2\n\n-2\n1\n1\n1\n", r"line 4: the source has no vertex -2"),
        ("0\n1\n2\n3\n1\n1\n", r"line 1: vertex 0, and none is called 4: it seems to count from 0\. Add 1"),
        ("1\n2\nx\n1\n1\n1\n", r"p\.txt, line 3: 'x' is not one vertex number a line"),
        ("0\n0\n0\n0\n0\n0\n", r"no vertex of the target has a partner"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, told):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(MeshError, match=told):
        read_point_map(tmp_path / "p.txt", n1=4, n2=6)


def test_a_map_between_parts_may_have_many_zeros_without_reaching_the_last_vertex(tmp_path):
    (tmp_path / "p.txt").write_text("0\n" * 40 + "1\n2\n3\n")
    assert (read_point_map(tmp_path / "p.txt", n1=9, n2=43)[:40] == -1).all()


def test_files_that_hold_no_map_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", other=MAP)
    (tmp_path / "b.npy").write_text("nothing")
    np.save(tmp_path / "c.npy", np.full(6, 0.5))
    (tmp_path / "d.mat").write_bytes(b"MATLAB 5.0")
    for name, told in (("a.npz", "Call the map p2p21"), ("b.npy", "no .npy file"), ("c.npy", "no vertex number")):
        with pytest.raises(MeshError, match=told):
            read_point_map(tmp_path / name, n1=4, n2=6)
    with pytest.raises(MeshError, match=r"cannot be read as a \.mat file"):
        read_point_map(tmp_path / "d.mat", n1=4, n2=6)
    with pytest.raises(MissingFileError):
        read_point_map(tmp_path / "nosuch.npy", n1=4, n2=6)


def test_points_are_vertices_from_one_or_places(tmp_path):
    (tmp_path / "p.txt").write_text("# the nose\n3\n\n0.5, 1 2 # an ear\n")
    found = read_points(tmp_path / "p.txt", n=5, side="source")
    assert found.vertex.tolist() == [2, -1] and found.place[1].tolist() == [0.5, 1, 2]
    assert listed_points([1, 5], n=5, side="source").vertex.tolist() == [0, 4]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1\n6\n", r"p\.txt, line 2: the source has no vertex 6, but the vertices 1\.\.5"),
        ("0\n", r"line 1: the source has no vertex 0, .*add 1"),
        ("1\n1 2\n", r"line 2: '1 2' is no point; write a vertex number"),
        ("1 2 inf\n", r"line 1: .* is no point"),
        ("# none\n", r"there are no points in it"),
    ],
)
def test_points_that_are_none_are_told_with_their_line(tmp_path, text, told):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(MeshError, match=told):
        read_points(tmp_path / "p.txt", n=5, side="source")
