"""OFF files of text, with any prefix of the keyword (COFF, NOFF, STOFF, 4OFF, nOFF …) or without it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.data.mesh.readers.off_binary import BINARY, read_off_binary
from pullback.data.mesh.readers.polygons import mesh_of_polygons
from pullback.data.mesh.readers.source import FileMesh, Source
from pullback.data.mesh.readers.text import integer, integers, number_lines, numbers, without_comments
from pullback.geometry.cleaning import MeshError

_KEYWORD = re.compile(r"(?P<prefix>(?:ST|C|N|4|n)*)OFF(?=[0-9]|$)", re.IGNORECASE)
# The keyword of a file in space, and the counts, which some writers glue to it.
ORDERLY = re.compile(rb"\s*(?:(?:ST|C|N)*OFF)?\s*([0-9]{1,12})[ \t]+([0-9]{1,12})(?:[ \t]+[0-9]+)?[ \t]*(?=[\r\n])")
# How many numbers each letter of the prefix puts behind the coordinates of a vertex.
_EXTRAS = {"ST": (2,), "C": (4, 3), "N": (3,)}
_WIDTHS = {3: "three", 4: "four"}

Line = tuple[int, list[str]]  # its number in the file, and its words


@dataclass(frozen=True)
class _Header:
    width: int  # numbers that place a vertex: 3, or 4 with a last one that divides the others
    extras: tuple[int, ...]  # how many more numbers a vertex may have
    n: int
    f: int
    # what follows; None: the counts have no line of their own, as where each number has one
    body: Sequence[Line] | None
    stream: Sequence[str]  # what follows, as words


def read_off(source: Source) -> FileMesh:
    """An OFF file, of text or binary. What follows the coordinates of a vertex or the corners of a face is ignored."""
    if BINARY.match(source.data):
        return read_off_binary(source)
    source = source.as_text()
    return off_at_once(source) or read_off_by_line(source)


def off_at_once(source: Source) -> FileMesh | None:
    """The mesh of an orderly OFF file.

    None for any other, which reading by line either understands or refuses with its reason.
    """
    data = without_comments(source.data)
    counts = ORDERLY.match(data)
    lines = number_lines(data[counts.end() :]) if counts else None
    if counts is None or lines is None:
        return None
    n, f = int(counts[1]), int(counts[2])
    if not n or not f or len(lines.count) < n + f:
        return None
    verts, polygons = lines.columns(slice(n), 3), lines.polygons(slice(n, n + f), counted=True)
    if verts is None or polygons is None or polygons[1].min() < 3 or polygons[0].min() < 0 or polygons[0].max() >= n:
        return None
    return mesh_of_polygons(source, verts, *polygons, place=str)


def read_off_by_line(source: Source) -> FileMesh:
    """As ``read_off``, for text: slower, and with a reason where it refuses.

    The format is one of words, not of lines, but then colours behind a face could not be told from the next face. So
    lines are believed first; where there are more or fewer than announced, the words are, if they fit to the last one.
    """
    lines = [(number, words) for number, line in source.lines() if (words := line.split("#", 1)[0].split())]
    if not lines:
        raise source.error("the file is empty but for comments", advice="Copy or export it again")
    header = _header(source, lines)
    try:
        return _mesh_by_line(source, header)
    except MeshError:
        as_announced = header.body is not None and len(header.body) == header.n + header.f
        mesh = None if as_announced else _mesh_by_word(source, header)
        if mesh is None:
            raise
        return mesh


def _header(source: Source, lines: Sequence[Line]) -> _Header:
    (line, words), *body = lines
    keyword = _KEYWORD.match(words[0])
    if keyword:
        words = [word for word in (words[0][keyword.end() :], *words[1:]) if word]
        if "BINARY" in (word.upper() for word in words):
            raise source.error(
                "a binary OFF file whose first line is not the keyword and BINARY",
                line=line,
                advice="Export it as text",
            )
    elif integer(words[0]) is None or len(words) > 3:
        shown = " ".join(words)[:40]
        raise source.error(
            f"not an OFF file, it begins with {shown!r}", line=line, advice="Export it as .off, .obj or .ply"
        )
    lines = [(line, words), *body] if words else body
    prefix = keyword["prefix"] if keyword else ""
    dimensions = "n" in prefix and keyword is not None and keyword[0].endswith("OFF")
    if dimensions:
        lines = _after_dimension(source, lines)
    counts = _counts(source, lines)
    kinds = re.findall("ST|C|N|4", prefix.replace("n", "" if dimensions else "N").upper())
    sums = [0]
    for kind in kinds:
        sums = [total + extra for total in sums for extra in _EXTRAS.get(kind, (0,))]
    rest = [] if len(lines[0][1]) <= 3 else [(lines[0][0], lines[0][1][3:])]
    stream = [word for _, words in lines for word in words][2:]
    own_line = len(lines[0][1]) >= 2
    return _Header(4 if "4" in kinds else 3, tuple(sums), *counts, [*rest, *lines[1:]] if own_line else None, stream)


def _after_dimension(source: Source, lines: Sequence[Line]) -> list[Line]:
    """The lines without the dimension that is the first word of a nOFF file.

    Raises MeshError for another one than 3.
    """
    if not lines:
        raise source.error("nothing follows the keyword nOFF")
    (line, words), *body = lines
    if integer(words[0]) != 3:
        what = f"an nOFF file with vertices of {words[0]} coordinates, but a surface in space has 3"
        raise source.error(what, line=line, advice="Export it with three coordinates")
    return [(line, words[1:]), *body] if words[1:] else body


def _counts(source: Source, lines: Sequence[Line]) -> tuple[int, int]:
    words = [(line, word) for line, words in lines[:2] for word in words][:2]
    counts = integers(word for _, word in words)
    if counts is None or len(counts) < 2 or min(counts) < 0:
        line = words[0][0] if words else None
        raise source.error("the line after OFF must give the numbers of vertices and faces", line=line)
    return counts[0], counts[1]


def _mesh_by_line(source: Source, header: _Header) -> FileMesh:
    n, f, lines = header.n, header.f, header.body
    if lines is None:
        raise source.error(
            f"{n} vertices and {f} faces announced, but {len(header.stream)} numbers follow, which does not fit"
        )
    if len(lines) < n + f:
        found = min(n, len(lines))
        raise source.error(f"{n} vertices and {f} faces announced, {found} and {len(lines) - found} found")
    rows: list[list[float]] = []
    corners: list[int] = []
    sizes, wanted = [], _WIDTHS[header.width]
    for line, words in lines[:n]:
        row = numbers(words[: header.width])
        if row is None or len(row) < header.width:
            raise source.error(
                f"the vertex {' '.join(words)[:40]!r} does not have {wanted} numbers as coordinates", line=line
            )
        rows.append(row)
    for line, words in lines[n : n + f]:
        size = integer(words[0])
        if size is None or size < 0 or len(words) < 1 + size:
            raise source.error(
                f"the face {' '.join(words)[:40]!r} does not list as many vertices as it announces", line=line
            )
        face = integers(words[1 : 1 + size])
        if face is None:
            raise source.error(
                f"the face {' '.join(words)[:40]!r} names something that is not a vertex number", line=line
            )
        corners += face
        sizes.append(size)
    places = [line for line, _ in lines[n : n + f]]
    if min(sizes, default=3) < 3 and len(lines) > n + f:  # a vertex, taken for a face, looks like this
        line = next(line for line, size in zip(places, sizes, strict=True) if size < 3)
        what = (
            f"a face of fewer than three corners, and {len(lines) - n - f} lines after the {n} vertices and {f} "
            "faces announced"
        )
        raise source.error(what, line=line)
    return mesh_of_polygons(
        source,
        _points(rows, header.width),
        _integers(corners),
        _integers(sizes),
        place=lambda face: f"line {places[face]}",
    )


def _mesh_by_word(source: Source, header: _Header) -> FileMesh | None:
    """The mesh where the words fit the counts to the last one: wherever lines end, with a count of edges or without."""
    values = numbers(header.stream)
    if values is None:
        return None
    for begin in (1, 0):
        for extra in header.extras:
            width = header.width + extra
            faces = values[begin + header.n * width :]
            polygons = _polygons_by_word(faces, header.f) if len(values) >= begin + header.n * width else None
            if polygons is not None and all(0 <= corner < header.n for corner in polygons[0]):
                rows = np.array(values[begin : begin + header.n * width], dtype=np.float64).reshape(header.n, width)
                verts = _points(rows[:, : header.width], header.width)
                return mesh_of_polygons(
                    source,
                    verts,
                    _integers(polygons[0]),
                    _integers(polygons[1]),
                    place=lambda face: f"face {face + 1} of {header.f}",
                )
    return None


def _polygons_by_word(values: Sequence[float], f: int) -> tuple[list[float], list[int]] | None:
    corners: list[float] = []
    sizes, place = [], 0
    while place < len(values):
        size = values[place]
        if not 1 <= size <= len(values) - place - 1 or size != int(size):
            return None
        corners += values[place + 1 : place + 1 + int(size)]
        sizes.append(int(size))
        place += 1 + int(size)
    return (corners, sizes) if len(sizes) == f and all(corner == corner // 1 for corner in corners) else None


def _points(rows: Sequence[Sequence[float]] | Float[ndarray, "n w"], width: int) -> Float[ndarray, "n 3"]:
    points = np.array(rows, dtype=np.float64).reshape(-1, width)
    with np.errstate(all="ignore"):  # points at infinity are refused later
        return points if width == 3 else points[:, :3] / points[:, 3:]


def _integers(values: Sequence[int] | Sequence[float]) -> Int[ndarray, " v"]:
    return np.array(values, dtype=np.int64)
