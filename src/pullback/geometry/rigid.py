"""Rotations between shapes: by corresponding points, and between shapes of which no correspondence is known."""

from itertools import permutations, product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.geometry.mesh import lumped_mass, normalise_area, vertex_normals
from pullback.geometry.point_sample import sample_points

_NORMALS = 0.15  # what a unit of a normal weighs against one of √area
_FIRST, _LAST = 5, 20  # iterations of every start, and of those that are kept
_KEPT = 6
APART = 30.0  # degrees: rotations that differ by less are one pose


class SurfaceSample(NamedTuple):
    """A few well-spread points of a surface of unit area about its centroid, with the outward normals there."""

    points: Float[ndarray, "s 3"]
    normals: Float[ndarray, "s 3"]

    def turned(self, rotation: Float[ndarray, "3 3"]) -> "SurfaceSample":
        return SurfaceSample(self.points @ rotation.T, self.normals @ rotation.T)


class Pose(NamedTuple):
    """A rotation that lays one shape on another, and how far their points and normals are apart then."""

    rotation: Float[ndarray, "3 3"]
    distance: float  # mean to the nearest, there and back; the smaller the better


def surface_sample(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], *, count: int = 300) -> SurfaceSample:
    """``count`` vertices of a cleaned mesh; a turned mesh gives the turned sample."""
    verts = normalise_area(verts, faces)
    points, _ = sample_points(verts, faces, lumped_mass(verts, faces), count=count)
    return SurfaceSample(verts[points], vertex_normals(verts, faces)[points])


def poses(sample: SurfaceSample, target: SurfaceSample) -> list[Pose]:
    """The ways in which a shape can lie on the target, at least ``APART`` degrees from each other, the best first.

    Iterated closest points with normals (Besl & McKay 1992; Chen & Medioni 1991) from all 24 ways to lay the principal
    axes of one shape along those of the other without a reflection. Points that find no near one weigh less.
    """
    axes, own = principal_axes(target.points), principal_axes(sample.points)
    starts = _distinct(_closest_points(sample, target, axes @ _AXIS_TURNS @ own.T, _FIRST))[:_KEPT]
    return _distinct(_closest_points(sample, target, np.stack([each.rotation for each in starts]), _LAST))


def principal_axes(points: Float[ndarray, "s 3"]) -> Float[ndarray, "3 3"]:
    """Principal axes as columns, right-handed, that of the largest extent first. Their senses are arbitrary."""
    centred = points - points.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    return axes * [1, 1, np.linalg.det(axes)]


def best_rotation(points: Float[ndarray, "t 3"], targets: Float[ndarray, "t 3"]) -> Float[ndarray, "3 3"]:
    """The rotation R for which ``points @ R.T`` comes nearest to the corresponding targets, both about their means.

    Kabsch 1976: never a reflection.
    """
    return _nearest_rotation((targets - targets.mean(axis=0)).T @ (points - points.mean(axis=0)))


def mean_rotation(rotations: Float[ndarray, "m 3 3"]) -> Float[ndarray, "3 3"]:
    """The rotation nearest to the mean of the matrices."""
    return _nearest_rotation(np.mean(rotations, axis=0))


def angle_between(first: Float[ndarray, "3 3"], second: Float[ndarray, "3 3"]) -> float:
    """By how many degrees two rotations differ."""
    return float(rotation_angles((first @ second.T)[None])[0])


def rotation_angles(rotations: Float[ndarray, "m 3 3"]) -> Float[ndarray, " m"]:
    """By how many degrees each rotation turns."""
    return np.degrees(np.arccos(np.clip((np.trace(rotations, axis1=-2, axis2=-1) - 1) / 2, -1, 1)))


def rotations_to_mean(points: Float[ndarray, "m t 3"], *, rounds: int = 20) -> Float[ndarray, "m 3 3"]:
    """The rotations that lay m shapes, of which the same t points are known, on their mean shape.

    Generalised Procrustes analysis (Gower 1975) without scaling; of all frames that of the shapes as they lie: the mean
    of the rotations is the identity.
    """
    centred = points - points.mean(axis=1, keepdims=True)
    rotations = np.stack([best_rotation(each, centred[0]) for each in centred])
    for _ in range(rounds):
        mean = (centred @ rotations.transpose(0, 2, 1)).mean(axis=0)
        rotations = np.stack([best_rotation(each, mean) for each in centred])
    return mean_rotation(rotations).T @ rotations


# All 24 ways to lay three axes on three axes without a reflection.
_AXIS_TURNS = np.stack(
    [
        turn
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
        if np.linalg.det(turn := np.eye(3)[list(order)] * signs) > 0
    ]
)


def _closest_points(
    sample: SurfaceSample, target: SurfaceSample, rotations: Float[ndarray, "m 3 3"], iterations: int
) -> list[Pose]:
    """Each rotation improved by so many iterations."""
    shifts = np.zeros((len(rotations), 3))
    for _ in range(iterations):
        steps = [_step(sample, target, *each) for each in zip(rotations, shifts, strict=True)]
        rotations, shifts = (np.stack(each) for each in zip(*steps, strict=True))
    return [
        Pose(rotation, _distance(_squares(sample, target, rotation, shift)))
        for rotation, shift in zip(rotations, shifts, strict=True)
    ]


def _step(
    sample: SurfaceSample, target: SurfaceSample, rotation: Float[ndarray, "3 3"], shift: Float[ndarray, " 3"]
) -> tuple[Float[ndarray, "3 3"], Float[ndarray, " 3"]]:
    squares = _squares(sample, target, rotation, shift)
    there, back = squares.argmin(axis=1), squares.argmin(axis=0)
    apart = np.concatenate([squares.min(axis=1), squares.min(axis=0)])
    weights = (1 / (1 + apart / max(float(np.median(apart)), np.finfo(float).tiny)))[:, None]
    points, targets = _joined(sample.points, target.points, there, back)
    normals, wanted = _joined(sample.normals, target.normals, there, back)
    centre, aim = ((weights * each).sum(axis=0) / weights.sum() for each in (points, targets))
    moment = (weights * (targets - aim)).T @ (points - centre) + _NORMALS**2 * (weights * wanted).T @ normals
    rotation = _nearest_rotation(moment)
    return rotation, aim - rotation @ centre


def _joined(own: ndarray, others: ndarray, there: ndarray, back: ndarray) -> tuple[ndarray, ndarray]:
    """Rows of the one shape and the rows of the other that are nearest, there and back."""
    return np.concatenate([own, own[back]]), np.concatenate([others[there], others])


def _squares(
    sample: SurfaceSample, target: SurfaceSample, rotation: Float[ndarray, "3 3"], shift: Float[ndarray, " 3"]
) -> Float[ndarray, "s t"]:
    """Squared distances of all points, and their normals, of the one shape from those of the other."""
    laid = np.hstack([sample.points @ rotation.T + shift, _NORMALS * (sample.normals @ rotation.T)])
    lying = np.hstack([target.points, _NORMALS * target.normals])
    squares = (laid**2).sum(axis=1)[:, None] + (lying**2).sum(axis=1) - 2 * laid @ lying.T
    return np.maximum(squares, 0)


def _distance(squares: Float[ndarray, "s t"]) -> float:
    return float((np.sqrt(squares.min(axis=1)).mean() + np.sqrt(squares.min(axis=0)).mean()) / 2)


def _distinct(found: list[Pose]) -> list[Pose]:
    kept: list[Pose] = []
    for pose in sorted(found, key=lambda each: each.distance):
        if all(angle_between(pose.rotation, other.rotation) > APART for other in kept):
            kept.append(pose)
    return kept


def _nearest_rotation(matrix: Float[ndarray, "3 3"]) -> Float[ndarray, "3 3"]:
    left, _, right = np.linalg.svd(matrix)
    return (left * [1, 1, np.sign(np.linalg.det(left @ right))]) @ right
