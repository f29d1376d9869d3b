"""Files of one small mesh in every format, as all kinds of programs write them; each must be read to the same mesh."""

import struct
from collections.abc import Iterable

import numpy as np

VERTS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9]])  # the last one is in no face
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])


def rows(array: Iterable, before: str = "", after: str = "") -> str:
    return "".join(f"{before}{' '.join(map(str, row))}{after}\n" for row in np.asarray(array).tolist())


def off_text(verts=VERTS, faces=FACES, *, keyword="OFF", announced=None):
    n, f = announced or (len(verts), len(faces))
    return f"{keyword}\n{n} {f} 0\n" + rows(verts) + rows(faces, "3 ", " ")


def obj_text(verts=VERTS, faces=FACES):
    return rows(verts, "v ") + rows(faces + 1, "f ")


def ply_header(form, n=5, f=4, *, vertex="", face="list uchar int vertex_indices", before="", after=""):
    vertex = vertex or "".join(f"property float {axis}\n" for axis in "xyz")
    return (
        f"ply\nformat {form} 1.0\n{before}element vertex {n}\n{vertex}element face {f}\n"
        + "".join(f"property {each}\n" for each in face.split(", "))
        + f"{after}end_header\n"
    )


def ply_text(**header):
    return ply_header("ascii", **header) + rows(VERTS) + rows(FACES, "3 ")


def ply_bytes(order="<", faces=FACES, sizes="B", **header):
    form = "binary_little_endian" if order == "<" else "binary_big_endian"
    body = b"".join(struct.pack(f"{order}3f", *vertex) for vertex in VERTS)
    body += b"".join(struct.pack(f"{order}{sizes}{len(face)}i", len(face), *face) for face in faces)
    return ply_header(form, f=len(faces), **header).encode() + body


def stl_text(name=" x"):
    facets = (rows(VERTS[face], "    vertex ") for face in FACES)
    loops = "".join(f"  facet normal 0 0 0\n   outer loop\n{corners}   endloop\n  endfacet\n" for corners in facets)
    return f"solid{name}\n{loops}endsolid{name}\n"


def stl_bytes(count=4, title=b"solid is what some binary files begin with"):
    facets = b"".join(struct.pack("<12fH", 0, 0, 0, *VERTS[face].ravel(), 0) for face in FACES)
    return title.ljust(80) + struct.pack("<I", count) + facets


def off_binary():
    head = b"OFF BINARY\n" + struct.pack(">3i", 5, 4, 6) + VERTS.astype(">f4").tobytes()
    return head + b"".join(struct.pack(">5i", 3, *face, 0) for face in FACES)


def words(text: str, between: str) -> str:
    return between.join(text.split()) + "\n"


def with_comments(text: str) -> str:
    return "".join(f"{line} # {i}\n\n# by hand\n" for i, line in enumerate(text.splitlines()))


EXTRAS = " 0 0 1 0.5 0.5 0.5 1\n"
OFF = {
    "plain.off": off_text(),
    "windows.off": off_text().replace("\n", "\r\n"),
    "old_mac.off": off_text().replace("\n", "\r"),
    "comments.off": with_comments(off_text()),
    "comments_first.off": "# hello\n\n" + off_text(),
    "one_line.off": off_text().replace("OFF\n", "OFF ", 1),
    "glued.off": off_text().replace("OFF\n", "OFF", 1),
    "lower_case.off": off_text(keyword="off"),
    "no_edges.off": off_text().replace("5 4 0", "5 4"),
    "no_keyword.off": off_text().replace("OFF\n", ""),
    "no_keyword_no_edges.off": off_text().replace("OFF\n5 4 0", "5 4"),
    "colours.off": "\n".join(line + "255 0 0" if line.startswith("3 ") else line for line in off_text().split("\n")),
    "vertex_colours.off": off_text(keyword="COFF").replace(".0\n", ".0 255 255 255 255\n"),
    "normals_and_colours.off": off_text(keyword="NCOFF").replace(".0\n", ".0" + EXTRAS),
    "colours_and_normals.off": off_text(keyword="CNOFF").replace(".0\n", ".0" + EXTRAS),
    "everything.off": off_text(keyword="STCNOFF").replace(".0\n", ".0 0 0" + EXTRAS),
    "texture.off": off_text(keyword="STOFF").replace(".0\n", ".0 0.5 0.5\n"),
    "normals.off": off_text(keyword="NOFF").replace(".0\n", ".0 0 0 1\n"),
    "dimension.off": off_text(keyword="nOFF 3"),
    "dimension_alone.off": off_text(keyword="nOFF\n3"),
    "homogeneous.off": off_text(2 * VERTS, keyword="4OFF").replace(".0\n", ".0 2.0\n"),
    "one_number_a_line.off": words(off_text(), "\n"),
    "one_number_a_line_no_edges.off": words(off_text().replace("5 4 0", "5 4"), "\n"),
    "one_number_a_line_no_keyword.off": words(off_text().replace("OFF\n", ""), "\n"),
    "one_number_a_line_colours.off": words(off_text(keyword="COFF").replace(".0\n", ".0 1 1 1\n"), "\n"),
    "all_in_one_line.off": words(off_text(), " "),
    "two_vertices_a_line.off": off_text().replace("0.0\n0.0", "0.0 0.0", 1),
    "float_corners.off": off_text(faces=FACES.astype(float)),
    "marked.off": "\ufeff" + off_text(),
    "utf16.off": off_text().encode("utf-16"),
    "utf16_unmarked.off": off_text().encode("utf-16-le"),
    "accents.off": off_text().replace("OFF\n", "OFF\n# écrit à la main\n"),
    "latin1.off": off_text().replace("OFF\n", "OFF\n# écrit à la main\n").encode("latin-1"),
    "indented.off": off_text().replace("\n", "\n\t "),
    "no_last_newline.off": off_text().rstrip(),
    "trailing.off": off_text() + "\n# the end\n1 2 3\n",
    "binary.off": off_binary(),
    "exponents.off": off_text().replace("1.0", "1.0E+00"),
    "edge.off": off_text(announced=(5, 5)).replace("3 0 1 3", "2 0 1\n3 0 1 3"),
    "UPPER.OFF": off_text(),
}
RELATIVE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -1 -2\nv 0 0 1\nf -4 -3 -1\nf 2 3 4\nf -4 -1 -2\nv 9 9 9\n"
OBJ = {
    "plain.obj": obj_text(),
    "materials.obj": "mtllib a.mtl\no a\n"
    + obj_text().replace("f 1 2 4", "g b\nusemtl red\ns 1\nf 1 2 4").replace("f 1 4 3", "usemtl c\nf 1 4 3"),
    "textures.obj": obj_text()
    .replace("f 1 3 2", "vt 0 0\nvt 1 0\nvn 0 0 1\nf 1/1/1 3/2/1 2/2/1")
    .replace("f 1 4 3", "f 1//1 4//1 3//1"),
    "negative.obj": obj_text().replace("f 1 3 2", "f -5 -3 -4"),
    "relative.obj": RELATIVE,
    "relative_textures.obj": RELATIVE.replace("f -3 -1 -2", "vt 0 0\nvn 0 0 1\nf -3/-1/-1 -1/-1/-1 -2/-1/-1"),
    "relative_by_line.obj": RELATIVE.replace("v 0 0 1", "g \1\nv 0 0 1"),
    "faces_first.obj": rows(FACES + 1, "f ") + rows(VERTS, "v "),
    "vertex_colours.obj": obj_text().replace(".0\n", ".0 0.5 0.5 0.5\n"),
    "weights.obj": obj_text().replace(".0\n", ".0 1.0\n"),
    "continued.obj": obj_text().replace("f 1 3 2", "f 1 3 \\\n2"),
    "continued_windows.obj": obj_text().replace("f 1 3 2", "f 1 \\\n 3 \\\n2").replace("\n", "\r\n"),
    "windows.obj": obj_text().replace("\n", "\r\n"),
    "old_mac.obj": obj_text().replace("\n", "\r"),
    "indented.obj": obj_text().replace("\nf", "\n  f").replace("\nv", "\n\tv"),
    "latin1.obj": ("o Körper\ng \x85\n" + obj_text()).encode("latin-1"),
    "shift_jis.obj": "o 人体モデル\n".encode("shift_jis") + obj_text().encode(),
    "utf8.obj": "o 人体モデル\n" + obj_text(),
    "marked.obj": "\ufeff" + obj_text(),
    "utf16.obj": obj_text().encode("utf-16"),
    "two_corners.obj": obj_text().replace("f 1 2 4", "f 1 2\nf 5\nf 1 2 4"),
    "lines_and_points.obj": obj_text() + "l 1 2 3\np 1 2\n",
    "free_forms.obj": obj_text() + "vp 0.1 0.2\ncstype bspline\ndeg 3\ncurv 0 1 1 2 3\nparm u 0 1\nend\n",
    "no_last_newline.obj": obj_text().rstrip(),
    "comments.obj": with_comments(obj_text()),
    "UPPER.OBJ": obj_text(),
}
DOUBLES = "".join(f"property double {axis}\n" for axis in "xyz")
EDGES = "element edge 2\nproperty int vertex1\nproperty int vertex2\n"
STRIP = "element tristrips 1\nproperty list int int vertex_indices\n"


def ply_strips(strips: str) -> str:
    return ply_header("ascii", f=0, after=STRIP) + rows(VERTS) + f"{len(strips.split())} {strips}\n"


def ply_vertex_lists(order="<"):
    """Vertices with a list between their coordinates, of another length each."""
    vertex = "property float x\nproperty list uchar short tags\nproperty float y\nproperty float z\n"
    body = b"".join(struct.pack(f"{order}fB{i}h2f", x, i, *range(i), y, z) for i, (x, y, z) in enumerate(VERTS))
    body += b"".join(struct.pack(f"{order}B3i", 3, *face) for face in FACES)
    return ply_header("binary_little_endian", vertex=vertex).encode() + body


def ply_texcoords():
    """Faces with a second list, a number before and a number after."""
    face = "uchar flag, list uchar int vertex_indices, list uchar float texcoord, double area"
    body = VERTS.astype("<f4").tobytes()
    body += b"".join(
        struct.pack(f"<BB3iB{2 * i}fd", 7, 3, *corners, 2 * i, *[0.5] * (2 * i), 1.0)
        for i, corners in enumerate(FACES.tolist())
    )
    return ply_header("binary_little_endian", face=face).encode() + body


PLY = {
    "text.ply": ply_text(),
    "binary.ply": ply_bytes(),
    "big_endian.ply": ply_bytes(">"),
    "UPPER.PLY": ply_text(),
    "vertex_index.ply": ply_text(face="list uchar int vertex_index"),
    "latin1.ply": ply_text(before="comment né à Zürich\n").encode("latin-1"),
    "latin1_binary.ply": ply_bytes().replace(
        b"element vertex", "comment né à Zürich\nelement vertex".encode("latin-1"), 1
    ),
    "marked.ply": "\ufeff" + ply_text(),
    "marked_binary.ply": b"\xef\xbb\xbf" + ply_bytes(),
    "utf16.ply": ply_text().encode("utf-16"),
    "end_in_comment.ply": ply_text(before="comment end_header\ncomment the end_header is below\nobj_info end_header\n"),
    "end_in_comment_binary.ply": ply_bytes(before="comment end_header\n"),
    "windows.ply": ply_text().replace("\n", "\r\n"),
    "windows_header.ply": ply_bytes().replace(
        ply_header("binary_little_endian").encode(), ply_header("binary_little_endian").replace("\n", "\r\n").encode()
    ),
    "old_mac_header.ply": ply_bytes().replace(
        ply_header("binary_little_endian").encode(), ply_header("binary_little_endian").replace("\n", "\r").encode()
    ),
    "trailing_bytes.ply": ply_bytes() + b"\0\1\2trailing",
    "trailing_newline.ply": ply_bytes() + b"\n",
    "trailing_text.ply": ply_text() + "\n\nmade by \xe9\n",
    "doubles.ply": ply_text(vertex=DOUBLES),
    "windows_nan.ply": ply_header(
        "ascii", vertex="".join(f"property float {each}\n" for each in ("x", "y", "z", "quality", "radius"))
    )
    + rows(VERTS, after=" -1.#IND00 1.#QNAN")
    + rows(FACES, "3 "),
    "order.ply": ply_header(
        "ascii", vertex="property float z\nproperty uchar red\nproperty float x\nproperty float y\n"
    )
    + rows([[z, 255, x, y] for x, y, z in VERTS])
    + rows(FACES, "3 "),
    "edges_after.ply": ply_text(after=EDGES) + "0 1\n1 2\n",
    "edges_before.ply": ply_header("ascii", before=EDGES) + "0 1\n1 2\n" + rows(VERTS) + rows(FACES, "3 "),
    "empty_element.ply": ply_text(before="element camera 0\nproperty float focus\nelement nothing 3\n"),
    "material_binary.ply": ply_bytes(after="element material 1\nproperty uchar red\nproperty list uchar float more\n")
    + b"\x05\x02"
    + b"\0" * 8,
    "one_number_a_line.ply": ply_header("ascii") + words(rows(VERTS) + rows(FACES, "3 "), "\n"),
    "all_in_one_line.ply": ply_header("ascii") + words(rows(VERTS) + rows(FACES, "3 "), " "),
    "strip.ply": ply_strips("0 2 1 3 0 2"),
    "strips.ply": ply_strips("0 2 1 -1 0 1 3 -1 1 2 3 -1 0 3 2 -1"),
    "strip_stitched.ply": ply_strips("0 2 1 1 0 0 0 1 3 -1 1 2 3 -1 0 3 2"),
    "vertex_lists.ply": ply_vertex_lists(),
    "texcoords.ply": ply_texcoords(),
    "int_sizes.ply": ply_bytes(sizes="i", face="list int int vertex_indices"),
    "ushort_sizes.ply": ply_bytes(sizes="H", face="list ushort int vertex_indices"),
    "byte_corners.ply": ply_header("binary_big_endian", face="list uint8 int8 vertex_indices").encode()
    + VERTS.astype(">f4").tobytes()
    + b"".join(bytes([3, *face]) for face in FACES.tolist()),
    "two_corners.ply": ply_bytes(faces=[[0, 1], *FACES.tolist(), [], [4]]),
    "float_numbers.ply": ply_header("ascii") + rows(VERTS) + rows(FACES.astype(float), "3 "),
    "exponents.ply": ply_text().replace("1.0", "1.0e+0").replace("format ascii 1.0e+0", "format ascii 1.0"),
}
STL = {
    "text.stl": stl_text(),
    "binary.stl": stl_bytes(),
    "upper_case.stl": stl_text().upper(),
    "mixed_case.stl": stl_text().replace("vertex ", "Vertex\t  "),
    "marked.stl": "\ufeff" + stl_text(),
    "utf16.stl": stl_text().encode("utf-16"),
    "comment_first.stl": "# made by hand\n; and checked\n" + stl_text(),
    "windows.stl": stl_text().replace("\n", "\r\n"),
    "old_mac.stl": stl_text().replace("\n", "\r"),
    "latin1_name.stl": stl_text(" Körper").encode("latin-1"),
    "odd_name.stl": stl_text(" vertex 1 2 3 facet normal"),
    "no_name.stl": stl_text(""),
    "solids.stl": stl_text().replace("  endfacet\n", "  endfacet\nendsolid a\nsolid b\n", 2),
    "end_solid.stl": stl_text().replace("endsolid", "end solid"),
    "one_line.stl": words(stl_text(), " "),
    "one_word_a_line.stl": words(stl_text(), "\n"),
    "exponents.stl": stl_text().replace("1.0", "1.000000e+000"),
    "nan_normals.stl": stl_text().replace("normal 0 0 0", "normal nan nan nan"),
    "padded.stl": stl_text() + "\x1a\0\0",
    "no_last_newline.stl": stl_text().rstrip(),
    "newline_after.stl": stl_bytes() + b"\n",
    "bytes_after.stl": stl_bytes() + b"made by somebody",
    "no_count.stl": stl_bytes(0),
    "no_count_newline.stl": stl_bytes(0) + b"\r\n",
    "streamed.stl": stl_bytes(2**32 - 1),
    "small_count.stl": stl_bytes(2),
    "other_title.stl": stl_bytes(title=b"\0\xff binary"),
    "UPPER.STL": stl_bytes(),
}


def as_bytes(files: dict) -> dict[str, bytes]:
    return {name: content if isinstance(content, bytes) else content.encode() for name, content in files.items()}


MESHES = {"off": as_bytes(OFF), "obj": as_bytes(OBJ), "ply": as_bytes(PLY), "stl": as_bytes(STL)}
