"""Figures over many pairs of photographs: torchmetrics classes, each updated with the `ImageScore` of one pair.

*Per image* is the mean over pairs of each pair's share of correct points, *per point* pools the points of all pairs;
errors and smoothness are means over pairs of the pairs' means. Pairs without the ground truth that a metric needs do
not enter it; if none has it, the value is NaN. A data set with subsets has two averages over them: weighted by pairs,
and unweighted (`weighted_mean`).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from pullback.metrics.heat import HEAT_METRICS, HeatMetric
from pullback.metrics.image import ImageScore


class _ImageMetric(Metric):
    """``total / count``, and the number of pairs that entered."""

    full_state_update = False
    total: Tensor
    count: Tensor
    pairs: Tensor

    def __init__(self) -> None:
        super().__init__()
        for state in ("total", "count", "pairs"):
            self.add_state(state, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def add(self, total: float | None, count: float = 1.0) -> None:
        """Enters a pair; None is no ground truth."""
        if total is not None:
            self.total += total
            self.count += count
            self.pairs += 1

    def compute(self) -> Float[Tensor, ""]:
        return self.total / self.count


class ImagePck(_ImageMetric):
    """Share of correct points at κ = ``threshold``: ``average="image"`` (mean over pairs) or ``"point"`` (pooled)."""

    higher_is_better = True

    def __init__(self, threshold: float, average: str = "image") -> None:
        super().__init__()
        if average not in ("image", "point"):
            raise ValueError(f"average={average!r} is not known; use average=image or average=point")
        self.threshold, self.average = threshold, average

    def update(self, score: ImageScore) -> None:
        points = score.points
        if points is None:
            return
        if self.average == "image":
            self.add(points.pck(self.threshold))
        else:
            self.add(points.correct(self.threshold), float(points.count))


class EndPointError(_ImageMetric):
    """Mean over pairs of the mean distance between predicted and true flow, in pixels of image 1."""

    higher_is_better = False

    def update(self, score: ImageScore) -> None:
        self.add(None if score.flow is None else score.flow.mean)


class Smoothness(_ImageMetric):
    """Mean smoothness over pairs, of the predicted flow or, with ``truth``, of the true one (pixels per pixel)."""

    higher_is_better = False

    def __init__(self, *, truth: bool = False) -> None:
        super().__init__()
        self.truth = truth

    def update(self, score: ImageScore) -> None:
        self.add(score.smoothness_truth if self.truth else score.smoothness)


class KeypointError(_ImageMetric):
    """Mean over pairs of the keypoints' mean error in pixels or, with ``squared``, of its square in pixels².

    The paper of Cheng et al. (2024) prints a "mean squared error" of 40 to 226 that only makes sense as the mean
    distance.
    """

    higher_is_better = False

    def __init__(self, *, squared: bool = False) -> None:
        super().__init__()
        self.squared = squared

    def update(self, score: ImageScore) -> None:
        if score.keypoints is not None:
            self.add(score.keypoints.mean_square if self.squared else score.keypoints.mean)


class HeatFigure(_ImageMetric):
    """Mean over pairs of a figure of the functions that they carry."""

    def __init__(self, metric: HeatMetric) -> None:
        super().__init__()
        self.metric = metric

    def update(self, score: ImageScore) -> None:
        self.add(self.metric.of(score.heats))


def image_metrics() -> dict[str, _ImageMetric]:
    """The metrics of every table of photographs, by the names they bear in ``metrics.json``; PCK as shares."""
    thresholds = (0.05, 0.10, 0.20)
    return {
        **{f"pck@{threshold:.2f}": ImagePck(threshold) for threshold in thresholds},
        **{f"pck@{threshold:.2f}_per_point": ImagePck(threshold, "point") for threshold in thresholds},
        "epe": EndPointError(),
        "smoothness": Smoothness(),
        "smoothness_truth": Smoothness(truth=True),
        "mean_keypoint_error": KeypointError(),
        "keypoint_mse": KeypointError(squared=True),
        **{each.name: HeatFigure(each) for each in HEAT_METRICS},
    }


def weighted_mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """Mean of the values that are not None; None if there is none.

    With the numbers of pairs as weights: (195 a + 81 b + 124 c) / 400.
    """
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known) if known else None
