"""Finer meshes of the same surface, for multi-resolution tests and measurements of scale."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def subdivide(
    values: Float[ndarray, "n *c"], faces: Int[ndarray, "f 3"]
) -> tuple[Float[ndarray, "m *c"], Int[ndarray, "g 3"]]:
    """Each triangle split in four at the midpoints of its edges: four times the faces, about four times the vertices.

    ``values`` are the vertices, or anything else that is known there and linear along edges. Those of the input come
    first, in their order, then one for each edge; every new face is oriented as the one it lies in.
    """
    n = len(values)
    corners = faces.astype(np.int64)
    ends = np.stack([corners, np.roll(corners, -1, axis=1)])  # of edges ab, bc, ca
    low, high = ends.min(axis=0), ends.max(axis=0)
    unique, edge = np.unique((low * n + high).T.ravel(), return_inverse=True)
    middle = (values[unique // n] + values[unique % n]) / 2
    a, b, c = corners.T
    ab, bc, ca = edge.reshape(3, -1) + n
    split = np.concatenate([np.stack(part, axis=1) for part in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return np.concatenate([values, middle]), split.astype(faces.dtype)
