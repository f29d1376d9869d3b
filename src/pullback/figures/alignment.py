"""Turns a shape to the same side as the one that it is matched with."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.figures.surface import Surface, TriangleMesh, as_array

_EXPLAINED = 0.5  # of the spread of the matched points, from which on a rotation is believed
_SMALL = 20.0  # degrees: less is left as it is, since shapes in other poses need not lean


def aligning_rotation(
    verts1: Float[ndarray, "n1 3"],
    verts2: Float[ndarray, "n2 3"],
    p2p21: Int[ndarray, " n2"],
    weights: Float[ndarray, " n2"] | None = None,
) -> Float[ndarray, "3 3"]:
    """The rotation that brings shape 2 closest to its matches on shape 1 (Kabsch 1976): ``verts2 @ rotation.T``.

    Vertices without a match (-1) do not count. The identity where the shapes differ by little of a turn, or where no
    rotation explains half of the spread of the matches.
    """
    weights = np.ones(len(verts2)) if weights is None else np.asarray(weights, dtype=np.float64)
    weights = np.where(p2p21 < 0, 0.0, weights)
    if weights.sum() <= 0:
        return np.eye(3)
    weights = (weights / weights.sum())[:, None]
    there, here = verts1[p2p21.clip(0)].astype(np.float64), verts2.astype(np.float64)
    there, here = there - (weights * there).sum(axis=0), here - (weights * here).sum(axis=0)
    left, strengths, right = np.linalg.svd((weights * there).T @ here)
    proper = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * proper) @ right
    spread = np.sqrt((weights * there**2).sum() * (weights * here**2).sum())
    explained = float((strengths * proper).sum() / max(spread, 1e-300))
    angle = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
    return np.eye(3) if explained < _EXPLAINED or angle < _SMALL else rotation


def turned(mesh: TriangleMesh, rotation: Float[ndarray, "3 3"]) -> TriangleMesh:
    """The mesh after a rotation; itself, where that is none."""
    if np.array_equal(rotation, np.eye(3)):
        return mesh
    return Surface(as_array(mesh.verts) @ rotation.T.astype(np.float32), as_array(mesh.faces))
