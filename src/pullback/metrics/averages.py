"""Figures over many pairs of meshes: torchmetrics classes, each updated with the `PairScore` of one pair.

Two averages circulate and differ wherever pairs have different numbers of landmarks: *macro* is the mean over pairs of
the pairs' means, *micro* the mean over the landmarks of all pairs together. Medians, PCK and AUC pool the landmarks;
coverage and flips are means over pairs. Pairs without the ground truth that a metric needs do not enter it; if none has
it, the value is NaN.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from pullback.metrics.geodesic import PairScore, area_under, counts_within


class GeodesicError(Metric):
    """Mean geodesic error: ``average="macro"`` (mean of the pairs' means) or ``"micro"`` (all landmarks pooled)."""

    higher_is_better = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, average: str = "macro", *, scale: float = 1.0) -> None:
        super().__init__()
        if average not in ("macro", "micro"):
            raise ValueError(f"average={average!r} is not known; use average=macro or average=micro")
        self.average, self.scale = average, scale
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, score: PairScore) -> None:
        if score.errors is None:
            return
        errors = score.errors.double()
        self.total += (errors.mean() if self.average == "macro" else errors.sum()).to(self.total.device)
        self.count += 1 if self.average == "macro" else len(errors)

    def compute(self) -> Float[Tensor, ""]:
        return self.scale * self.total / self.count


class GeodesicQuantile(Metric):
    """The error that a ``share`` of the landmarks of all pairs together stay below."""

    higher_is_better = False
    full_state_update = False
    errors: list[Tensor] | Tensor  # a tensor after a gather over ranks

    def __init__(self, share: float, *, scale: float = 1.0) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ValueError(f"share={share} is not a share; give a number from 0 to 1, as 0.9")
        self.share, self.scale = share, scale
        self.add_state("errors", [], dist_reduce_fx="cat")

    def update(self, score: PairScore) -> None:
        if score.errors is not None and isinstance(self.errors, list):
            self.errors.append(score.errors.to(self.device))

    def compute(self) -> Float[Tensor, ""]:
        if len(self.errors) == 0:
            return torch.tensor(torch.nan, dtype=torch.float64)
        errors = torch.cat(self.errors) if isinstance(self.errors, list) else self.errors
        # torch.quantile refuses more than 16 million values, and the benchmarks have that many; numpy's rule, by hand
        ascending = errors.double().sort().values
        place = self.share * (len(ascending) - 1)
        low, high = ascending[math.floor(place)], ascending[math.ceil(place)]
        return self.scale * torch.lerp(low, high, place % 1)


class MedianGeodesicError(GeodesicQuantile):
    """Median over the landmarks of all pairs together."""

    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__(0.5, scale=scale)


class _Pck(Metric):
    """The PCK curve of the landmarks of all pairs together, kept as one count for each threshold."""

    higher_is_better = True
    full_state_update = False
    thresholds: Tensor
    within: Tensor
    count: Tensor

    def __init__(self, thresholds: list[float]) -> None:
        super().__init__()
        self.register_buffer("thresholds", torch.tensor(thresholds, dtype=torch.float64), persistent=False)
        self.add_state("within", torch.zeros(len(thresholds), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, score: PairScore) -> None:
        if score.errors is not None:
            self.within += counts_within(score.errors.to(self.within.device), self.thresholds)
            self.count += len(score.errors)

    def curve(self) -> Float[Tensor, " s"]:
        return self.within / self.count


class GeodesicPck(_Pck):
    """Share of the landmarks of all pairs with an error of at most ``threshold`` (units of √area)."""

    def __init__(self, threshold: float) -> None:
        super().__init__([threshold])

    def compute(self) -> Float[Tensor, ""]:
        return self.curve()[0]


class GeodesicAuc(_Pck):
    """Area under the PCK curve at ``steps`` thresholds from 0 to ``largest``, as a share of the best possible."""

    def __init__(self, largest: float, *, steps: int = 40) -> None:
        super().__init__(torch.linspace(0, largest, steps, dtype=torch.float64).tolist())

    def compute(self) -> Float[Tensor, ""]:
        return area_under(self.curve())


class _MeanOverPairs(Metric):
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def add(self, value: float | None) -> None:
        if value is not None:
            self.total += value
            self.count += 1

    def compute(self) -> Float[Tensor, ""]:
        return self.total / self.count


class Coverage(_MeanOverPairs):
    """Mean over pairs of the share of the area of shape 1 whose vertices are hit."""

    higher_is_better = True

    def update(self, score: PairScore) -> None:
        self.add(score.coverage)


class FlipRate(_MeanOverPairs):
    """Mean over pairs, where mirrored landmarks are known, of the share of landmarks sent to the wrong side."""

    higher_is_better = False

    def update(self, score: PairScore) -> None:
        self.add(score.flip_rate)


def standard_metrics() -> dict[str, Metric]:
    """The metrics of every table, by the names they bear in ``metrics.json``."""
    return {
        "geodesic_error_x100": GeodesicError("macro", scale=100.0),
        "geodesic_error_micro_x100": GeodesicError("micro", scale=100.0),
        "geodesic_error_median_x100": MedianGeodesicError(scale=100.0),
        "auc@0.10": GeodesicAuc(0.10),
        "auc@0.20": GeodesicAuc(0.20),
        "pck@0.05": GeodesicPck(0.05),
        "pck@0.10": GeodesicPck(0.10),
        "coverage": Coverage(),
        "flip_rate": FlipRate(),
    }


def _alone() -> bool:
    """No other process has scores: whoever asks has those of all pairs, and others may not be asking."""
    return False


def aggregate(scores: Iterable[Any], metrics: Mapping[str, Metric]) -> dict[str, float | None]:
    """The value of each metric over the scores of pairs, of the kind that the metrics take.

    None where no pair has the ground truth.
    """
    for metric in metrics.values():
        metric.reset()
        metric.distributed_available_fn = _alone
    for score in scores:
        for metric in metrics.values():
            metric.update(score)
    values = {name: metric.compute().item() if metric.update_called else torch.nan for name, metric in metrics.items()}
    return {name: None if value != value else value for name, value in values.items()}
