"""The rows of one element of a PLY file, and the elements that make a mesh."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num
from numpy import ndarray

from pullback.data.mesh.readers.ply_header import Element
from pullback.data.mesh.readers.source import Source
from pullback.data.mesh.readers.text import whole

_INDEX_NAMES = ("vertex_indices", "vertex_index")


@dataclass(frozen=True)
class Table:
    """The rows of an element, by property."""

    element: Element
    columns: Mapping[str, Num[ndarray, " r"]]
    # the numbers of all rows, and how many each row has
    lists: Mapping[str, tuple[Num[ndarray, " v"], Int[ndarray, " r"]]]
    place: Callable[[int], str]  # where a row is in the file

    def points(self, source: Source) -> Float[ndarray, "n 3"]:
        """Raises MeshError where a coordinate is missing."""
        lost = [axis for axis in "xyz" if axis not in self.columns]
        if lost:
            raise source.error(
                f"the vertices have no property {lost[0]}", advice="Export it with x, y and z of each vertex"
            )
        return np.stack([self.columns[axis].astype(np.float64) for axis in "xyz"], axis=1)

    def corners(self, source: Source) -> tuple[Int[ndarray, " c"], Int[ndarray, " p"]]:
        """The vertex numbers of each row, and how many they are. Raises MeshError for one that is not whole."""
        name = next((name for name in _INDEX_NAMES if name in self.lists), None)
        if name is None and len(self.lists) == 1:
            (name,) = self.lists
        if name is None:
            raise source.error(
                f"no list of its {self.element.name} is called vertex_indices",
                advice="Export it again, as .ply or .off",
            )
        values, sizes = self.lists[name]
        if np.issubdtype(values.dtype, np.integer) and values.dtype.itemsize < 8:
            return values.astype(np.int64), sizes
        corners = whole(values.astype(np.float64))
        if corners is None:
            bad = int(np.flatnonzero(~((np.abs(values) < 2.0**53) & (values == np.round(values))))[0])
            row = int(np.searchsorted(np.cumsum(sizes), bad, side="right"))
            raise source.error(f"{self.place(row)}: {values[bad]:g} in {name} is not a vertex number")
        return corners, sizes


def strip_triangles(source: Source, table: Table) -> Int[ndarray, "f 3"]:
    """Triangle strips, several of them in a list where -1 stands between: every second triangle is turned around.

    Triangles with a repeated corner, which only lead a strip to another place, are left out.
    """
    values, sizes = table.corners(source)
    if len(values) < 3:
        return np.empty((0, 3), dtype=np.int64)
    ends = np.cumsum(sizes)
    begins = np.zeros(len(values), dtype=bool)
    begins[(ends - sizes)[sizes > 0]] = True
    begins[1:] |= values[:-1] == -1
    strip = np.cumsum(begins)
    step = np.arange(len(values)) - np.flatnonzero(begins)[strip - 1]
    whole_triangle = (strip[:-2] == strip[2:]) & (values[:-2] != -1) & (values[1:-1] != -1) & (values[2:] != -1)
    first = np.flatnonzero(whole_triangle)
    turned = step[first] % 2
    triangles = np.stack([values[first], values[first + 1 + turned], values[first + 2 - turned]], axis=1)
    a, b, c = triangles.T
    return triangles[(a != b) & (b != c) & (c != a)]
