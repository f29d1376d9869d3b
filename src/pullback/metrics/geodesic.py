"""How good the point map of one pair of meshes is: geodesic errors, PCK curve, coverage, left-right flips.

A point map runs 2 → 1, so errors are distances on shape 1, in units of √area1 (Kim et al. 2011); tables print them
×100.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pullback.mapping.pointmap import coverage
from pullback.types import GeodesicRows, ShapePair

# A landmark tells left from right only if its two places are clearly apart: those on the midline lie within an edge or
# two of their mirror images (an edge is about 0.014 at 5,000 vertices), and a leg is about 0.15 wide.
FLIP_MARGIN = 0.05


@dataclass(frozen=True)
class PairScore:
    """The quality of one point map 2 → 1, on the CPU. What cannot be known without ground truth is None."""

    errors: Float[Tensor, " t"] | None  # geodesic error of each landmark, in units of √area1
    coverage: float  # share of the area of shape 1 whose vertices are hit
    flip_rate: float | None  # share of the landmarks off the midline that are sent to the wrong side

    @property
    def mean(self) -> float | None:
        return None if self.errors is None else self.errors.double().mean().item()

    @property
    def median(self) -> float | None:
        return None if self.errors is None else self.errors.double().quantile(0.5).item()


def score_pair(p2p21: Int[Tensor, " n2"], pair: ShapePair) -> PairScore:
    """Everything that is measured on one pair. Raises ValueError when the map does not fit the shapes."""
    check_point_map(p2p21, pair)
    known = pair.corr1 is not None and pair.corr2 is not None
    mirrored = find_flipped(p2p21, pair) if known and pair.corr1_flipped is not None else None
    return PairScore(
        errors=geodesic_errors(p2p21, pair).cpu() if known else None,
        coverage=float(coverage(p2p21, pair.shape1.basis.mass)),
        flip_rate=None if mirrored is None or len(mirrored) == 0 else mirrored.double().mean().item(),
    )


def check_point_map(p2p21: Int[Tensor, " n2"], pair: ShapePair) -> None:
    """Raises ValueError unless the map has a vertex of shape 1 for each vertex of shape 2."""
    n1, n2 = pair.shape1.n, pair.shape2.n
    if len(p2p21) != n2:
        raise ValueError(
            f"{pair.name}: the point map has {len(p2p21)} rows but "
            f"{pair.shape2.name} has {n2} vertices; match the pair anew"
        )
    low, high = int(p2p21.min()), int(p2p21.max())
    if low < 0 or high >= n1:
        raise ValueError(
            f"{pair.name}: the point map reaches {low}..{high} but {pair.shape1.name} has the vertices 0..{n1 - 1}"
        )


def geodesic_errors(p2p21: Int[Tensor, " n2"], pair: ShapePair) -> Float[Tensor, " t"]:
    """``dist1[corr1, p2p21[corr2]]``: how far from its true place on shape 1 each landmark is sent, in units of √area1.

    Raises ValueError for a pair without landmarks or distances.
    """
    corr1, corr2 = _landmarks(pair)
    return _distances(pair).between(corr1, p2p21[corr2])


def find_flipped(p2p21: Int[Tensor, " n2"], pair: ShapePair, *, margin: float = FLIP_MARGIN) -> Bool[Tensor, " s"]:
    """Whether each landmark is sent to the wrong side of a left-right symmetric body.

    Wrong means strictly nearer to the mirror image of the true place than to the true place, ``dist1[corr1_flipped, ·]
    < dist1[corr1, ·]``. Asked only of the s landmarks whose two places are more than ``margin`` apart (in units of
    √area1): on the midline the question has no meaning. Raises ValueError for a pair that lacks one of these.
    """
    corr1, corr2 = _landmarks(pair)
    if pair.corr1_flipped is None:
        raise ValueError(f"{pair.name}: left and right of the landmarks on {pair.shape1.name} are not known")
    dist1, image = _distances(pair), p2p21[corr2]
    decidable = dist1.between(corr1, pair.corr1_flipped) > margin
    return (dist1.between(pair.corr1_flipped, image) < dist1.between(corr1, image))[decidable]


def pck_curve(errors: Float[Tensor, " t"], thresholds: Float[Tensor, " s"]) -> Float[Tensor, " s"]:
    """Share of the errors that are at most each threshold (percentage of correct keypoints, in [0, 1])."""
    return counts_within(errors, thresholds) / len(errors)


def area_under(pck: Float[Tensor, " s"]) -> Float[Tensor, ""]:
    """Area under a PCK curve with evenly spaced thresholds, stretched to the unit interval: 1 is perfect.

    Trapezoid rule.

    The figure depends on the largest threshold, so its name must carry it: ``auc@0.10`` and ``auc@0.20`` do not
    compare.
    """
    return torch.trapezoid(pck) / (len(pck) - 1)


def counts_within(errors: Float[Tensor, " t"], thresholds: Float[Tensor, " s"]) -> Float[Tensor, " s"]:
    """How many of the errors are at most each threshold, as float64 (counts of several pairs add up)."""
    ascending = errors.double().sort().values
    return torch.searchsorted(ascending, thresholds.double(), right=True).double()


def _landmarks(pair: ShapePair) -> tuple[Int[Tensor, " t"], Int[Tensor, " t"]]:
    if pair.corr1 is None or pair.corr2 is None:
        raise ValueError(f"{pair.name}: no landmarks are known, so the map of the pair has no errors")
    return pair.corr1, pair.corr2


def _distances(pair: ShapePair) -> GeodesicRows:
    if pair.geodesics1 is None:
        raise ValueError(
            f"{pair.name}: no geodesic distances were loaded on {pair.shape1.name}; use data.geodesics=dijkstra"
        )
    return pair.geodesics1
