"""What an evaluation on photographs reports, for each subset and averaged both ways, under its protocol."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch

from pullback.metrics.heat import HEAT_METRICS
from pullback.metrics.image import CURVE, ImageScore
from pullback.tasks.results import PairOutcome, Result, TableRow

Figures = dict[str, float | None]


@dataclass(frozen=True)
class ImageProtocol:
    """What must be equal before two figures may be compared, and which method they are figures of."""

    pairs: str  # which pairs, and how they were chosen, e.g. "7 of 7 pairs", "20 a category, seed 42, with replacement"
    # L of PCK is the longer side of "image1", "image2", "both" (the larger) or "box1"; see `reference_length`
    pck_reference: str
    interpolation: str  # from patches to keypoints: "nearest" or "bilinear"; dense flow is bilinear
    crop: str  # what the photographs were cropped to: "none", "box", "mask"
    mode: str  # of the solver: "closed_form", "paper", "release", or "raw" without a functional map
    solver: str  # a short line that describes it
    fusion: str  # the basis branch and that of descriptors
    seed: int
    direction: str = "2 → 1: asked on image 2, answered on image 1"
    averaging: str = (
        "pck: mean over pairs of the pair's share of points (of mask pixels with known flow, error ≤ κL; else of "
        "keypoints, error < κL); "
        "*_per_point pools the points of a subset; all else: mean over "
        "pairs; metrics: subsets weighted by their pairs; "
        "metrics_unweighted: plain mean of the subsets"
    )
    smoothness: str = (
        "over the mask pixels with known flow; with keypoints only over the box of image 2, else its "
        "mask, else all of it"
    )
    notes: str = ""  # anything else that sets the run apart

    def line(self) -> str:
        """All parts in one line; the rules that never change are under the table."""
        parts = [
            f"pairs {self.pairs}",
            f"direction {self.direction.split(':')[0]}",
            f"PCK reference {self.pck_reference}",
            f"keypoints {self.interpolation}",
            f"crop {self.crop}",
            f"solver {self.solver}" if self.solver.startswith(self.mode) else f"solver {self.mode}: {self.solver}",
            f"fusion {self.fusion}",
            f"seed {self.seed}",
            self.notes,
        ]
        return " | ".join(part for part in parts if part)


@dataclass(frozen=True)
class ImagePairResult(PairOutcome):
    """One pair of photographs: scored, perhaps with a message about its photographs, or failed with one."""

    names: ClassVar = ("subset", "pair", "image1", "image2")
    figures: ClassVar = (
        *("pck@0.05", "pck@0.10", "pck@0.20", "epe", "smoothness", "smoothness_truth", "mean_keypoint_error"),
        *("points", "excluded_pixels", "pck_length", "mirrored"),
        *(each.name for each in HEAT_METRICS),
    )

    subset: str
    pair: str
    image1: str
    image2: str
    score: ImageScore | None
    seconds: float | None = None
    message: str = ""
    mirrored: bool = False  # left and right of the object are exchanged: no smooth map without a reflection is right

    @property
    def title(self) -> str:
        return self.pair

    def values(self) -> Sequence[float | int | None]:
        score = self.score
        assert score is not None  # asked of scored pairs only
        points = score.points
        return [
            *(None if points is None else points.pck(threshold) for threshold in (0.05, 0.10, 0.20)),
            None if score.flow is None else score.flow.mean,
            score.smoothness,
            score.smoothness_truth,
            None if score.keypoints is None else score.keypoints.mean,
            None if points is None else points.count,
            score.excluded_pixels,
            None if points is None else points.length,
            int(self.mirrored),
            *(each.of(score.heats) for each in HEAT_METRICS),
        ]


@dataclass(frozen=True)
class ImageDatasetResult(Result):
    """An evaluation on a data set of photographs. PCK are shares; errors are in pixels of image 1."""

    outcome: ClassVar = ImagePairResult
    columns: ClassVar = {
        "pck@0.05": ("PCK@0.05", "{:.1%}"),
        "pck@0.10": ("PCK@0.10", "{:.1%}"),
        "pck@0.20": ("PCK@0.20", "{:.1%}"),
        "pck@0.10_per_point": ("@0.10/pt", "{:.1%}"),
        "epe": ("EPE", "{:.2f}"),
        "mean_keypoint_error": ("kp. error", "{:.2f}"),
        "smoothness": ("smoothn.", "{:.2f}"),
        "smoothness_truth": ("of truth", "{:.2f}"),
        **{each.name: (each.heading, each.form) for each in HEAT_METRICS},
    }
    legend: ClassVar = (
        "PCK: mean over pairs (per image); /pt: points of a subset pooled; EPE, keypoint error: pixels of image 1; "
        "smoothness: pixels per pixel, less is smoother, the ground truth's own beside it; "
        "KL (less is better), similarity, IoU: of functions carried from image 1 by functional map, by nearest "
        "neighbours of features, by the point map"
    )

    protocol: ImageProtocol
    pairs: Sequence[ImagePairResult] = field(default_factory=list)

    def metrics(self) -> Figures:
        """Subsets weighted by their pairs: for TSS (195 a + 81 b + 124 c) / 400."""
        return self._average(lambda part, name: part.weights[name])

    def metrics_unweighted(self) -> Figures:
        """The plain mean of the subsets' values."""
        return self._average(lambda part, name: 1.0)

    def rows(self) -> list[TableRow]:
        """Without subsets one row; else one for each, and the two averages."""
        if len(self.subsets) == 1:
            return super().rows()
        rows = [
            TableRow(f"{self.dataset}: {name}", part.pairs, part.failed, part.metrics)
            for name, part in self.subsets.items()
        ]
        for label, metrics in (("mean of pairs", self.metrics()), ("mean of subsets", self.metrics_unweighted())):
            rows.append(TableRow(f"{self.dataset}: {label}", len(self.scores), len(self.failed), metrics))
        return rows

    def details(self) -> dict[str, Any]:
        parts = self.subsets.values()
        return {
            "metrics_unweighted": self.metrics_unweighted(),
            "points": sum(part.points for part in parts),
            "excluded_pixels": sum(part.excluded_pixels for part in parts),
            "smoothness_regions": sorted({score.region for score in self.scores}),
            "subsets": {name: part.summary() for name, part in self.subsets.items()},
            "notes": self.notes(),
            "pck_curve": self.pck_curve(),
        }

    def pck_curve(self) -> dict[str, list[float]] | None:
        """``thresholds`` (shares κ of L) and ``pck`` (mean over pairs of the share of correct points), for a plot."""
        points = [score.points for score in self.scores if score.points is not None]
        if not points:
            return None
        return {
            "thresholds": list(CURVE),
            "pck": torch.stack([part.within / part.count for part in points]).mean(dim=0).tolist(),
        }

    @cached_property
    def subsets(self) -> dict[str, "Subset"]:
        """The subsets in the order of their first pairs.

        Pairs that name none are in one that bears the data set's name.
        """
        groups: dict[str, list[ImagePairResult]] = {}
        for pair in self.pairs:
            groups.setdefault(pair.subset or self.dataset, []).append(pair)
        return {name: Subset.of(pairs) for name, pairs in groups.items()}

    def _average(self, weight: Callable[["Subset", str], float]) -> Figures:
        from pullback.metrics.image_averages import image_metrics, weighted_mean  # torchmetrics is slow to import

        parts = list(self.subsets.values())
        return {
            name: weighted_mean([part.metrics[name] for part in parts], [weight(part, name) for part in parts])
            for name in image_metrics()
        }


@dataclass(frozen=True)
class Subset:
    """The pairs of a data set that are averaged together."""

    pairs: int  # that were scored
    failed: int
    points: int  # that PCK counts
    excluded_pixels: int
    metrics: Figures
    weights: dict[str, float]  # the number of pairs behind each metric

    @classmethod
    def of(cls, pairs: Sequence[ImagePairResult]) -> "Subset":
        """The figures of some pairs."""
        from pullback.metrics.averages import aggregate  # torchmetrics is slow to import
        from pullback.metrics.image_averages import image_metrics

        scores = [pair.score for pair in pairs if pair.score is not None]
        metrics = image_metrics()
        return cls(
            pairs=len(scores),
            failed=len(pairs) - len(scores),
            points=sum(score.points.count for score in scores if score.points is not None),
            excluded_pixels=sum(score.excluded_pixels or 0 for score in scores),
            metrics=aggregate(scores, metrics),
            weights={name: metric.pairs.item() for name, metric in metrics.items()},
        )

    def summary(self) -> dict[str, Any]:
        """Its entry in metrics.json."""
        return {key: value for key, value in asdict(self).items() if key != "weights"}
