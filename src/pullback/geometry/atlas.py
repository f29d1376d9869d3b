"""A surface laid out in the plane in several pieces, as by texture coordinates, and what is cut apart there.

Triangles of another surface, whose corners lie anywhere on this one, are laid out too: each on one side of the seams.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.geometry.connectivity import group_rows, half_edges_by_edge
from pullback.geometry.nearest_on_triangles import nearest_weights

# A step in the plane is taken for a leap over a seam when it is so many times longer than the triangles there allow.
_LEAP = 2.0
# How far, in triangles, the other corners are searched.
_RINGS = 8
# Triangles that are laid out at once where there are seams.
_AT_ONCE = 4000


@dataclass(frozen=True)
class Atlas:
    """Triangles in space, and where their corners lie in the plane (NaN: nowhere)."""

    verts: Float[ndarray, "n 3"]
    faces: Int[ndarray, "f 3"]  # vertices that are sewn along the seams
    uv: Float[ndarray, "f 3 2"]

    @cached_property
    def neighbours(self) -> Int[ndarray, "f 3"]:
        """The triangle beyond each edge (corner i to i + 1) where the plane goes on there; -1 at seams."""
        corners = np.column_stack([self.faces.ravel(), self.uv.reshape(-1, 2)])
        _, group = group_rows(np.nan_to_num(corners, nan=-1e30))
        half_edges, start = half_edges_by_edge(group.reshape(-1, 3))
        two = start[np.diff(start, append=len(half_edges)) == 2]
        one, other = half_edges[two], half_edges[two + 1]
        found = np.full(3 * len(self.faces), -1)
        found[one], found[other] = other // 3, one // 3
        return found.reshape(-1, 3)

    @cached_property
    def stretch(self) -> Float[ndarray, " f"]:
        """At most so much longer than in space is a step within each triangle in the plane."""
        place, laid = self.verts[self.faces], self.uv
        edges, steps = (values - np.roll(values, 1, axis=1) for values in (place, laid))
        length = np.linalg.norm(edges, axis=2)
        return (np.linalg.norm(steps, axis=2) / np.maximum(length, 1e-12 * length.max())).max(axis=1)

    def lay(
        self, face: Int[ndarray, "t 3"], weights: Float[ndarray, "t 3 3"], *, reach: Float[ndarray, " t"]
    ) -> tuple[Float[ndarray, "t 3 2"], Int[ndarray, " t"]]:
        """Triangles whose corner i lies in triangle ``face[:, i]`` at ``weights[:, i]``, laid out in the plane.

        Where the corners lie on two sides of a seam, or farther apart than ``reach``, one of them chooses the side, and
        the others take its nearest places, which are found by walking over the surface. Also the triangle of the corner
        that chose.
        """
        laid = (weights[..., None] * self.uv[face]).sum(axis=2)
        points = (weights[..., None] * self.verts[self.faces[face]]).sum(axis=2)
        chosen, cut = face[:, 0].copy(), np.flatnonzero(self._leaps(face, laid, points, reach))
        for rows in np.array_split(cut, -(-len(cut) // _AT_ONCE)) if len(cut) else ():
            laid[rows], chosen[rows] = self._on_one_side(face[rows], laid[rows], points[rows])
        return laid, chosen

    def _leaps(self, face: ndarray, laid: ndarray, points: ndarray, reach: ndarray) -> ndarray:
        found = np.zeros(len(face), dtype=bool)
        for i, j in ((0, 1), (1, 2), (2, 0)):
            apart = np.linalg.norm(points[:, i] - points[:, j], axis=1)
            step = np.linalg.norm(laid[:, i] - laid[:, j], axis=1)
            allowed = _LEAP * np.maximum(self.stretch[face[:, i]], self.stretch[face[:, j]]) * apart
            found |= (face[:, i] != face[:, j]) & (~(step <= allowed + 1e-9) | (apart > reach))
        return found

    def _on_one_side(
        self, face: Int[ndarray, "t 3"], laid: Float[ndarray, "t 3 2"], points: Float[ndarray, "t 3 3"]
    ) -> tuple[Float[ndarray, "t 3 2"], Int[ndarray, " t"]]:
        """Triangles as that corner of each sees them from which the others are found most nearly."""
        t = len(face)
        radius = 1.5 * np.linalg.norm(points[:, :, None] - points[:, None], axis=3).max(axis=2)
        view, walked = self._walks(face.ravel(), points.reshape(-1, 3), radius.ravel())  # view: triangle · 3 + corner
        seen, missed = np.repeat(laid[:, None], 3, axis=1), np.zeros((t, 3))
        for step in (1, 2):  # the other corners of each view
            other = (view % 3 + step) % 3
            wanted = points[view // 3, other]
            corners = self.verts[self.faces[walked]]
            weights = nearest_weights(wanted, corners)
            apart = np.linalg.norm((weights[:, None, :] @ corners)[:, 0] - wanted, axis=1)
            order = np.lexsort((apart, view))
            best = order[np.flatnonzero(np.diff(view[order], prepend=-1))]  # of each view, which are all there
            place = (weights[best][:, :, None] * self.uv[walked[best]]).sum(axis=1)
            seen[view[best] // 3, view[best] % 3, other[best]] = place
            missed[view[best] // 3, view[best] % 3] += apart[best]
        missed[~np.isfinite(laid).all(axis=2)] = np.inf
        corner = missed.argmin(axis=1)
        return seen[np.arange(t), corner], face[np.arange(t), corner]

    def _walks(
        self, begin: Int[ndarray, " q"], centre: Float[ndarray, "q 3"], radius: Float[ndarray, " q"]
    ) -> tuple[Int[ndarray, " w"], Int[ndarray, " w"]]:
        """Triangles that are reached from each place without crossing a seam, within its radius; ordered by place."""
        f = len(self.faces)
        seen = edge = np.arange(len(begin)) * f + begin  # pairs of a place and a triangle, as one number
        for _ in range(_RINGS):
            place, face = np.divmod(edge, f)
            beyond = self.neighbours[face]
            pairs = np.unique((place[:, None] * f + beyond)[beyond >= 0])
            pairs = pairs[~np.isin(pairs, seen, assume_unique=True)]
            if not len(pairs):
                break
            seen = np.union1d(seen, pairs)
            place, face = np.divmod(pairs, f)
            near = np.linalg.norm(self.verts[self.faces[face]] - centre[place, None], axis=2).min(axis=1)
            edge = pairs[near <= radius[place]]
        return np.divmod(seen, f)
