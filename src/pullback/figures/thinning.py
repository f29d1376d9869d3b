"""Meshes finer than the picture: what no sample of a pixel can tell apart is drawn as one."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

MANY_FACES = 300_000  # up to so many a mesh is drawn as it is


class Thinned(NamedTuple):
    """A part of a mesh's vertices with the faces that are left between them."""

    verts: Int[ndarray, " m"]  # ids in the mesh
    faces: Int[ndarray, "g 3"]  # of the thinned mesh
    face_ids: Int[ndarray, " g"]  # ids in the mesh


def thin(points: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], *, cell: float) -> Thinned:
    """One vertex, the first, of all those in each cube of side ``cell`` (Rossignac & Borrel 1993).

    Faces that collapse are dropped.

    The surface keeps together: every face either stays, with its corners moved by less than two cells, or has no area
    left.
    """
    place = np.floor((points - points.min(axis=0)) / cell).astype(np.int64)
    bound = place.max(axis=0) + 1
    key = (place[:, 0] * bound[1] + place[:, 1]) * bound[2] + place[:, 2]
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    corners = group[faces]
    face_ids = np.flatnonzero(
        (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    )
    return Thinned(first, corners[face_ids], face_ids)
