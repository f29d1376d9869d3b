"""Reading and writing meshes and ground truth. The only place where 1-based vertex numbers become 0-based."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.data.mesh_formats import READERS
from pullback.files import write_text_atomically
from pullback.geometry.cleaning import MeshError
from pullback.stages import stage

MESH_SUFFIXES = tuple(READERS)


def read_mesh(path: str | Path) -> tuple[Float[ndarray, "n 3"], Int[ndarray, "f 3"]]:
    """Vertices and triangles of a ``.off``, ``.obj``, ``.ply`` or ``.stl`` file, in the order of the file, as they are.

    Polygons are cut into triangles, the vertices of ``.stl`` merged. Raises FileNotFoundError, and MeshError for what cannot be
    read. Whether the mesh makes sense is for ``clean_mesh`` to say.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no mesh file {path}")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise MeshError(f"{path}: meshes are read from {', '.join(MESH_SUFFIXES)}, not from {path.suffix or 'a file without suffix'}")
    with stage("reading the file"):
        return reader(path)


def read_vts(path: str | Path, *, n_vertices: int) -> Int[ndarray, " t"]:
    """The vertex (0-based) of each landmark, from a file with one 1-based vertex number a line.

    Raises MeshError for an empty file, entries that are not whole numbers, and numbers outside of 1..``n_vertices``.
    """
    numbers = _numbers(Path(path))
    if numbers.min() < 1 or numbers.max() > n_vertices:
        raise MeshError(_out_of_range(Path(path), numbers, n_vertices))
    return numbers - 1


def count_rows(path: str | Path) -> int:
    """How many vertex numbers a ``.vts`` or ``.map`` file holds. Raises MeshError where they are not whole numbers, one a line."""
    return len(_numbers(Path(path)))


def read_landmarks(path: str | Path, *, n1: int, n2: int) -> tuple[Int[ndarray, " t"], Int[ndarray, " t"]]:
    """Corresponding vertices (0-based) of a source with ``n1`` and a target with ``n2`` vertices, from a text file of two columns.

    A line gives the vertex of the source and that of the target, both counted from 1; blank lines and what follows a # are skipped.
    Raises FileNotFoundError, and MeshError with file and line for anything else than two vertex numbers, for numbers that are out
    of range or come twice in a column, and for fewer than 3 landmarks.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of landmarks {path}; write one with a line `source target` for each, counted from 1")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    used: tuple[dict[int, int], dict[int, int]] = ({}, {})  # vertex → the line that named it
    for number, line in enumerate(lines, 1):
        words = line.split("#", 1)[0].replace(",", " ").split()
        if not words:
            continue
        where = f"{path}, line {number}"
        if len(words) != 2 or not all(word.isascii() and word.lstrip("-").isdigit() for word in words):
            raise MeshError(f"{where}: {line.strip()[:40]!r} is not two vertex numbers; write `source target`, counted from 1")
        for side, vertex, n, known in zip(("source", "target"), map(int, words), (n1, n2), used, strict=True):
            if not 1 <= vertex <= n:
                hint = "Vertices count from 1 here: add 1 to each number" if vertex == 0 else "Are the columns the wrong way round?"
                raise MeshError(f"{where}: the {side} has no vertex {vertex}, but the vertices 1..{n}. {hint}")
            if vertex in known:
                raise MeshError(f"{where}: vertex {vertex} of the {side} was in line {known[vertex]} already; keep one of the two lines")
            known[vertex] = number
    if len(used[0]) < 3:
        raise MeshError(f"{path}: {len(used[0])} landmarks, but a map needs at least 3; 5 to 8, far apart, are a good start")
    ids1, ids2 = (np.array(list(known)) - 1 for known in used)
    return ids1, ids2


def write_off(path: str | Path, verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> None:
    """A triangle mesh as ASCII OFF, with coordinates that are read back bit for bit."""
    rows = [" ".join(map(repr, row)) for row in np.asarray(verts, dtype=np.float64).tolist()]
    rows += [f"3 {a} {b} {c}" for a, b, c in np.asarray(faces).tolist()]
    write_text_atomically(Path(path), f"OFF\n{len(verts)} {len(faces)} 0\n" + "\n".join(rows) + "\n")


def write_vts(path: str | Path, ids: Int[ndarray, " t"]) -> None:
    """0-based vertex ids as a ``.vts`` file (1-based, one a line)."""
    write_text_atomically(Path(path), "".join(f"{i + 1}\n" for i in np.asarray(ids).tolist()))


def _numbers(path: Path) -> Int[ndarray, " t"]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no ground truth file {path}")
    words = path.read_text(errors="replace").split()
    if not words:
        raise MeshError(f"{path}: the file is empty. Copy it again, or remove it to go without ground truth")
    try:
        values = np.array(words, dtype=np.float64)  # some tools write whole numbers as 1.000e+00
    except ValueError as error:
        raise MeshError(f"{path}: not one vertex number a line ({error}). Is this another kind of file?") from None
    bad = np.flatnonzero(~np.isfinite(values) | (values != np.round(values)))
    if len(bad):
        raise MeshError(f"{path}: entry {bad[0] + 1} is {words[bad[0]]}, but vertex numbers are whole. Is this another kind of file?")
    return values.astype(np.int64)


def _out_of_range(path: Path, values: Int[ndarray, " t"], n_vertices: int) -> str:
    low, high = int(values.min()), int(values.max())
    what = f"{path}: vertex numbers run from {low} to {high}, but the mesh has the vertices 1..{n_vertices}"
    if low == 0 and high < n_vertices:
        return f"{what}. They seem to count from 0: add 1 to each"
    return f"{what}. Does the file belong to another version of the mesh?"
