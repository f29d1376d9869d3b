"""Readers of mesh files, by format. Vertices keep their number and order: ground truth is given by vertex number.

The common formats are read by readers of our own: of the usual libraries, one takes a truncated file for a smaller
mesh, splits the vertices of an ``.obj`` at its materials and refuses a ``.ply`` of triangles and quads, the other reads
past the end of an empty ``.stl``.
"""

import re
from collections.abc import Callable
from pathlib import Path

from pullback.data.mesh.readers.gltf import read_gltf
from pullback.data.mesh.readers.gltf_document import buffer_files
from pullback.data.mesh.readers.obj import read_obj
from pullback.data.mesh.readers.off import read_off
from pullback.data.mesh.readers.ply import read_ply
from pullback.data.mesh.readers.source import FileMesh, Source, inner_suffix
from pullback.data.mesh.readers.stl import read_stl
from pullback.data.mesh.readers.vtk import read_vtk
from pullback.data.mesh.readers.vtu import read_vtu
from pullback.files import read_bytes
from pullback.geometry.cleaning import MeshError

READERS: dict[str, Callable[[Source], FileMesh]] = {
    ".off": read_off,
    ".obj": read_obj,
    ".ply": read_ply,
    ".stl": read_stl,
    ".glb": read_gltf,
    ".gltf": read_gltf,
    ".vtk": read_vtk,
    ".vtu": read_vtu,
}


def is_mesh_file(path: Path) -> bool:
    """Whether a name ends as those of mesh files do."""
    return inner_suffix(path) in READERS


def read_file(path: Path) -> FileMesh:
    """The mesh of a file in any of the formats, gzipped (``.off.gz``) or not.

    Raises MeshError, with file and line, for what cannot be read; MissingFileError and UnreadableFileError where there
    is no file.
    """
    reader = READERS.get(inner_suffix(path))
    if reader is None and path.is_file():
        known = f"{', '.join(READERS)}, and .gz of each"
        raise MeshError(f"{path}: meshes are read from {known}; not from {path.suffix or 'a file without suffix'}")
    source = Source.of(path)  # a file that is not there is told before its suffix
    assert reader is not None  # else the file is not there
    try:
        return reader(source)
    except MemoryError:
        raise MeshError(
            f"{path}: its {len(source.data) >> 20} MB do not fit into the memory. Simplify the mesh first"
        ) from None


def content_of(path: Path) -> bytes:
    """All that a mesh file holds: its bytes, and for a ``.gltf`` those of the files that it names.

    Raises as ``read_bytes``.
    """
    data = read_bytes(path, what="mesh file")
    if inner_suffix(path) != ".gltf":
        return data
    return b"".join([data, *(read_bytes(each, what="buffer") for each in buffer_files(path, data))])


def count_vertices(path: Path) -> int:
    """How many vertices a mesh file has, by its header and lines alone, as far as these tell.

    Raises MeshError for an OFF or OBJ file that is empty, not text, or shorter than it announces. Other files are read.
    """
    suffix = path.suffix.lower()
    data = path.read_bytes() if suffix in (".off", ".obj") and path.is_file() else b""
    plain = bool(data) and data.isascii() and not any(odd in data for odd in (b"\0", b"#", b"\\", b"\v", b"\f"))
    if plain and b"\r" in data:
        plain = data.count(b"\r") == data.count(b"\r\n")
    if plain and suffix == ".off":
        keyword, counts, *_ = [*data[:200].split(b"\n"), b"", b""]
        words, last = counts.split(), data.rstrip().rpartition(b"\n")[2]
        if keyword.strip() == b"OFF" and 2 <= len(words) <= 3 and words[0].isdigit() and words[1].isdigit():
            n, f = int(words[0]), int(words[1])
            if data.rstrip().count(b"\n") >= 1 + n + f and len(last.split()) >= 4:
                return n
    elif plain and re.search(rb"^[ \t]*f[ \t]", data, re.MULTILINE):
        return len(re.findall(rb"^[ \t]*v[ \t]", data, re.MULTILINE))
    return len(read_file(path).verts)
