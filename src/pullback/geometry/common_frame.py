"""One frame for shapes that lie in frames of their own: each is turned as most of a few references would have it.

No correspondence is known, and none is sought: shapes of one kind look alike from afar, and where one reference is
mistaken the others are not.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pullback.geometry.rigid import Pose, SurfaceSample, angle_between, mean_rotation, poses, principal_axes

_AGREE = 45.0  # degrees: rotations that differ by less speak for each other
_ROUNDS = 4  # of the references among each other
_SAME = 1e-3  # mean distance of the points of a shape from those of itself, in units of √area
_ABSENT = 0.1  # what a pose costs that a reference does not know, beyond the worst that it does


class Placement(NamedTuple):
    """How a shape is turned into the frame."""

    rotation: Float[ndarray, "3 3"]  # points @ rotation.T lie in the frame
    # how much worse the best other pose fits, as a ratio of distances; about 1 where a shape fits in two ways
    margin: float


class CommonFrame:
    """The frame of a few references; ``samples`` are these, turned into it."""

    def __init__(self, samples: Sequence[SurfaceSample]):
        self.samples = list(samples)

    @classmethod
    def of(cls, samples: Sequence[SurfaceSample]) -> "CommonFrame":
        """The frame in which references that lie in any way agree.

        Its third axis is the longest of all of them together, its second the next, each in the sense in which they
        stick out the farthest (third moment). Raises ValueError for less than two.
        """
        if len(samples) < 2:
            raise ValueError(f"{len(samples)} shape makes no common frame; give at least two")
        laid = {
            (i, j): poses(samples[i], samples[j]) for i in range(len(samples)) for j in range(len(samples)) if i != j
        }
        rotations = _agreed(laid, len(samples))
        turned = [sample.turned(rotation) for sample, rotation in zip(samples, rotations, strict=True)]
        axes = _own_axes(np.concatenate([sample.points - sample.points.mean(axis=0) for sample in turned]))
        return cls([sample.turned(axes) for sample in turned])

    def place(self, sample: SurfaceSample) -> Placement:
        """How a shape is turned into the frame. A reference that is the shape itself has no vote."""
        opinions = [poses(sample, reference) for reference in self.samples]
        others = [known for known in opinions if known[0].distance > _SAME]
        return _vote(others or opinions)


def _agreed(laid: dict[tuple[int, int], list[Pose]], count: int) -> list[Float[ndarray, "3 3"]]:
    """Rotations of the references to the one that is most like all others, improved by what each says of each."""
    others = [[j for j in range(count) if j != i] for i in range(count)]
    central = min(range(count), key=lambda j: sum(laid[i, j][0].distance for i in others[j]))
    frame = [np.eye(3) if i == central else laid[i, central][0].rotation for i in range(count)]
    for _ in range(_ROUNDS):
        frame = [
            _vote([[Pose(frame[j] @ pose.rotation, pose.distance) for pose in laid[i, j]] for j in others[i]]).rotation
            for i in range(count)
        ]
    return frame


def _vote(opinions: Sequence[Sequence[Pose]]) -> Placement:
    """The pose that fits best on all references together: the mean of what those say that know it."""
    proposed = [pose.rotation for known in opinions for pose in known]
    costs = [np.mean([_cost(known, rotation) for known in opinions]) for rotation in proposed]
    best = int(np.argmin(costs))
    others = [
        cost for cost, rotation in zip(costs, proposed, strict=True) if angle_between(rotation, proposed[best]) > _AGREE
    ]
    agreeing = [near.rotation for known in opinions if (near := _nearest(known, proposed[best])) is not None]
    return Placement(mean_rotation(np.stack(agreeing)), float(min(others, default=np.inf) / costs[best]))


def _cost(known: Sequence[Pose], rotation: Float[ndarray, "3 3"]) -> float:
    """How a rotation fits on one reference, in units of its best pose."""
    near = _nearest(known, rotation)
    return known[-1].distance / known[0].distance + _ABSENT if near is None else near.distance / known[0].distance


def _nearest(known: Sequence[Pose], rotation: Float[ndarray, "3 3"]) -> Pose | None:
    """The best pose that agrees with a rotation."""
    return next((pose for pose in known if angle_between(pose.rotation, rotation) < _AGREE), None)


def _own_axes(points: Float[ndarray, "s 3"]) -> Float[ndarray, "3 3"]:
    """The rotation to the principal axes: the longest becomes the third axis, the next the second."""
    axes = principal_axes(points)
    senses = np.where(((points @ axes[:, :2]) ** 3).mean(axis=0) < 0, -1.0, 1.0)
    longest, next_one = axes[:, 0] * senses[0], axes[:, 1] * senses[1]
    return np.stack([np.cross(next_one, longest), next_one, longest])
