"""Reading and writing meshes and ground truth. The only place where 1-based vertex numbers become 0-based."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.data.mesh.formats import READERS, read_file
from pullback.data.mesh.readers.source import FileMesh, bare_name, inner_suffix
from pullback.data.mesh.readers.text import integers, number, number_lines, whole
from pullback.files import MissingFileError, read_text, worded_lines
from pullback.geometry.cleaning import MeshError
from pullback.stages import stage
from pullback.writing import write_text_atomically

MESH_SUFFIXES = tuple(READERS)
_COLUMNS = 4  # a list that is wrapped has more in a line; a table of vertices (and weights) does not


def is_mesh_file(path: str | Path) -> bool:
    """Whether a file is called like one of the formats of meshes, gzipped or not."""
    return inner_suffix(Path(path)) in READERS


def mesh_name(path: str | Path) -> str:
    """What a mesh is called by its file: ``cat`` for ``cat.off`` and ``cat.off.gz``."""
    return bare_name(Path(path))


def read_mesh(path: str | Path) -> tuple[Float[ndarray, "n 3"], Int[ndarray, "f 3"]]:
    """Vertices and triangles of a mesh file as they are, in its order: ``read_mesh_file`` without notes."""
    mesh = read_mesh_file(path)
    return mesh.verts, mesh.faces


def read_mesh_file(path: str | Path) -> FileMesh:
    """The mesh of a file in one of the formats of ``MESH_SUFFIXES``, or gzipped, with notes on what was left out.

    Polygons are cut into triangles, the vertices of ``.stl`` merged. Raises MissingFileError, and MeshError for what
    cannot be read. Whether the mesh makes sense is for ``clean_mesh`` to say.
    """
    with stage("reading the file"):
        return read_file(Path(path))


def read_vts(path: str | Path, *, n_vertices: int) -> Int[ndarray, " t"]:
    """The vertex (0-based) of each landmark, from a file with one 1-based vertex number a line.

    Raises MissingFileError, and MeshError with the line for entries that are not whole numbers or outside of
    1..``n_vertices``, and for an empty file.
    """
    numbers = read_numbers(Path(path))
    if numbers.min() < 1 or numbers.max() > n_vertices:
        raise MeshError(_out_of_range(Path(path), numbers, n_vertices))
    return numbers - 1


def count_rows(path: str | Path) -> int:
    """How many vertex numbers a ``.vts`` or ``.map`` file holds.

    Raises MeshError where they are not whole numbers, one a line.
    """
    return len(read_numbers(Path(path)))


def read_landmarks(path: str | Path, *, n1: int, n2: int) -> tuple[Int[ndarray, " t"], Int[ndarray, " t"]]:
    """Corresponding vertices (0-based) of source (``n1``) and target (``n2``), from a file of two columns.

    A line gives the vertex of the source and that of the target, both counted from 1; blank lines and what follows a #
    are skipped. Raises MissingFileError, and MeshError with file and line for anything else than two vertex numbers,
    for numbers that are out of range or come twice in a column, and for fewer than 3 landmarks.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f"there is no file of landmarks {path}; write one with a line `source target` for each, counted from 1"
        )
    used: tuple[dict[int, int], dict[int, int]] = ({}, {})  # vertex → the line that named it
    for line_number, line, words in worded_lines(path, what="file of landmarks"):
        where = f"{path}, line {line_number}"
        vertices = integers(words)
        if vertices is None or len(vertices) != 2:
            raise MeshError(f"{where}: {line[:40]!r} is not two vertex numbers; write `source target`, counted from 1")
        for side, vertex, n, known in zip(("source", "target"), vertices, (n1, n2), used, strict=True):
            if not 1 <= vertex <= n:
                hint = (
                    "Vertices count from 1 here: add 1 to each number"
                    if vertex == 0
                    else "Are the columns the wrong way round?"
                )
                raise MeshError(f"{where}: the {side} has no vertex {vertex}, but the vertices 1..{n}. {hint}")
            if vertex in known:
                raise MeshError(
                    f"{where}: vertex {vertex} of the {side} was in line "
                    f"{known[vertex]} already; keep one of the two lines"
                )
            known[vertex] = line_number
    if len(used[0]) < 3:
        raise MeshError(
            f"{path}: {len(used[0])} landmarks, but a map needs at least 3; 5 to 8, far apart, are a good start"
        )
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


def read_numbers(path: Path, *, what: str = "ground truth file") -> Int[ndarray, " t"]:
    """The whole numbers of a text file, one a line, or many.

    Raises MissingFileError, and MeshError with the line for anything else, for a table of a few columns (which of them
    is meant?) and for an empty file.
    """
    text = read_text(path, what=what).rstrip("\0\x1a")
    if not text.strip():
        raise MeshError(f"{path}: the file is empty. Copy it again, or remove it to go without this {what}")
    lines = number_lines(text.encode())
    columns = set() if lines is None or len(lines.count) < 2 else set(lines.count.tolist())
    if len(columns) == 1 and 1 < max(columns) <= _COLUMNS:
        raise MeshError(
            f"{path}: {max(columns)} numbers in each line, but a {what} has one. Keep the column of the vertex "
            "numbers, counted from 1"
        )
    values = _words_as_numbers(path, text) if lines is None else lines.values
    numbers = whole(values)  # some tools write whole numbers as 1.000e+00
    if numbers is None:
        bad = int(np.flatnonzero(~((np.abs(values) < 2.0**53) & (values == np.round(values))))[0])
        where, word = _entry(text, bad)
        what = f"entry {bad + 1} is {word[:40]}, but vertex numbers are whole. Is this another kind of file?"
        raise MeshError(f"{path}, line {where}: {what}")
    return numbers


def _words_as_numbers(path: Path, text: str) -> Float[ndarray, " t"]:
    values = []
    for line, word in _numbered_words(text):
        values.append(number(word))
        if values[-1] is None:
            raise MeshError(
                f"{path}, line {line}: {word[:40]!r} is not one vertex number a line. Is this another kind of file?"
            )
    return np.array(values, dtype=np.float64)


def _numbered_words(text: str) -> Iterator[tuple[int, str]]:
    return ((line, word) for line, words in enumerate(text.split("\n"), start=1) for word in words.split())


def entry_of(path: Path, i: int) -> tuple[int, str]:
    """The line and the word of entry ``i`` of such a file."""
    return _entry(read_text(path), i)


def _entry(text: str, i: int) -> tuple[int, str]:
    return next(islice(_numbered_words(text), i, None))


def _out_of_range(path: Path, values: Int[ndarray, " t"], n_vertices: int) -> str:
    low, high = int(values.min()), int(values.max())
    line, word = _entry(read_text(path), int(np.flatnonzero((values < 1) | (values > n_vertices))[0]))
    what = f"{path}: vertex numbers run from {low} to {high}, but the mesh has the vertices 1..{n_vertices}"
    what += f" (the first other is {word}, line {line})"
    if low == 0 and high < n_vertices:
        return f"{what}. They seem to count from 0: add 1 to each"
    return f"{what}. Does the file belong to another version of the mesh?"
