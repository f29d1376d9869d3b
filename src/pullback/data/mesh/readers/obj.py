"""Wavefront OBJ files: their vertices and faces.

Groups, materials, textures, normals, lines, points and free forms are ignored.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from pullback.data.mesh.readers.polygons import mesh_of_polygons
from pullback.data.mesh.readers.source import FileMesh, Source
from pullback.data.mesh.readers.text import integers, number_lines, numbers, without_comments, word_lines


def read_obj(source: Source) -> FileMesh:
    """The mesh of an OBJ file. Whatever a vertex has after its three coordinates (a weight, a colour) is ignored."""
    source = source.as_text()
    return obj_at_once(source) or read_obj_by_line(source)


def obj_at_once(source: Source) -> FileMesh | None:
    """The mesh of an orderly OBJ file.

    None for any other, which reading by line either understands or refuses with its reason.
    """
    data = without_comments(re.sub(rb"\\[ \t]*(?:\r\n|\n|\r)", b" ", source.data))
    lines = word_lines(data)
    if lines is None:
        return None
    vertices, polygons = lines.after(b"v"), lines.after(b"f")
    if not len(vertices.starts) or not len(polygons.starts) or re.search(rb"[ \t]/", polygons.text):
        return None
    places, corners = number_lines(vertices.text), number_lines(re.sub(rb"/[^ \t\r\n]*", b"", polygons.text))
    if (
        places is None
        or corners is None
        or (len(places.count), len(corners.count)) != (len(vertices.starts), len(polygons.starts))
    ):
        return None
    verts, faces = places.columns(slice(None), 3), corners.polygons(slice(None), counted=False)
    if verts is None or faces is None or faces[1].min() < 3:
        return None
    known = np.repeat(np.searchsorted(vertices.starts, polygons.starts), faces[1]) if faces[0].min() < 0 else None
    ids = _from_zero(faces[0], known)
    if (faces[0] == 0).any() or ids.min() < 0 or ids.max() >= len(verts):
        return None
    return mesh_of_polygons(source, verts, ids, faces[1], place=str)


def read_obj_by_line(source: Source) -> FileMesh:
    """As ``read_obj``: slower, and with a reason where it refuses."""
    verts: list[list[float]] = []
    corners: list[int] = []
    sizes, known, places = [], [], []
    for line, text in whole_lines(source):
        keyword, *words = text.split("#", 1)[0].split() or [""]
        if keyword == "v":
            verts.append(_coordinates(source, line, words))
        elif keyword == "f":
            corners += _corners(source, line, words)
            sizes.append(len(words))
            known.append(len(verts))
            places.append(line)
    if sizes and sizes[-1] < 3 and places[-1] == line and not source.data.endswith((b"\n", b"\r")):
        raise source.error("the file ends within a face, which has fewer than three corners", line=line)
    if not verts and not sizes:
        raise source.error("no line is a vertex or a face of an OBJ file", advice="Export it as .obj, .off or .ply")
    counts = np.array(sizes, dtype=np.int64)
    ids = _from_zero(np.array(corners, dtype=np.int64), np.repeat(np.array(known, dtype=np.int64), counts))
    points = np.array(verts, dtype=np.float64).reshape(-1, 3)
    return mesh_of_polygons(source, points, ids, counts, place=lambda face: f"line {places[face]}")


def _from_zero(corners: Int[ndarray, " c"], known: Int[ndarray, " c"] | None) -> Int[ndarray, " c"]:
    """Corners as numbers from 0.

    In the file they count from 1; a negative one counts back from the last vertex before its line, of which there are
    ``known``. One that goes back too far stays negative.
    """
    return corners - 1 if known is None else np.where(corners > 0, corners - 1, known + corners)


def whole_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Lines with those that continue them, after a backslash at their end; numbered as the first."""
    begun = 0
    pieces: list[str] = []
    for line, text in source.lines():
        begun = begun if pieces else line
        continued = text.rstrip().endswith("\\")
        pieces.append(text.rstrip()[:-1] if continued else text)
        if not continued:
            yield begun, " ".join(pieces)
            pieces = []
    if pieces:
        yield begun, " ".join(pieces)


def _coordinates(source: Source, line: int, words: Sequence[str]) -> list[float]:
    place = numbers(words[:3])
    if place is None or len(place) < 3:
        raise source.error(f"the vertex {' '.join(words)[:40]!r} does not have three numbers as coordinates", line=line)
    return place


def _corners(source: Source, line: int, words: Sequence[str]) -> list[int]:
    corners = integers(word.split("/", 1)[0] for word in words)
    if corners is None:
        raise source.error(f"the face {' '.join(words)[:40]!r} names something that is not a vertex number", line=line)
    if 0 in corners:
        raise source.error("a face names vertex 0, but .obj files count from 1", line=line, advice="Export it again")
    return corners
