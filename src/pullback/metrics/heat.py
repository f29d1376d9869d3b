"""How well functions on a photograph, such as affordances, arrive on another one: against those that are known there.

The measures are those of saliency maps (Bylinskii et al., "What do different evaluation metrics tell us about saliency
models?", 2018) and the overlap of the hot regions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

WAYS = ("functional map", "nearest neighbours", "point map")  # in which functions are carried
_HOT = 0.5  # of the largest value: what is above belongs to the hot region
_SMALL = 2.2e-16  # keeps the logarithm finite, as in the benchmark's own code


@dataclass(frozen=True)
class HeatScore:
    """One carried function against the true one, or the means of several."""

    kl: float  # Kullback-Leibler divergence Σ t log(t / p) of the true function t, both of sum 1; 0 is best
    similarity: float  # Σ min(t, p), both of sum 1; 1 is best
    iou: float  # overlap of the regions above half of each function's largest value; 1 is best

    @classmethod
    def mean(cls, scores: Sequence["HeatScore"]) -> "HeatScore":
        """The means of the figures. Raises ZeroDivisionError for an empty list."""
        return cls(
            **{each.name: sum(getattr(score, each.name) for score in scores) / len(scores) for each in fields(cls)}
        )


MEASURES = tuple(each.name for each in fields(HeatScore))


@dataclass(frozen=True)
class HeatMetric:
    """A measure of a way of carrying functions, and what it is called in ``metrics.json`` and over a column."""

    measure: str
    way: str
    name: str  # heat_iou_functional_map
    heading: str  # IoU fmap

    def of(self, heats: Mapping[str, HeatScore]) -> float | None:
        """Its value, where the way is among these."""
        return getattr(heats[self.way], self.measure) if self.way in heats else None

    @property
    def form(self) -> str:
        return "{:.2f}" if self.measure == "kl" else "{:.3f}"


_SHORT = {
    **{"kl": "KL", "similarity": "sim.", "iou": "IoU"},
    **{"functional map": "fmap", "nearest neighbours": "NN", "point map": "points"},
}
HEAT_METRICS = tuple(
    HeatMetric(measure, way, f"heat_{measure}_{way.replace(' ', '_')}", f"{_SHORT[measure]} {_SHORT[way]}")
    for measure in MEASURES
    for way in WAYS
)


def score_heat(predicted: Float[Tensor, "h w"], truth: Float[Tensor, "H W"]) -> HeatScore:
    """The figures of one function. Negative values of the predicted one count as 0; a scale of either changes nothing.

    A predicted function that is 0 everywhere has the divergence of a uniform one, and neither similarity nor overlap.
    Raises ValueError for sizes that differ, values that are not finite, and a true function that is negative somewhere
    or 0 everywhere.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"the carried function has {tuple(predicted.shape)} pixels and the true {tuple(truth.shape)}")
    predicted, truth = predicted.double().clamp_min(0), truth.double()
    if not (predicted.isfinite().all() and truth.isfinite().all()) or truth.min() < 0 or truth.max() == 0:
        raise ValueError("a function must be finite, and the true one not negative and not 0 everywhere")
    t = truth / truth.sum()
    if predicted.max() == 0:
        return HeatScore(_divergence(t, torch.full_like(t, 1 / t.numel())), 0.0, 0.0)
    p = predicted / predicted.sum()
    hot_p, hot_t = (values > _HOT * values.max() for values in (p, t))
    overlap = (hot_p & hot_t).sum() / (hot_p | hot_t).sum()
    return HeatScore(_divergence(t, p), float(torch.minimum(t, p).sum()), float(overlap))


def _divergence(t: Float[Tensor, "H W"], p: Float[Tensor, "H W"]) -> float:
    return float((t * torch.log(_SMALL + t / (p + _SMALL))).sum())
