"""Polygons as triangles."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from pullback.data.mesh.readers.source import FileMesh, Source, inner_suffix

# Polygons of more corners that are not convex are cut into a fan all the same: clipping their ears would take too long.
_MOST_CORNERS = 200
_OPPOSITE = -0.95  # cosine between the normals of a triangle and its polygon


def mesh_of_polygons(
    source: Source,
    verts: Float[ndarray, "n 3"],
    corners: Int[ndarray, " c"],
    sizes: Int[ndarray, " p"],
    *,
    place: Callable[[int], str],
    notes: tuple[str, ...] = (),
) -> FileMesh:
    """The mesh of polygons one after the other: polygon i takes the next ``sizes[i]`` of the ``corners``.

    Polygons of one or two corners are left out, with a note. ``place`` says where a polygon stands in the file, as in
    ``line 12``. Raises MeshError for a corner that is not a vertex.
    """
    outside = np.flatnonzero((corners < 0) | (corners >= len(verts)))
    if len(outside):
        polygon = int(np.searchsorted(np.cumsum(sizes), outside[0], side="right"))
        what = (
            f"{place(polygon)}: a face has the corner {corners[outside[0]]}, counted from 0, but there are "
            f"{len(verts)} vertices"
        )
        if corners.min() == 1 and corners.max() == len(verts) and inner_suffix(source.path) != ".obj":
            raise source.error(
                f"{what}. The faces seem to count from 1", advice="Subtract 1 from each of their corners"
            )
        raise source.error(what)
    small = np.flatnonzero(sizes < 3)
    if len(small):
        what = "1 face" if len(small) == 1 else f"{len(small)} faces"
        notes += (f"left out {what} with fewer than three corners (the first at {place(int(small[0]))})",)
        corners, sizes = corners[np.repeat(sizes >= 3, sizes)], sizes[sizes >= 3]
    return FileMesh(verts, triangles_of(verts, corners, sizes), notes)


def cuts_of(
    verts: Float[ndarray, "n 3"], corners: Int[ndarray, " c"], sizes: Int[ndarray, " p"]
) -> tuple[Int[ndarray, " f"], Int[ndarray, "f 3"]]:
    """How ``mesh_of_polygons`` cuts polygons: of each triangle the number of its polygon, and of its ``corners``."""
    large = np.flatnonzero(np.repeat(sizes >= 3, sizes))
    kept = np.flatnonzero(sizes >= 3)
    # each corner stands for itself, at its place
    cut = triangles_of(verts[corners[large]], np.arange(len(large)), sizes[kept])
    return np.repeat(kept, sizes[kept] - 2), large[cut]


def triangles_of(
    verts: Float[ndarray, "n 3"], corners: Int[ndarray, " c"], sizes: Int[ndarray, " p"]
) -> Int[ndarray, "f 3"]:
    """Polygons of three corners or more as triangles, in their order: fans around the first corner.

    Where such a fan would fold over itself, as in an L, the ears of the polygon one after the other.
    """
    if (sizes == 3).all():
        return corners.reshape(-1, 3)
    counts = sizes - 2
    polygon = np.repeat(np.arange(len(sizes)), counts)
    first = (np.cumsum(sizes) - sizes)[polygon]
    step = np.arange(len(polygon)) - (np.cumsum(counts) - counts)[polygon]
    triangles = np.stack([corners[first], corners[first + step + 1], corners[first + step + 2]], axis=1)
    large = np.flatnonzero(sizes > 3)
    folded = large[_folded(verts, triangles[np.repeat(sizes > 3, counts)], sizes[large])]
    begin, corner = np.cumsum(counts) - counts, np.cumsum(sizes) - sizes
    quads = folded[sizes[folded] == 4]
    # along the other diagonal
    triangles[begin[quads, None] + [0, 1]] = corners[corner[quads, None, None] + [[1, 2, 3], [1, 3, 0]]]
    for i in folded[(sizes[folded] > 4) & (sizes[folded] <= _MOST_CORNERS)]:
        triangles[begin[i] : begin[i] + counts[i]] = _ears(verts, corners[corner[i] : corner[i] + sizes[i]])
    return triangles


def _folded(
    verts: Float[ndarray, "n 3"], triangles: Int[ndarray, "f 3"], sizes: Int[ndarray, " p"]
) -> Bool[ndarray, " p"]:
    """Of which polygons the fan has a triangle that faces the other way: in a plane it lies over others.

    A polygon bent in space may have triangles that face anywhere, and no way to cut it is better than a fan.
    """
    a, b, c = (verts[triangles[:, i]] for i in range(3))
    with np.errstate(all="ignore"):  # coordinates that are not finite are refused later
        normals = np.cross(b - a, c - a)
        starts = np.cumsum(sizes - 2) - (sizes - 2)
        whole = np.repeat(np.add.reduceat(normals, starts, axis=0), sizes - 2, axis=0)
        areas, all_areas = np.linalg.norm(normals, axis=1), np.linalg.norm(whole, axis=1)
        opposite = (normals * whole).sum(axis=1) < _OPPOSITE * areas * all_areas
        return np.logical_or.reduceat(opposite & (areas > 1e-9 * all_areas), starts)


def _ears(verts: Float[ndarray, "n 3"], corners: Int[ndarray, " c"]) -> Int[ndarray, "f 3"]:
    """A simple polygon as triangles, cut off one after the other where nothing of the polygon lies in them."""
    points = _flattened(verts[corners])
    left, triangles = list(range(len(corners))), []
    while len(left) > 3:
        ear = next((i for i in range(len(left)) if _is_ear(points, left, i)), 0)  # 0: the polygon crosses itself
        triangles.append([left[ear - 1], left[ear], left[(ear + 1) % len(left)]])
        del left[ear]
    return corners[np.array([*triangles, left])]


def _flattened(points: Float[ndarray, "c 3"]) -> Float[ndarray, "c 2"]:
    """A polygon in its plane, counter-clockwise."""
    points = points - points[0]
    normal = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)
    axis = int(np.abs(normal).argmax())
    flat = np.delete(points, axis, axis=1)
    turned = normal[axis] * (-1 if axis == 1 else 1) < 0
    return flat[:, ::-1] if turned else flat


def _is_ear(points: Float[ndarray, "c 2"], left: list[int], i: int) -> bool:
    a, b, c = points[left[i - 1]], points[left[i]], points[left[(i + 1) % len(left)]]
    if _turn(a, b, c) <= 0:
        return False
    others = np.array([points[k] for j, k in enumerate(left) if j not in ((i - 1) % len(left), i, (i + 1) % len(left))])
    inside = (_turn(a, b, others) >= 0) & (_turn(b, c, others) >= 0) & (_turn(c, a, others) >= 0)
    # a bridge to a hole comes by twice
    corner = (others == a).all(axis=1) | (others == b).all(axis=1) | (others == c).all(axis=1)
    return not (inside & ~corner).any()


def _turn(a: Float[ndarray, "... 2"], b: Float[ndarray, "... 2"], c: Float[ndarray, "... 2"]) -> Any:
    """Twice the signed area of the triangle: positive where it turns left."""
    return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
