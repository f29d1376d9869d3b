"""Files as they come: every format, and every way in which one can be broken."""

import struct

import numpy as np
import pytest
from tests.meshes import sphere

from pullback.data.io import count_rows, read_mesh, read_vts, write_off, write_vts
from pullback.geometry.cleaning import MeshError

VERTS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9]])  # the last one is in no face
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])


def off_text(verts=VERTS, faces=FACES, *, keyword="OFF", announced=None):
    n, f = announced or (len(verts), len(faces))
    return f"{keyword}\n{n} {f} 0\n" + "".join(f"{x} {y} {z}\n" for x, y, z in verts) + "".join(f"3 {a} {b} {c} \n" for a, b, c in faces)


def obj_text(verts=VERTS, faces=FACES):
    return "".join(f"v {x} {y} {z}\n" for x, y, z in verts) + "".join(f"f {a} {b} {c}\n" for a, b, c in faces + 1)


def ply_header(form, n=5, f=4):
    properties = "".join(f"property float {axis}\n" for axis in "xyz")
    return f"ply\nformat {form} 1.0\nelement vertex {n}\n{properties}element face {f}\nproperty list uchar int vertex_indices\nend_header\n"


def ply_text():
    return ply_header("ascii") + "".join(f"{x} {y} {z}\n" for x, y, z in VERTS) + "".join(f"3 {a} {b} {c}\n" for a, b, c in FACES)


def ply_bytes():
    body = b"".join(struct.pack("<3f", *vertex) for vertex in VERTS) + b"".join(struct.pack("<B3i", 3, *face) for face in FACES)
    return ply_header("binary_little_endian").encode() + body


def stl_text():
    facets = ("".join(f"    vertex {x} {y} {z}\n" for x, y, z in VERTS[face]) for face in FACES)
    loops = "".join(f"  facet normal 0 0 0\n   outer loop\n{corners}   endloop\n  endfacet\n" for corners in facets)
    return f"solid x\n{loops}endsolid x\n"


def stl_bytes():
    facets = b"".join(struct.pack("<12fH", 0, 0, 0, *VERTS[face].ravel(), 0) for face in FACES)
    return b"solid is what some binary files begin with".ljust(80) + struct.pack("<I", len(FACES)) + facets


def saved(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


WITH_ALL_VERTICES = {
    "plain.off": off_text(),
    "windows.off": off_text().replace("\n", "\r\n"),
    "comments.off": off_text().replace("OFF\n", "OFF # a tetrahedron\n# made by hand\n\n"),
    "one_line.off": off_text().replace("OFF\n", "OFF ", 1),
    "colours.off": "\n".join(line + "255 0 0" if line.startswith("3 ") else line for line in off_text().split("\n")),
    "vertex_colours.off": off_text(keyword="COFF").replace(".0\n", ".0 255 255 255 255\n"),
    "plain.obj": obj_text(),
    "materials.obj": "o a\n" + obj_text().replace("f 1 2 4", "g b\nusemtl red\nf 1 2 4").replace("f 1 4 3", "usemtl c\nf 1 4 3"),
    "textures.obj": obj_text().replace("f 1 3 2", "vt 0 0\nvt 1 0\nvn 0 0 1\nf 1/1/1 3/2/1 2/2/1").replace("f 1 4 3", "f 1//1 4//1 3//1"),
    "negative.obj": obj_text().replace("f 1 3 2", "f -5 -3 -4"),
    "vertex_colours.obj": obj_text().replace(".0\n", ".0 0.5 0.5 0.5\n"),
    "continued.obj": obj_text().replace("f 1 3 2", "f 1 3 \\\n2"),
    "text.ply": ply_text(),
    "binary.ply": ply_bytes(),
    "UPPER.PLY": ply_text(),
}


@pytest.mark.parametrize("name", WITH_ALL_VERTICES)
def test_vertices_keep_their_number_and_order_in_every_format(tmp_path, name):
    verts, faces = read_mesh(saved(tmp_path, name, WITH_ALL_VERTICES[name]))
    assert np.array_equal(verts, VERTS)
    assert np.array_equal(faces, FACES)
    assert (verts.dtype, faces.dtype) == (np.float64, np.int64)


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
    "empty.ply": ("", "not a PLY file"),
    "empty.stl": ("", "no STL file"),
    "words.off": ("hello\nworld\n", "not a text OFF file"),
    "binary.off": ("OFF BINARY\n5 4 0\n", "not a text OFF file"),
    "really_binary.off": (b"\xff\xfe\x00\x01" * 10, "not a text file"),
    "no_counts.off": ("OFF\nzero 1 2\n", "numbers of vertices and faces"),
    "only_keyword.off": ("OFF\n", "numbers of vertices and faces"),
    "few_vertices.off": (off_text(VERTS[:3], FACES[:0], announced=(5, 4)), "5 vertices and 4 faces announced, 3 and 0 found"),
    "few_faces.off": (off_text(faces=FACES[:2], announced=(5, 4)), "5 vertices and 4 faces announced, 5 and 2 found"),
    "cut_line.off": (off_text()[:-4], "does not list as many vertices"),
    "words_inside.off": (off_text().replace("9.0", "nine"), "three numbers"),
    "cut_face.obj": (obj_text()[:-4], "fewer than three"),
    "cut_vertex.obj": ("v 0 0 0\nv 1 0", "three numbers"),
    "words_inside.obj": (obj_text().replace("f 1 2 4", "f one 2 4"), "not a vertex number"),
    "zero.obj": (obj_text().replace("f 1 2 4", "f 0 1 3"), "count from 1"),
    "few_faces.ply": (ply_text()[:-16], r"announces 5 of vertex, 4 of face, but only 7 lines"),
    "few_bytes.ply": (ply_bytes()[:-5], "damaged or truncated"),
    "no_body.ply": (ply_header("ascii"), "only 0 lines"),
    "no_header.ply": ("ply\nformat ascii 1.0\nelement vertex 4\n", "without an end to its header"),
    "few_bytes.stl": (stl_bytes()[:-30].replace(b"solid", b"dense"), "binary with 4 triangles"),
    "solid_few_bytes.stl": (stl_bytes()[:-30], "0 triangles begin"),
    "cut.stl": (stl_text()[:-70], "4 triangles begin but there are"),
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
    with pytest.raises(MeshError, match=r"scan\.glb.*\.off, \.obj, \.ply, \.stl"):
        read_mesh(saved(tmp_path, "scan.glb", "x"))


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


@pytest.mark.parametrize("content", ["1\n5\n3", "1.0\n5.0\n3.0\n", "1.000e+00\r\n5.000e+00\r\n3.000e+00\r\n", "  1 \n  5\n  3\n\n"])
def test_whole_numbers_are_read_however_they_are_written(tmp_path, content):
    assert read_vts(saved(tmp_path, "a.vts", content), n_vertices=5).tolist() == [0, 4, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("1\n2.5\n", "entry 2 is 2.5"),
        ("1\nnan\n", "entry 2 is nan"),
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
    with pytest.raises(MeshError, match=r"b\.map: not one vertex number a line"):
        count_rows(saved(tmp_path, "b.map", "one\n"))


def test_missing_ground_truth_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.vts"):
        read_vts(tmp_path / "a.vts", n_vertices=5)
