"""Readers of mesh files. Vertices keep their number and order: ground truth is given by vertex number.

The text formats are read here, strictly, and ``.ply`` by trimesh: of the usual libraries, one takes a truncated file for a smaller
mesh and splits the vertices of an ``.obj`` at its materials, the other reads past the end of an empty ``.stl``.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.data.mesh_text import lines_after, number_lines, without_comments
from pullback.geometry.cleaning import MeshError
from pullback.geometry.connectivity import group_rows

Mesh = tuple[Float[ndarray, "n 3"], Int[ndarray, "f 3"]]

OFF_KEYWORDS = (b"OFF", b"COFF", b"NOFF", b"CNOFF", b"STOFF")

_ADVICE = "The file is damaged or truncated: copy or export it again"


def read_off(path: Path) -> Mesh:
    """An ASCII OFF file (also COFF, NOFF, STOFF: what follows the coordinates is ignored). Polygons are cut into fans."""
    return _off_at_once(path.read_bytes()) or read_off_by_line(path)


def _off_at_once(data: bytes) -> Mesh | None:
    """The mesh of an orderly OFF file; None for any other, which reading by line either understands or refuses with its reason."""
    data = without_comments(data)
    keyword, _, body = data.lstrip().partition(b"\n")
    lines = number_lines(body) if keyword.strip().upper() in OFF_KEYWORDS else None
    counts = None if lines is None else lines.columns(slice(0, 1), 2)
    if lines is None or counts is None or not len(counts) or (counts != np.round(counts)).any() or (counts < 1).any():
        return None
    n, f = counts[0].astype(int)
    if len(lines.count) < 1 + n + f:
        return None
    verts, faces = lines.columns(slice(1, 1 + n), 3), lines.fans(slice(1 + n, 1 + n + f), counted=True)
    return None if verts is None or faces is None else (verts, faces)


def read_off_by_line(path: Path) -> Mesh:
    """As ``read_off``: slower, and with a reason where it refuses."""
    text = _text(path)
    lines = [line for line in (line.split("#", 1)[0].strip() for line in text.splitlines()) if line]
    keyword, *rest = lines[0].split()
    if keyword.upper().encode() not in OFF_KEYWORDS or "BINARY" in (word.upper() for word in rest):
        raise MeshError(f"{path}: not a text OFF file, it begins with {lines[0][:40]!r}. Export it as ASCII .off, or as .ply")
    lines = ([" ".join(rest)] if rest else []) + lines[1:]
    try:
        n, f = (int(word) for word in lines[0].split()[:2])
    except (ValueError, IndexError):
        raise MeshError(f"{path}: the line after OFF must give the numbers of vertices and faces. {_ADVICE}") from None
    if len(lines) < 1 + n + f:
        found_verts = min(n, len(lines) - 1)
        raise MeshError(f"{path}: {n} vertices and {f} faces announced, {found_verts} and {len(lines) - 1 - found_verts} found. {_ADVICE}")
    verts = _coordinates(path, (line.split()[:3] for line in lines[1 : 1 + n]))
    corners = []
    for line in lines[1 + n : 1 + n + f]:
        words = line.split()
        size = int(words[0]) if words[0].isdigit() else -1
        if size < 0 or len(words) < 1 + size:
            raise MeshError(f"{path}: the face {line[:40]!r} does not list as many vertices as it announces. {_ADVICE}")
        corners.append(words[1 : 1 + size])
    return verts, _fans(path, corners)


def read_obj(path: Path) -> Mesh:
    """The vertices and faces of a Wavefront OBJ file; materials, groups, texture and normals are ignored."""
    return _obj_at_once(path.read_bytes()) or read_obj_by_line(path)


def _obj_at_once(data: bytes) -> Mesh | None:
    """The mesh of an orderly OBJ file; None for any other."""
    data = without_comments(data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" "))
    vertices, polygons = lines_after(data, b"v"), lines_after(data, b"f")
    if not vertices or not polygons:
        return None
    places, corners = number_lines(vertices[0]), number_lines(re.sub(rb"/[^ \t\r\n]*", b"", polygons[0]))
    if places is None or corners is None or (len(places.count), len(corners.count)) != (vertices[1], polygons[1]):
        return None
    verts, faces = places.columns(slice(None), 3), corners.fans(slice(None), counted=False)
    if verts is None or faces is None or (faces == 0).any():
        return None
    return verts, np.where(faces > 0, faces - 1, faces + len(verts))


def read_obj_by_line(path: Path) -> Mesh:
    """As ``read_obj``: slower, and with a reason where it refuses."""
    verts: list[list[str]] = []
    corners: list[list[str]] = []
    for line in _text(path).replace("\\\n", " ").splitlines():
        keyword, *words = line.split("#", 1)[0].split() or [""]
        if keyword == "v":
            verts.append(words[:3])
        elif keyword == "f":
            corners.append([word.split("/", 1)[0] for word in words])
    coordinates = _coordinates(path, verts)
    faces = _fans(path, corners)
    if (faces == 0).any():
        raise MeshError(f"{path}: a face names vertex 0, but .obj files count from 1. Export it again")
    return coordinates, np.where(faces > 0, faces - 1, faces + len(coordinates))  # negative: counted from the last vertex


def read_stl(path: Path) -> Mesh:
    """An ASCII or binary STL file. Its triangles share no vertices: those at the same place are merged, in order of appearance."""
    data = path.read_bytes()
    announced = int.from_bytes(data[80:84], "little")
    if len(data) >= 84 and len(data) == 84 + 50 * announced:
        triangle = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        corners = np.frombuffer(data, triangle, announced, offset=84)["corners"].reshape(-1, 3).astype(np.float64)
    elif data.lstrip()[:5].lower() == b"solid":
        corners = _stl_corners(path, data)
        facets = sum(1 for _ in re.finditer(rb"^\s*facet\b", data, re.IGNORECASE | re.MULTILINE))
        if not facets or len(corners) != 3 * facets:
            raise MeshError(f"{path}: {facets} triangles begin but there are {len(corners)} vertices, not {3 * facets}. {_ADVICE}")
    else:
        raise MeshError(f"{path}: {len(data)} bytes make no STL file, neither of text nor binary with {announced} triangles. {_ADVICE}")
    first, place = group_rows(corners)
    rank = np.argsort(np.argsort(first))
    return corners[np.sort(first)], rank[place].reshape(-1, 3)


def _stl_corners(path: Path, data: bytes) -> Float[ndarray, "n 3"]:
    found = lines_after(data.lower(), b"vertex")
    lines = number_lines(found[0]) if found else None
    if lines is not None and len(lines.count) == found[1]:
        corners = lines.columns(slice(None), 3)
        if corners is not None:
            return corners
    return _coordinates(path, re.findall(rb"^\s*vertex\s+(\S+)\s+(\S+)\s+(\S+)", data, re.IGNORECASE | re.MULTILINE))


def read_ply(path: Path) -> Mesh:
    """An ASCII or binary PLY file."""
    from trimesh.exchange.ply import load_ply
    from trimesh.geometry import triangulate_quads

    announced = _check_ply(path)
    try:
        with open(path, "rb") as file:
            content = load_ply(file, fix_texture=False)
        faces = content.get("faces", ())
        mesh = np.asarray(content["vertices"], np.float64), np.asarray(triangulate_quads(faces), np.int64).reshape(-1, 3)
    except Exception as error:  # whatever the library makes of a damaged file
        raise MeshError(f"{path}: cannot be read as .ply ({error}). {_ADVICE}") from error
    if len(mesh[0]) != announced:
        raise MeshError(f"{path}: {announced} vertices announced, {len(mesh[0])} found. {_ADVICE}")
    return mesh


def count_vertices(path: Path) -> int:
    """How many vertices a mesh file has, by its header and its lines, as far as these tell: a look at a file, not a reading of it.

    Raises MeshError for an OFF or OBJ file that is empty, not text, or shorter than it announces. Other formats are read.
    """
    data = path.read_bytes() if path.suffix.lower() in (".off", ".obj") else b""
    plain = bool(data) and b"\0" not in data and b"#" not in data
    if plain and path.suffix.lower() == ".off":
        keyword, counts, *_ = [*data[:200].split(b"\n"), b"", b""]
        words, last = counts.split(), data.rstrip().rpartition(b"\n")[2]
        if keyword.strip() == b"OFF" and len(words) >= 2 and words[0].isdigit() and words[1].isdigit():
            n, f = int(words[0]), int(words[1])
            if data.rstrip().count(b"\n") >= 1 + n + f and len(last.split()) >= 4:
                return n
    elif plain and re.search(rb"^f\s", data, re.MULTILINE):
        return len(re.findall(rb"^v\s", data, re.MULTILINE))
    return len(READERS[path.suffix.lower()](path)[0])


READERS: dict[str, Callable[[Path], Mesh]] = {".off": read_off, ".obj": read_obj, ".ply": read_ply, ".stl": read_stl}


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MeshError(f"{path}: not a text file ({error.reason}). Export it as ASCII {path.suffix}, or as .ply") from None
    if not text.strip():
        raise MeshError(f"{path}: the file is empty. Copy or export it again")
    return text


def _coordinates(path: Path, rows: Iterable[Sequence[str | bytes]]) -> Float[ndarray, "n 3"]:
    try:
        return np.array(list(rows), dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise MeshError(f"{path}: a vertex does not have three numbers as coordinates ({error}). {_ADVICE}") from None


def _fans(path: Path, corners: list[list[str]]) -> Int[ndarray, "f 3"]:
    if any(len(face) < 3 for face in corners):
        raise MeshError(f"{path}: a face has fewer than three vertices. {_ADVICE}")
    triangles = [face if len(face) == 3 else None for face in corners]
    if None in triangles:
        triangles = [[face[0], face[i], face[i + 1]] for face in corners for i in range(1, len(face) - 1)]
    try:
        return np.array(triangles, dtype=np.int64).reshape(-1, 3)
    except ValueError as error:
        raise MeshError(f"{path}: a face names something that is not a vertex number ({error}). {_ADVICE}") from None


def _check_ply(path: Path) -> int:
    """The number of vertices that the header announces. Raises MeshError for no header, or text shorter than it announces."""
    header, found, body = path.read_bytes().partition(b"end_header")
    if not header.startswith(b"ply") or not found:
        raise MeshError(f"{path}: not a PLY file, or one without an end to its header. {_ADVICE}")
    counts = {name.decode(): int(count) for name, count in re.findall(rb"^element\s+(\S+)\s+(\d+)", header, re.MULTILINE)}
    rows = sum(bool(line.strip()) for line in body.splitlines()) if b"format ascii" in header else sum(counts.values())
    if rows < sum(counts.values()):
        shown = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise MeshError(f"{path}: the header announces {shown}, but only {rows} lines follow. {_ADVICE}")
    return counts.get("vertex", 0)
