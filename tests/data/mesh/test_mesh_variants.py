"""Good files of every kind, from every kind of program, are read rightly: none is called damaged,
and none is read wrongly.
"""

import gzip
import json
import re
import zlib

import numpy as np
import pytest
from tests.mesh_files import FACES, MESHES, VERTS, as_bytes, obj_text, off_text, ply_bytes, ply_header, rows
from tests.scene_files import SCENES, VTU, glb, gltf_document, vtk_text

from pullback.data.mesh.formats import content_of, count_vertices
from pullback.data.mesh.io import is_mesh_file, mesh_name, read_mesh, read_mesh_file
from pullback.geometry.cleaning import MeshError

FILES = {name: data for files in (MESHES | SCENES).values() for name, data in files.items()}


def saved(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check_right(mesh, name):
    """The small mesh; of STL files its triangles, and no vertex without one."""
    assert (mesh.verts.dtype, mesh.faces.dtype) == (np.float64, np.int64)
    assert len(mesh.verts) == (4 if name.lower().endswith("stl") else 5)
    np.testing.assert_allclose(mesh.verts[mesh.faces], VERTS[FACES], atol=2e-4 if "quantised" in name else 1e-6)
    if not name.lower().endswith("stl") and "strip" not in name:
        np.testing.assert_allclose(mesh.verts, VERTS, atol=2e-4 if "quantised" in name else 1e-6)
        np.testing.assert_array_equal(mesh.faces, FACES)


@pytest.mark.parametrize("name", FILES)
def test_every_variant_gives_the_same_mesh_and_notes_only_what_is_odd(tmp_path, name):
    path = saved(tmp_path, name, FILES[name])
    mesh = read_mesh_file(path)
    corners = [tuple(np.roll(face, -face.argmin())) for face in mesh.faces]  # strips begin a triangle at another corner
    if "strip" in name:
        assert sorted(corners) == sorted(tuple(np.roll(face, -face.argmin())) for face in FACES)
    else:
        check_right(mesh, name)
    assert count_vertices(path) == len(mesh.verts)
    assert (mesh.notes == ()) == (name not in NOTED)


@pytest.mark.parametrize(
    "name",
    ["plain.off", "relative.obj", "binary.ply", "text.ply", "binary.stl", "text.stl", "plain.glb", "polydata.vtk"],
)
def test_a_packed_file_is_read_like_the_file_in_it(tmp_path, name):
    packed = saved(tmp_path, f"{name}.gz", gzip.compress(FILES[name]))
    check_right(read_mesh_file(packed), name)
    assert count_vertices(packed) == len(read_mesh(packed)[0])
    assert is_mesh_file(packed) and mesh_name(packed) == name.split(".")[0]


def test_a_file_packed_in_pieces_is_read_to_its_end(tmp_path):
    data = FILES["plain.off"]
    check_right(
        read_mesh_file(saved(tmp_path, "a.off.gz", gzip.compress(data[:50]) + gzip.compress(data[50:]))), "a.off"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(FILES["plain.off"])[:-12], "ends too early"),
        (b"OFF\n", "is not gzipped"),
        (gzip.compress(FILES["plain.off"])[:10] + b"\xff" * 40, "cannot be unpacked"),
        (gzip.compress(b" " * (70 << 20)), "unpacks to more than 64 MB"),
        (gzip.compress(b""), "empty"),
    ],
    ids=["cut", "plain", "damaged", "bomb", "empty"],
)
def test_a_packed_file_that_is_none_or_a_bomb_is_refused_by_name(tmp_path, content, message):
    with pytest.raises(MeshError, match=rf"a\.off\.gz: .*{message}"):
        read_mesh(saved(tmp_path, "a.off.gz", content))


def test_a_bomb_is_not_unpacked_to_its_end(tmp_path, monkeypatch):
    made = []
    unpacker = zlib.decompressobj

    class Watched:
        def __init__(self, **options):
            self.inner = unpacker(**options)
            self.eof = False

        def decompress(self, data, most):
            made.append(self.inner.decompress(data, most))
            return made[-1]

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    with pytest.raises(MeshError, match="unpacks to more"):
        read_mesh(saved(tmp_path, "a.off.gz", gzip.compress(b" " * (80 << 20))))
    assert sum(map(len, made)) == (64 << 20) + 1


NOTED = {
    "two_corners.obj": r"left out 2 faces with fewer than three corners \(the first at line 7\)",
    "edge.off": r"left out 1 face with fewer than three corners \(the first at line 9\)",
    "two_corners.ply": r"left out 3 faces .*face 1 of 7",
    "trailing_bytes.ply": "11 bytes after the last face were ignored",
    "trailing_text.ply": "what follows the last face was ignored",
    "bytes_after.stl": "16 bytes after the last triangle were ignored",
    "no_count.stl": "announces 0 triangles and has 4",
    "no_count_newline.stl": "announces 0 triangles and has 4",
    "streamed.stl": "announces 4294967295 triangles and has 4",
    "small_count.stl": "announces 2 triangles and has 4",
    "two_primitives.glb": "1 sets of points or lines were ignored",
    "polydata_data.vtk": "lines were ignored",
    "grid.vtk": "lines and points were ignored",
}


@pytest.mark.parametrize("name", NOTED)
def test_what_is_left_out_is_noted(tmp_path, name):
    assert re.search(NOTED[name], "; ".join(read_mesh_file(saved(tmp_path, name, FILES[name])).notes))


MIXED = [[0, 1, 2, 3], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4], [0, 2, 4, 1, 3]]
TRIANGLES = [[0, 1, 2], [0, 2, 3], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4], [0, 2, 4], [0, 4, 1], [0, 1, 3]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("little.ply", ply_bytes("<", faces=MIXED)),
        ("big.ply", ply_bytes(">", faces=MIXED)),
        (
            "text.ply",
            ply_header("ascii", f=6)
            + rows(VERTS)
            + "".join(f"{len(face)} {' '.join(map(str, face))}\n" for face in MIXED),
        ),
        (
            "mesh.off",
            f"OFF\n5 6 0\n{rows(VERTS)}" + "".join(f"{len(face)} {' '.join(map(str, face))} 0.5\n" for face in MIXED),
        ),
        ("mesh.obj", rows(VERTS, "v ") + "".join(f"f {' '.join(str(i + 1) for i in face)}\n" for face in MIXED)),
        (
            "mesh.vtk",
            vtk_text(f"DATASET POLYDATA\nPOINTS 5 float\n{rows(VERTS)}POLYGONS 6 27\n")
            + "".join(f"{len(face)} {' '.join(map(str, face))}\n" for face in MIXED),
        ),
    ],
)
def test_mixed_polygons_become_fans_in_their_order(tmp_path, name, content):
    assert read_mesh(saved(tmp_path, name, content))[1].tolist() == TRIANGLES


def test_a_fan_of_gltf_is_read(tmp_path):
    _, faces = read_mesh(saved(tmp_path, "a.glb", glb(*gltf_document(6, [0, 1, 2, 3]))))
    assert faces.tolist() == [[1, 2, 0], [2, 3, 0]]


def test_a_mirrored_node_keeps_the_outside_outside(tmp_path):
    document, data = gltf_document(verts=VERTS * [-1, 1, 1], indices=FACES[:, ::-1].ravel())
    document["nodes"][0]["scale"] = [-1, 1, 1]
    verts, faces = read_mesh(saved(tmp_path, "a.glb", glb(document, data)))
    np.testing.assert_array_equal(verts, VERTS)
    np.testing.assert_array_equal(faces, FACES)


def test_the_buffer_beside_a_gltf_file_is_read_and_belongs_to_its_content(tmp_path):
    document, data = gltf_document()
    document["buffers"][0]["uri"] = "my%20data.bin"
    path = saved(tmp_path, "a.gltf", json.dumps(document))
    with pytest.raises(MeshError, match=r"a\.gltf: its data lies in .*my data\.bin, which is not there"):
        read_mesh(path)
    saved(tmp_path, "my data.bin", data)
    check_right(read_mesh_file(path), "a.gltf")
    before = content_of(path)
    saved(tmp_path, "my data.bin", data.replace(b"\0\0\x80?", b"\0\0\0@", 1))
    assert content_of(path) != before


@pytest.mark.parametrize(
    ("corners", "area"),
    [
        ([(1, 1), (2, 0), (2, 2), (0, 2), (0, 0)], 3),
        ([(0, 0), (2, 1), (0, 2), (0.5, 1)], 1.5),
        ([(0, 0), (3, 0), (3, 1), (1, 1), (1, 3), (0, 3)], 5),
    ],
    ids=["bay", "arrow", "L"],
)
def test_a_polygon_that_is_not_convex_keeps_its_area_from_whichever_corner_it_begins(tmp_path, corners, area):
    for shift in range(len(corners)):
        turned = corners[shift:] + corners[:shift]
        others = "v 0 9 0\nv 1 9 0\nv 1 9 1\nv 0 9 1\n"
        faces = f"f -1 -2 -3 -4\nf {' '.join(str(i + 1) for i in range(len(corners)))}\nf -4 -3 -2\n"
        path = saved(tmp_path, "a.obj", "".join(f"v {x} 3 {y}\n" for x, y in turned) + others + faces)
        verts, faces = read_mesh(path)
        a, b, c = (verts[faces[2:-1, i]] for i in range(3))
        normals = np.cross(b - a, c - a)[:, 1] / 2
        assert len(faces) == len(corners) + 1
        assert abs(normals.sum()) == pytest.approx(area) and np.abs(normals).sum() == pytest.approx(area)


def test_a_polygon_bent_in_space_is_cut_into_a_fan(tmp_path):
    _, faces = read_mesh(saved(tmp_path, "a.obj", "v 0 0 0\nv 3 0 0\nv 1 1 0\nv 0.5 0.2 1\nf 1 2 3 4\n"))
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize("name", VTU)
def test_vtu_is_read_by_meshio(tmp_path, name):
    pytest.importorskip("meshio", reason="needs the extra vtk")
    check_right(read_mesh_file(saved(tmp_path, name, as_bytes(VTU)[name])), name)


def test_every_kind_of_vtu_that_meshio_writes_is_read(tmp_path):
    meshio = pytest.importorskip("meshio", reason="needs the extra vtk")
    mesh = meshio.Mesh(VERTS, [("triangle", FACES[:2]), ("quad", [[0, 1, 2, 3]]), ("line", [[0, 1]])])
    for options in ({"binary": False}, {"compression": None}, {"compression": "zlib"}):
        meshio.vtu.write(tmp_path / "a.vtu", mesh, **options)
        found = read_mesh_file(tmp_path / "a.vtu")
        np.testing.assert_array_equal(found.verts, VERTS)
        assert found.faces.tolist() == [[0, 2, 1], [0, 1, 3], [0, 1, 2], [0, 2, 3]]
        assert found.notes == ("line cells were ignored",)


@pytest.mark.parametrize("version", ["4.2", "5.1"])
def test_the_grids_that_meshio_writes_are_read(tmp_path, version):
    meshio = pytest.importorskip("meshio", reason="needs the extra vtk")
    mesh = meshio.Mesh(VERTS, [("triangle", FACES), ("quad", [[0, 1, 2, 3]])])
    for binary in (True, False):
        meshio.vtk.write(tmp_path / "a.vtk", mesh, fmt_version=version, binary=binary)
        found = read_mesh_file(tmp_path / "a.vtk")
        np.testing.assert_array_equal(found.verts, VERTS)
        assert found.faces.tolist() == [*FACES.tolist(), [0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize("suffix", ["stl", "ply", "obj", "off", "glb"])
def test_files_that_trimesh_writes_are_read(tmp_path, suffix):
    import trimesh

    mesh = trimesh.Trimesh(VERTS[:4], FACES, process=False)
    path = tmp_path / f"a.{suffix}"
    mesh.export(path)
    verts, faces = read_mesh(path)
    np.testing.assert_allclose(verts[faces], VERTS[FACES], atol=1e-6)


def test_a_list_of_formats_is_given_for_any_other(tmp_path):
    for name in ("scan.fbx", "scan", "scan.gz", "scan.tar.gz"):
        with pytest.raises(
            MeshError, match=r"\.off, \.obj, \.ply, \.stl, \.glb, \.gltf, \.vtk, \.vtu, and \.gz of each"
        ):
            read_mesh(saved(tmp_path, name, gzip.compress(b"x") if name.endswith("gz") else "x"))


def test_a_relative_corner_counts_from_its_own_line_in_both_ways_of_reading(tmp_path):
    quick = read_mesh(saved(tmp_path, "a.obj", FILES["relative.obj"]))
    slow = read_mesh(saved(tmp_path, "b.obj", FILES["relative_by_line.obj"]))
    assert quick[1].tolist() == slow[1].tolist() == FACES.tolist()


def test_large_counts_of_text_agree_with_the_readers(tmp_path):
    """Files that a quick look might count otherwise than the reader."""
    tricky = {
        "a.off": off_text().replace("OFF\n5 4 0\n", "OFF\n5 4 0 \n\n"),
        "b.off": "OFF\n5\n4\n0\n" + off_text().split("0\n", 1)[1],
        "c.obj": obj_text().replace("v 1", "  v 1"),
        "d.obj": obj_text().replace("v 1", "\tv\t1"),
        "e.obj": obj_text().replace("v 1.0 0.0", "v \\\n1.0 0.0"),
        "f.obj": obj_text().replace("\nv 1", "\rv 1"),
    }
    for name, content in tricky.items():
        path = saved(tmp_path, name, content)
        assert count_vertices(path) == len(read_mesh(path)[0]) == 5, name
