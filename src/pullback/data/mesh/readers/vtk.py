"""Legacy VTK files (``.vtk``), of text or binary: POLYDATA, or the flat cells of an UNSTRUCTURED_GRID."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from pullback.data.mesh.readers.polygons import mesh_of_polygons
from pullback.data.mesh.readers.source import FileMesh, Source
from pullback.data.mesh.readers.vtk_cursor import Cursor

Lists = tuple[Int[ndarray, " c"], Int[ndarray, " p"]]  # numbers one after the other, and how many belong together

_Cut = tuple[Int[ndarray, " d"], Int[ndarray, " q"]]  # the same of what has been made of them

_IGNORED = {1: "points", 2: "points", 3: "lines", 4: "lines"}
_TRIANGLE, _STRIP, _POLYGON, _PIXEL, _QUAD = 5, 6, 7, 8, 9
_KINDS = ("POLYDATA", "UNSTRUCTURED_GRID")


def read_vtk(source: Source) -> FileMesh:
    """The surface of a legacy VTK file. Points, lines and whatever data the cells carry are passed over."""
    cursor = Cursor.of(source)
    words = cursor.line()
    if len(words) < 2 or words[0].upper() != "DATASET" or words[1].upper() not in _KINDS:
        what = f"{' '.join(words)[:40]!r} is no surface; of VTK files DATASET {' and '.join(_KINDS)} are read"
        raise source.error(what, line=cursor.line_number(), advice="Extract its surface first")
    sections = _sections(cursor)
    if "POINTS" not in sections:
        raise source.error("it has no POINTS")
    verts = sections["POINTS"].reshape(-1, 3)
    (corners, sizes), notes = _cells(source, sections) if "CELLS" in sections else (_surfaces(sections), ())
    ignored = [name.lower() for name in ("VERTICES", "LINES") if name in sections]
    notes += (f"{' and '.join(ignored)} were ignored",) if ignored else ()
    return mesh_of_polygons(
        source, verts, corners, sizes, place=lambda face: f"face {face + 1} of {len(sizes)}", notes=notes
    )


def _sections(cursor: Cursor) -> dict[str, Any]:
    """What stands before the data of points and cells, by keyword: Lists of points, coordinates, types."""
    sections: dict[str, Any] = {}
    while words := cursor.line():
        keyword = words[0].upper()
        match keyword:
            case "POINT_DATA" | "CELL_DATA":
                break
            case "POINTS":
                sections[keyword] = cursor.numbers(
                    3 * cursor.count(words, 1), words[2] if len(words) > 2 else "float"
                ).astype(np.float64)
            case "VERTICES" | "LINES" | "POLYGONS" | "TRIANGLE_STRIPS" | "CELLS":
                sections[keyword] = _lists(cursor, cursor.count(words, 1), cursor.count(words, 2))
            case "CELL_TYPES":
                sections[keyword] = cursor.integers(cursor.count(words, 1), "int")
            case "FIELD":
                for _ in range(cursor.count(words, 2)):
                    array = cursor.line()
                    cursor.numbers(cursor.count(array, 1) * cursor.count(array, 2), array[3] if len(array) > 3 else "")
            case "METADATA":
                cursor.skip_to_blank_line()
            case _:
                raise cursor.source.error(
                    f"{' '.join(words)[:40]!r} is not a part of a VTK surface", line=cursor.line_number()
                )
    return sections


def _lists(cursor: Cursor, count: int, size: int) -> Lists:
    """Lists of point numbers: since version 5 as offsets and all numbers, before as length and numbers of each."""
    if cursor.version >= 5:
        offsets = cursor.integers(count, _after(cursor, "OFFSETS"))
        numbers = cursor.integers(size, _after(cursor, "CONNECTIVITY"))
        sizes = np.diff(offsets)
        if count and (offsets[0] != 0 or offsets[-1] != size or (sizes < 0).any()):
            raise cursor.source.error("the OFFSETS of its cells do not fit their CONNECTIVITY")
        return numbers, sizes
    flat = cursor.integers(size, "int")
    width = int(flat[0]) + 1 if len(flat) else 1
    if width > 0 and size == count * width and (flat[::width] == width - 1).all():
        return flat.reshape(count, width)[:, 1:].ravel(), np.full(count, width - 1)
    listed, place = flat.tolist(), 0
    points: list[int] = []
    lengths: list[int] = []
    for cell in range(count):
        length = listed[place] if place < len(listed) else -1
        if length < 0 or place + 1 + length > len(listed):
            raise cursor.source.error(f"cell {cell + 1} of {count} does not list as many points as it announces")
        points += listed[place + 1 : place + 1 + length]
        lengths.append(length)
        place += 1 + length
    return np.array(points, dtype=np.int64), np.array(lengths, dtype=np.int64)


def _after(cursor: Cursor, keyword: str) -> str:
    """The type of what follows the keyword."""
    words = cursor.line()
    if len(words) < 2 or words[0].upper() != keyword:
        raise cursor.source.error(f"{' '.join(words)[:40]!r} stands where {keyword} should", line=cursor.line_number())
    return words[1]


def _surfaces(sections: dict) -> Lists:
    """The polygons of POLYDATA, then its strips as triangles."""
    nothing = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    corners, sizes = sections.get("POLYGONS", nothing)
    numbers, lengths = sections.get("TRIANGLE_STRIPS", nothing)
    triangles, threes = _by_cell(numbers, lengths, _strip)
    return np.concatenate([corners, triangles]), np.concatenate([sizes, threes])


def _cells(source: Source, sections: dict) -> tuple[Lists, tuple[str, ...]]:
    """The flat cells of an unstructured grid, in their order. Raises MeshError for solid and for curved ones."""
    numbers, sizes = sections["CELLS"]
    types = sections.get("CELL_TYPES", np.empty(0, dtype=np.int64))
    if len(types) != len(sizes):
        raise source.error(f"{len(sizes)} cells, but the types of {len(types)}")
    lost = sorted(set(types.tolist()) - {*_IGNORED, _TRIANGLE, _STRIP, _POLYGON, _PIXEL, _QUAD})
    if lost:
        what = (
            f"it has cells of type {lost[0]}, which are solid or curved, but "
            "only flat triangles and polygons make a surface"
        )
        raise source.error(what, advice="Extract its surface first (ParaView: Filters, Extract Surface)")
    ignored = sorted({_IGNORED[kind] for kind in types.tolist() if kind in _IGNORED})
    notes = (f"{' and '.join(ignored)} were ignored",) if ignored else ()
    flat = ~np.isin(types, list(_IGNORED))
    numbers, sizes, types = numbers[np.repeat(flat, sizes)], sizes[flat], types[flat]
    if not np.isin(types, (_STRIP, _PIXEL)).any():
        return (numbers, sizes), notes
    kinds = iter(types.tolist())
    return _by_cell(numbers, sizes, lambda cell: _CUTS.get(next(kinds), lambda same: [same])(cell)), notes


def _by_cell(
    numbers: Int[ndarray, " c"], sizes: Int[ndarray, " p"], cut: Callable[[list[int]], list[list[int]]]
) -> _Cut:
    """Each list of points as the polygons that ``cut`` makes of it."""
    listed, ends = numbers.tolist(), np.cumsum(sizes).tolist()
    polygons = [
        polygon for end, size in zip(ends, sizes.tolist(), strict=True) for polygon in cut(listed[end - size : end])
    ]
    corners = [corner for polygon in polygons for corner in polygon]
    return np.array(corners, dtype=np.int64), np.array([len(polygon) for polygon in polygons], dtype=np.int64)


def _strip(cell: Sequence[int]) -> list[list[int]]:
    triangles = [[cell[i], cell[i + 1 + i % 2], cell[i + 2 - i % 2]] for i in range(len(cell) - 2)]
    return [triangle for triangle in triangles if len(set(triangle)) == 3]


def _pixel(cell: Sequence[int]) -> list[list[int]]:
    return [[cell[0], cell[1], cell[3], cell[2]] if len(cell) == 4 else list(cell)]


_CUTS = {_STRIP: _strip, _PIXEL: _pixel}
