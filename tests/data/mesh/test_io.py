"""Files as they come: every format, and every way in which one can be broken."""

import numpy as np
import pytest
from tests.mesh_files import FACES, VERTS, obj_text, off_text, ply_bytes, ply_header, ply_text, stl_bytes, stl_text
from tests.meshes import sphere

from pullback.data.mesh.io import count_rows, read_mesh, read_vts, write_off, write_vts
from pullback.geometry.cleaning import MeshError


def saved(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("content", [stl_text(), stl_bytes(), stl_text().upper()], ids=["text", "binary", "upper case"])
def test_stl_triangles_are_joined_at_equal_vertices(tmp_path, content):
    verts, faces = read_mesh(saved(tmp_path, "mesh.stl", content))
    assert len(verts) == 4
    assert np.array_equal(verts[faces], VERTS[FACES])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("quad.off", "OFF\n5 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n0 0 1\n4 0 1 2 3\n3 0 1 4\n"),
        ("quad.obj", "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nf 1 2 3 4\nf 1 2 5\n"),
        ("quad.ply", ply_header("ascii", 5, 2) + "0 0 0\n1 0 0\n1 1 0\n0 1 0\n0 0 1\n4 0 1 2 3\n3 0 1 4\n"),
    ],
)
def test_polygons_are_cut_into_triangles_of_the_same_area(tmp_path, name, content):
    verts, faces = read_mesh(saved(tmp_path, name, content))
    assert verts.shape == (5, 3)
    assert faces.shape == (3, 3)
    a, b, c = (verts[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a) / 2
    assert normals[:, 2].sum() == pytest.approx(1)
    assert np.linalg.norm(normals, axis=1).sum() == pytest.approx(1.5)


BROKEN = {
    "empty.off": ("", "empty"),
    "blank.obj": ("\n\n", "empty"),
    "empty.ply": ("", "empty"),
    "empty.stl": ("", "empty"),
    "text.ply": ("hello\n", "not a PLY file"),
    "words.off": ("hello\nworld\n", "line 1: not an OFF file"),
    "binary.off": ("OFF BINARY\n5 4 0\n", "before the numbers of vertices and faces"),
    "really_binary.off": (b"\xff\xfe\x00\x01" * 10, "not an OFF file"),
    "no_counts.off": ("OFF\nzero 1 2\n", "numbers of vertices and faces"),
    "only_keyword.off": ("OFF\n", "numbers of vertices and faces"),
    "few_vertices.off": (
        off_text(VERTS[:3], FACES[:0], announced=(5, 4)),
        "5 vertices and 4 faces announced, 3 and 0 found",
    ),
    "few_faces.off": (off_text(faces=FACES[:2], announced=(5, 4)), "5 vertices and 4 faces announced, 5 and 2 found"),
    "few_announced.off": (
        off_text(announced=(4, 4)).replace("9.0", "1"),
        "line 7: a face of fewer than three corners, and 1 lines after",
    ),
    "from_one.off": (
        "OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 1 3 2\n3 1 2 4\n3 1 4 3\n3 2 3 4\n",
        r"line 8: a face has the corner 4, .* seem to count from 1\. Subtract 1 from each",
    ),
    "cut_line.off": (off_text()[:-4], "line 11: .* does not list as many vertices"),
    "words_inside.off": (off_text().replace("9.0", "nine"), "three numbers"),
    "cut_face.obj": (obj_text()[:-4], "fewer than three"),
    "cut_vertex.obj": ("v 0 0 0\nv 1 0", "three numbers"),
    "words_inside.obj": (obj_text().replace("f 1 2 4", "f one 2 4"), "not a vertex number"),
    "back_too_far.obj": (obj_text().replace("f 1 2 4", "f 1 2 -6"), "line 7: a face has the corner -1"),
    "missing_vertex.obj": (
        obj_text().replace("f 1 2 4", "f 1 2 6"),
        "line 7: a face has the corner 5, counted from 0, but there are 5",
    ),
    "slashes.obj": (obj_text().replace("f 1 2 4", "f 1 2\t/1 4"), "line 7: .* not a vertex number"),
    "zero.obj": (obj_text().replace("f 1 2 4", "f 0 1 3"), "count from 1"),
    "few_faces.ply": (ply_text()[:-16], r"announces 5 of vertex, 4 of face, but only 7 lines"),
    "few_bytes.ply": (ply_bytes()[:-5], "damaged or truncated"),
    "no_body.ply": (ply_header("ascii"), "only 0 lines"),
    "no_header.ply": ("ply\nformat ascii 1.0\nelement vertex 4\n", "without an end to its header"),
    "few_bytes.stl": (stl_bytes()[:-30].replace(b"solid", b"dense"), "binary with 4 triangles"),
    "solid_few_bytes.stl": (stl_bytes()[:-30], "no STL file"),
    "cut.stl": (stl_text()[:-70], r"line 26: 'verte' stands where vertex should \(facet 4\)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_file_is_refused_with_its_name(tmp_path, name):
    content, message = BROKEN[name]
    path = saved(tmp_path, name, content)
    with pytest.raises(MeshError, match=message) as caught:
        read_mesh(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_an_unknown_format_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.off"):
        read_mesh(tmp_path / "nowhere.off")
    with pytest.raises(MeshError, match=r"scan\.fbx.*\.off, \.obj, \.ply, \.stl"):
        read_mesh(saved(tmp_path, "scan.fbx", "x"))


def test_a_mesh_is_read_back_bit_for_bit(tmp_path):
    verts, faces = sphere(2)
    verts = verts * np.pi
    write_off(tmp_path / "mesh.off", verts, faces)
    again = read_mesh(tmp_path / "mesh.off")
    assert np.array_equal(again[0], verts)
    assert np.array_equal(again[1], faces)


def test_ground_truth_counts_from_1_in_files_and_from_0_in_memory(tmp_path):
    write_vts(tmp_path / "a.vts", np.array([0, 4, 4, 2]))
    assert (tmp_path / "a.vts").read_text() == "1\n5\n5\n3\n"
    assert read_vts(tmp_path / "a.vts", n_vertices=5).tolist() == [0, 4, 4, 2]


@pytest.mark.parametrize(
    "content",
    [
        *("1\n5\n3", "1.0\n5.0\n3.0\n", "1.000e+00\r\n5.000e+00\r\n3.000e+00\r\n", "  1 \n  5\n  3\n\n"),
        *("1 5 3\n", "1 5\n3\n"),
    ],
)
def test_whole_numbers_are_read_however_they_are_written(tmp_path, content):
    assert read_vts(saved(tmp_path, "a.vts", content), n_vertices=5).tolist() == [0, 4, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("1\n2.5\n", "entry 2 is 2.5"),
        ("1\nnan\n", "entry 2 is nan"),
        ("1 1\n2 4\n", "2 numbers in each line, but a ground truth file has one"),
        ("1 0.5 0.2 0.3\n2 1 0 0\n", "4 numbers in each line"),
        ("1\nx\n", "not one vertex number a line"),
        ("1\n6\n", r"from 1 to 6, but the mesh has the vertices 1\.\.5.*another version of the mesh"),
        ("-1\n3\n", "from -1 to 3"),
        ("0\n4\n", "seem to count from 0: add 1"),
        ("0\n5\n", "another version of the mesh"),
    ],
)
def test_impossible_ground_truth_is_refused_with_the_name_of_the_file(tmp_path, content, message):
    path = saved(tmp_path, "a.vts", content)
    with pytest.raises(MeshError, match=message) as caught:
        read_vts(path, n_vertices=5)
    assert str(path) in str(caught.value)


def test_rows_are_counted_without_knowing_the_mesh(tmp_path):
    assert count_rows(saved(tmp_path, "1_2.map", "3\n1\n2\n")) == 3
    with pytest.raises(MeshError, match=r"b\.map, line 1: 'one' is not one vertex number a line"):
        count_rows(saved(tmp_path, "b.map", "one\n"))


def test_missing_ground_truth_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.vts"):
        read_vts(tmp_path / "a.vts", n_vertices=5)


LOCATED = {
    "a.ply": (
        ply_text().replace("3 1 2 3", "3 1 2"),
        "line 17: the list vertex_indices of this face does not have as many",
    ),
    "b.ply": (ply_text().replace("3 1 2 3", "3 1 2 3 4"), "line 17: this face has 1 numbers more than the header says"),
    "c.ply": (ply_text().replace("3 1 2 3", "3 1 2 1.7"), "line 17: 1.7 in vertex_indices is not a vertex number"),
    "d.ply": (ply_text().replace("3 1 2 3", "3 1 2 -1"), "line 17: a face has the corner -1"),
    "e.ply": (
        ply_text().replace("3 1 2 3", "3 1 2 5"),
        "line 17: a face has the corner 5, counted from 0, but there are 5 vertices",
    ),
    "f.ply": (ply_text().replace("1.0 0.0 0.0", "1.0 0.0"), "line 11: this vertex has 2 numbers, too few for z"),
    "g.ply": (ply_text().replace("1.0 0.0 0.0", "1.0 null 0.0"), "line 11: 'null' is not a number"),
    "h.ply": (ply_text().replace("float y", "flout y"), "line 5: the property 'flout y' is not of a known type"),
    "i.ply": (ply_text().replace("vertex 5", "vertex five"), "line 3: the element 'vertex five' has no count"),
    "j.ply": (ply_text().replace("ascii 1.0", "asci 1.0"), "line 2: the format 'asci 1.0' is none of ascii"),
    "k.ply": (ply_text().replace("float z", "float w"), "the vertices have no property z"),
    "n.ply": (ply_text().replace("property float", "comment"), "the header announces no vertices with coordinates"),
    "l.ply": (ply_bytes()[:-5], "face 4 of 4 goes on after the end of the file"),
    "m.ply": (ply_bytes(faces=[[0, 1, 2], [0, 1, 7]]), "face 2 of 2: a face has the corner 7"),
    "a.off": (off_text().replace("3 1 2 3", "3 1 2 5"), "line 10: a face has the corner 5"),
    "b.off": ("nOFF 4\n" + off_text()[4:], "line 1: an nOFF file with vertices of 4 coordinates"),
    "a.stl": (stl_text().replace("endloop", "endlop", 1), "line 7: 'endlop' stands where endloop should"),
    "b.stl": (stl_text().replace("1.0 0.0 0.0", "1.0 l.0 0.0", 1), "line 6: 'l.0' is no coordinate"),
    "c.stl": (stl_text()[: -len("endsolid x\n")], "line 29: 4 triangles begin, and the file ends without endsolid"),
    "a.vtk": (
        "# vtk DataFile Version 3.0\nt\nASCII\nDATASET STRUCTURED_POINTS\n",
        "line 4: 'DATASET STRUCTURED_POINTS' is no surface",
    ),
    "b.vtk": (
        "# vtk DataFile Version 3.0\nt\nASCII\nDATASET POLYDATA\nPOINTS 2 float\n0 0 0\n",
        "line 5: 6 numbers announced, 3 words follow",
    ),
}


@pytest.mark.parametrize("name", LOCATED)
def test_an_error_says_where_in_the_file_it_is(tmp_path, name):
    content, message = LOCATED[name]
    with pytest.raises(MeshError, match=message):
        read_mesh(saved(tmp_path, name, content))


def test_solid_cells_of_a_grid_are_refused_with_what_to_do(tmp_path):
    grid = "# vtk DataFile Version 3.0\nt\nASCII\nDATASET UNSTRUCTURED_GRID\nPOINTS 4 float\n0 0 0 1 0 0 0 1 0 0 0 1\n"
    with pytest.raises(MeshError, match=r"cells of type 10, which are solid or curved.*Extract Surface"):
        read_mesh(saved(tmp_path, "a.vtk", grid + "CELLS 1 5\n4 0 1 2 3\nCELL_TYPES 1\n10\n"))
