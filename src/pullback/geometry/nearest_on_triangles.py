"""The nearest point of triangles in space, by its barycentric weights."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def nearest_weights(points: Float[ndarray, "*b 3"], corners: Float[ndarray, "*b 3 3"]) -> Float[ndarray, "*b 3"]:
    """Weights of the nearest point of one triangle for each point; ≥ 0, they sum to 1.

    A triangle without area is the union of its edges.
    """
    a, b, c = (corners[..., i, :] for i in range(3))
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
    d20, d21 = _dot(ap, ab), _dot(ap, ac)
    area = d00 * d11 - d01 * d01
    flat = area <= 1e-12 * d00 * d11
    safe = np.where(flat, 1, area)
    v, w = (d11 * d20 - d01 * d21) / safe, (d00 * d21 - d01 * d20) / safe
    inner = np.stack([1 - v - w, v, w], axis=-1)
    choices = [inner, *(_on_edge(points, corners, i, j) for i, j in ((0, 1), (1, 2), (2, 0)))]
    weights = np.stack(choices, axis=-2)
    apart = points[..., None, :] - weights @ corners
    square = _dot(apart, apart)
    square[..., 0] = np.where(flat | (inner < 0).any(axis=-1), np.inf, square[..., 0])
    best = square.argmin(axis=-1)[..., None, None]
    return np.take_along_axis(weights, best, axis=-2)[..., 0, :]


def nearest_on_surface(
    point: Float[ndarray, "3"], verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]
) -> tuple[int, Float[ndarray, "3"], float]:
    """The triangle that a point in space is nearest to, the weights of the place there, and how far it is."""
    corners = verts[faces]
    weights = nearest_weights(np.broadcast_to(point, (len(faces), 3)), corners)
    apart = np.linalg.norm((weights[:, None, :] @ corners)[:, 0] - point, axis=1)
    best = int(apart.argmin())
    return best, weights[best], float(apart[best])


def _dot(a: ndarray, b: ndarray) -> ndarray:
    return (a * b).sum(axis=-1)


def _on_edge(points: ndarray, corners: ndarray, i: int, j: int) -> ndarray:
    along = corners[..., j, :] - corners[..., i, :]
    length = _dot(along, along)
    share = _dot(points - corners[..., i, :], along) / np.where(length > 0, length, 1)
    share = np.clip(share, 0, 1)
    weights = np.zeros((*share.shape, 3))
    weights[..., i], weights[..., j] = 1 - share, share
    return weights
