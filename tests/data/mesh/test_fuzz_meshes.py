"""Every reader of meshes and of text lists on broken files: right, or a sentence that names the file."""

import gzip
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzzing import REFUSED, RIGHT, Subject, damaged_samples, verdict
from tests.mesh_files import FACES, MESHES, stl_text
from tests.scene_files import SCENES, VTU

from pullback.data.mesh.formats import count_vertices
from pullback.data.mesh.io import count_rows, read_landmarks, read_mesh_file, read_vts
from pullback.data.mesh.lists import listed_splits, read_names
from pullback.data.mesh.readers.obj import obj_at_once, read_obj_by_line
from pullback.data.mesh.readers.off import off_at_once, read_off_by_line
from pullback.data.mesh.readers.source import FileMesh, Source
from pullback.data.mesh.readers.stl import corners_at_once, corners_by_word
from pullback.geometry.cleaning import MeshError, clean_mesh

NAMES = [f"shape{i}" for i in range(8)]


def read_and_clean(path: Path):
    """As the commands read a mesh: what its file says, then whether that makes sense."""
    mesh = read_mesh_file(path)
    return mesh, clean_mesh(mesh.verts, mesh.faces, name=str(path), components="all")


def check_mesh(content) -> None:
    mesh, clean = content
    assert mesh.verts.ndim == 2 and mesh.verts.shape[1] == 3 and mesh.verts.dtype == np.float64
    assert mesh.faces.ndim == 2 and mesh.faces.shape[1] == 3 and mesh.faces.dtype == np.int64
    assert np.isfinite(mesh.verts).all() and mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.verts)
    assert all(isinstance(note, str) for note in mesh.notes) and len(clean.faces) <= len(mesh.faces)


def check_ids(n: int):
    def check(ids) -> None:
        for each in ids if isinstance(ids, tuple) else (ids,):
            assert each.dtype == np.int64 and each.ndim == 1 and each.min() >= 0 and each.max() < n

    return check


def read_splits(path: Path):
    """A list in the place where a data set has it."""
    return listed_splits(path.parent, NAMES, files={"train": path.name, "test": "no.txt"})


def check_splits(splits) -> None:
    assert sorted(splits["train"] + splits["test"]) == NAMES


def check_names(names) -> None:
    assert all(isinstance(name, str) and name and "\0" not in name and "\n" not in name for name in names)


PACKED = {
    f"{name}.gz": gzip.compress(data, mtime=0)
    for files in MESHES.values()
    for name, data in files.items()
    if "plain" in name or "text" in name
}
VTUS = {name: text.encode() for name, text in VTU.items()}
VTS = b"".join(b"%d\n" % i for i in range(1, 31))
LANDMARKS = b"# source target\n" + b"".join(b"%d %d\n" % (i, 31 - i) for i in range(1, 31))
LIST = "".join(f"{name}.off\n" for name in NAMES[:5]).encode()
SUBJECTS = (
    *(Subject(f".{kind}", files, read_and_clean, check_mesh) for kind, files in (MESHES | SCENES).items()),
    Subject(".vtu", VTUS, read_and_clean, check_mesh),
    Subject(".gz of meshes", PACKED, read_and_clean, check_mesh),
    Subject(
        ".vts",
        {"a.vts": VTS, "b.vts": VTS.replace(b"\n", b".000e+00\r\n")},
        lambda path: read_vts(path, n_vertices=30),
        check_ids(30),
    ),
    Subject(".map rows", {"1_2.map": VTS}, count_rows, lambda count: None),
    Subject("landmarks", {"pairs.txt": LANDMARKS}, lambda path: read_landmarks(path, n1=30, n2=30), check_ids(30)),
    Subject("names", {"train.txt": LIST, "test.txt": "Körper\n".encode("utf-16")}, read_names, check_names),
    Subject("split lists", {"train.txt": LIST}, read_splits, check_splits),
)
EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_a_broken_file_is_read_rightly_or_refused_by_name(tmp_path, subject):
    if subject.name == ".vtu":
        pytest.importorskip("meshio", reason="needs the extra vtk")

    @EXAMPLES
    @given(damaged_samples(subject))
    def broken(case):
        name, kind, data = case
        path = tmp_path / name
        path.write_bytes(data)
        found = verdict(subject, path)
        assert found.outcome in (RIGHT, REFUSED), f"{kind}: {found.outcome}\n{found.said}\n{data[:500]!r}"

    broken()


@pytest.mark.parametrize("kind", ["off", "obj"])
def test_a_look_at_a_broken_file_counts_what_the_reader_finds_or_both_refuse(tmp_path, kind):
    @EXAMPLES
    @given(damaged_samples(Subject(kind, MESHES[kind], read_and_clean, check_mesh)))
    def broken(case):
        path = tmp_path / case[0]
        path.write_bytes(case[2])
        try:
            count = len(read_mesh_file(path).verts)
        except MeshError:
            return  # a look may miss what only a reading finds
        assert count_vertices(path) == count

    broken()


# Cut anywhere, these files lack something that they announce or that must end them. (An .obj file may end after any
# line.)
COMPLETE = {
    "plain.off": MESHES["off"]["plain.off"],
    "binary.off": MESHES["off"]["binary.off"],
    "text.ply": MESHES["ply"]["text.ply"],
    "binary.ply": MESHES["ply"]["binary.ply"],
    "texcoords.ply": MESHES["ply"]["texcoords.ply"],
    "text.stl": stl_text("").encode(),
    "binary.stl": MESHES["stl"]["binary.stl"],
    "plain.glb": SCENES["gltf"]["plain.glb"],
    "polydata.vtk": SCENES["vtk"]["polydata.vtk"],
    "binary.vtk": SCENES["vtk"]["binary.vtk"],
    "plain.off.gz": PACKED["plain.off.gz"],
}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_truncated_file_is_refused_by_name_wherever_it_is_cut(tmp_path, name):
    data = COMPLETE[name] if b"\0" in COMPLETE[name] else COMPLETE[name].rstrip()
    path = tmp_path / name
    for size in random.Random(name).sample(range(len(data) - 1), min(60, len(data) - 1)):
        path.write_bytes(data[:size])
        try:
            mesh, _ = read_and_clean(path)
        except MeshError as error:
            assert str(path) in str(error)
        else:
            raise AssertionError(f"cut to {size} of {len(data)} bytes, it is read as {mesh}")


HARMLESS = {
    "windows": lambda text: text.replace("\n", "\r\n"),
    "old mac": lambda text: text.replace("\n", "\r"),
    "blanks": lambda text: text.replace("\n", "  \t\n"),
    "tabs": lambda text: text.replace(" ", "\t"),
    "no last line end": str.rstrip,
    "blank lines": lambda text: text + "\n\n \n",
    "wider": lambda text: text.replace(" ", "   "),
}
PLAIN = [
    "plain.off",
    "glued.off",
    "everything.off",
    "colours.off",
    "relative.obj",
    "textures.obj",
    "text.ply",
    "edges_before.ply",
    "text.stl",
]


@given(
    st.sampled_from(PLAIN),
    st.lists(st.sampled_from(sorted(HARMLESS)), max_size=3, unique=True),
    st.sampled_from(["", "-sig", "16", "gz"]),
)
@settings(EXAMPLES, max_examples=150)
def test_changes_that_mean_nothing_change_nothing(tmp_path_factory, name, changes, wrapping):
    text = MESHES[name.rpartition(".")[2]][name].decode()
    head, body = ("", text) if not name.endswith("ply") else text.partition("end_header")[::2]
    head += "end_header" if head else ""
    for change in changes:
        body = HARMLESS[change](body) if change not in ("windows", "old mac") else body
    text = head + body
    for change in changes:
        text = HARMLESS[change](text) if change in ("windows", "old mac") else text
    data = text.encode({"": "utf-8", "gz": "utf-8", "-sig": "utf-8-sig", "16": "utf-16"}[wrapping])
    path = tmp_path_factory.mktemp("same") / (f"{name}.gz" if wrapping == "gz" else name)
    path.write_bytes(gzip.compress(data) if wrapping == "gz" else data)
    mesh = read_mesh_file(path)
    expected = read_mesh_file(_beside(path, name))
    np.testing.assert_array_equal(mesh.verts, expected.verts)
    np.testing.assert_array_equal(mesh.faces, expected.faces)
    assert len(mesh.faces) == len(FACES)


def _beside(path: Path, name: str) -> Path:
    other = path.with_name(f"other-{name}")
    other.write_bytes(MESHES[name.rpartition(".")[2]][name])
    return other


HOSTILE = {
    "a.off": b"OFF\n1000000000000 1000000000000 0\n0 0 0\n",
    "b.off": b"OFF BINARY\n" + b"\x7f\xff\xff\xff" * 3 + b"\0" * 40,
    "c.off": b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n999999999999 0 1 2\n",
    "a.ply": MESHES["ply"]["binary.ply"].replace(b"vertex 5", b"vertex 999999999999"),
    "b.ply": MESHES["ply"]["text.ply"].replace(b"face 4", b"face 999999999999"),
    "c.ply": MESHES["ply"]["int_sizes.ply"].replace(b"\3\0\0\0", b"\xff\xff\xff\x7f", 1),
    "d.ply": MESHES["ply"]["int_sizes.ply"].replace(b"\3\0\0\0", b"\xff\xff\xff\xff", 1),
    "e.ply": MESHES["ply"]["text.ply"]
    .replace(b"element vertex", b"element empty 999999999999\nelement vertex")
    .replace(b"3 0 2 1", b"4e9 0 2 1"),
    "a.stl": b"x" * 80 + b"\xfe\xff\xff\xff" + b"\0" * 50,
    "a.gltf": SCENES["gltf"]["inside.gltf"].replace(b'"count": 5', b'"count": 500000000000'),
    "b.gltf": b"[" * 100_000,
    "c.gltf": b'{"asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": [{"children": [0]}]}',
    "d.gltf": b'{"asset": {"version": "2.0"}, "meshes": [{"primitives": '
    b'[{"attributes": {"POSITION": 0}}]}], "accessors": '
    b'[{"componentType": 5126, "count": 1000000000000, "type": "VEC3"}]}',
    "a.vtk": SCENES["vtk"]["polydata.vtk"].replace(b"POINTS 5", b"POINTS 999999999999"),
    "b.vtk": SCENES["vtk"]["binary.vtk"].replace(b"POLYGONS 4 16", b"POLYGONS 999999999999 999999999999"),
    "c.vtk": SCENES["vtk"]["polydata.vtk"].replace(b"POLYGONS 4 16", b"POLYGONS 999999999999 16"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_announces_more_than_any_memory_holds_is_refused_at_once(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    with pytest.raises(MeshError) as caught:
        read_and_clean(path)
    assert str(path) in str(caught.value)


def _corners_alone(read):
    """A reading of an STL file of text as a mesh that shares no vertices."""

    def mesh(source):
        corners = read(Source(source.path, source.data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")))
        return None if corners is None else FileMesh(corners, np.arange(len(corners)).reshape(-1, 3))

    return mesh


QUICK = {
    "off": (off_at_once, read_off_by_line),
    "obj": (obj_at_once, read_obj_by_line),
    "stl": (_corners_alone(corners_at_once), _corners_alone(corners_by_word)),
}


@pytest.mark.parametrize("kind", QUICK)
def test_what_is_read_at_once_of_a_broken_file_is_what_reading_by_line_gives(tmp_path, kind):
    at_once, by_line = QUICK[kind]

    @EXAMPLES
    @given(damaged_samples(Subject(kind, MESHES[kind], read_and_clean, check_mesh)))
    def broken(case):
        try:
            source = Source(tmp_path / case[0], case[2]).as_text()
        except MeshError:
            return
        found = at_once(source)
        if found is not None:
            expected = by_line(source)
            np.testing.assert_array_equal(found.verts, expected.verts)
            np.testing.assert_array_equal(found.faces, expected.faces)

    broken()
