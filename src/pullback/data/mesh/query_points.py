"""Points of a mesh that somebody asks for: vertex numbers or places in space."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.data.mesh.readers.text import integer, numbers
from pullback.files import MissingFileError, worded_lines
from pullback.geometry.cleaning import MeshError

_WANTED = "write a vertex number, counted from 1, or three coordinates x y z in each line"


@dataclass(frozen=True)
class QueryPoints:
    """Points in the order in which they were asked for: a vertex of the file, or a place in its coordinates."""

    vertex: Int[ndarray, " t"]  # from 0; -1 where a place was given
    place: Float[ndarray, "t 3"]  # NaN where a vertex was given

    @classmethod
    def of_vertices(cls, vertices: Int[ndarray, " t"]) -> "QueryPoints":
        return cls(vertices, np.full((len(vertices), 3), np.nan))

    @classmethod
    def of_places(cls, places: Float[ndarray, "t 3"]) -> "QueryPoints":
        return cls(np.full(len(places), -1), places)


def read_points(path: str | Path, *, n: int, side: str) -> QueryPoints:
    """The points of a text file: in each line a vertex of the ``side`` (of ``n``, from 1), or three coordinates.

    Blank lines and what follows a # are skipped. Raises MissingFileError, and MeshError with file and line for anything
    else, and for an empty file.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no file of points {path}; {_WANTED}, or name vertices: points=[12,57]")
    vertices, places = list[int](), list[list[float]]()
    for line_number, line, words in worded_lines(path, what="file of points"):
        where = f"{path}, line {line_number}"
        vertex, place = integer(words[0]) if len(words) == 1 else None, numbers(words) if len(words) == 3 else None
        if vertex is None and (place is None or not np.isfinite(place).all()):
            raise MeshError(f"{where}: {line[:40]!r} is no point; {_WANTED}")
        if vertex is not None:
            check_vertex(vertex, n=n, side=side, where=where)
        vertices.append(-1 if vertex is None else vertex - 1)
        places.append([np.nan] * 3 if place is None else place)
    if not vertices:
        raise MeshError(f"{path}: there are no points in it; {_WANTED}")
    return QueryPoints(np.array(vertices), np.array(places))


def listed_points(vertices: list[int], *, n: int, side: str) -> QueryPoints:
    """Vertices counted from 1. Raises MeshError for one that the mesh of ``n`` vertices does not have."""
    for vertex in vertices:
        check_vertex(vertex, n=n, side=side, where=f"points=[{','.join(map(str, vertices))}]")
    return QueryPoints.of_vertices(np.array(vertices) - 1)


def check_vertex(vertex: int, *, n: int, side: str, where: str) -> None:
    """Raises MeshError for a number that is no vertex, counted from 1."""
    if not 1 <= vertex <= n:
        hint = "; vertices count from 1 here: add 1 to each number" if vertex == 0 else ""
        raise MeshError(f"{where}: the {side} has no vertex {vertex}, but the vertices 1..{n}{hint}")
