"""What an evaluation on meshes reports: geodesic errors of point maps, under their protocol."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch

from pullback.metrics.geodesic import PairScore, pck_curve
from pullback.tasks.results import PairOutcome, Result, TableRow


@dataclass(frozen=True)
class EvalProtocol:
    """What must be equal before two figures may be compared: papers on the same data sets differ in each of these."""

    # "unordered" (i < j), "ordered" (i ≠ j), "ordered_self" (with self-pairs, about 5 % optimistic), "listed"
    pairs: str
    geodesics: str  # method of the distances on shape 1, "none" without ground truth
    refinement: str  # what follows the network at test time, e.g. "DiffZoomOut 30 → 130 by 10", "none"
    # rule that chose the weights, e.g. "best on held-out training shapes", "last", "none (no training)"
    checkpoint: str
    fine_tuning: str = "off"  # of the weights to each test pair, e.g. "15 Adam steps a pair, lr 0.001, on consistency"
    averaging: str = "macro: mean over pairs of the pairs' means; *_micro, median, pck and auc pool all landmarks"
    notes: str = ""  # anything else that sets the run apart, e.g. a warm-up by another branch

    def line(self) -> str:
        """All parts in one line."""
        parts = [
            f"pairs {self.pairs}",
            f"geodesics {self.geodesics}",
            f"averaging {self.averaging.split(':')[0]}",
            f"refinement {self.refinement}",
            f"fine-tuning {self.fine_tuning}",
            f"checkpoint {self.checkpoint}",
            self.notes,
        ]
        return " | ".join(part for part in parts if part)


@dataclass(frozen=True)
class PairResult(PairOutcome):
    """One pair of meshes: scored, or failed with a message."""

    names: ClassVar = ("shape1", "shape2")
    figures: ClassVar = ("geodesic_error_x100", "geodesic_error_median_x100", "coverage", "flip_rate")

    shape1: str
    shape2: str
    score: PairScore | None
    seconds: float | None = None
    message: str = ""

    @property
    def title(self) -> str:
        return f"{self.shape1} – {self.shape2}"

    def values(self) -> Sequence[float | int | None]:
        score = self.score
        assert score is not None  # asked of scored pairs only
        return [_times_100(score.mean), _times_100(score.median), score.coverage, score.flip_rate]


@dataclass(frozen=True)
class DatasetResult(Result):
    """An evaluation on a data set of meshes."""

    outcome: ClassVar = PairResult
    columns: ClassVar = {
        "geodesic_error_x100": ("error ×100", "{:.2f}"),
        "geodesic_error_micro_x100": ("micro", "{:.2f}"),
        "geodesic_error_median_x100": ("median", "{:.2f}"),
        "auc@0.10": ("AUC@0.10", "{:.3f}"),
        "pck@0.10": ("PCK@0.10", "{:.3f}"),
        "coverage": ("coverage", "{:.3f}"),
        "flip_rate": ("flips", "{:.3f}"),
    }
    legend: ClassVar = (
        "errors: geodesic, in units of √area of shape 1; micro, median, AUC and PCK pool the landmarks of all pairs"
    )

    protocol: EvalProtocol
    pairs: Sequence[PairResult] = field(default_factory=list)
    parts_of: Callable[[str, str], Sequence[str]] | None = None  # as ``MeshDataset.parts_of``; None: no parts

    def metrics(self) -> dict[str, float | None]:
        from pullback.metrics.averages import aggregate, standard_metrics  # torchmetrics is slow to import

        return aggregate(self.scores, {**standard_metrics(), **self.further})

    def rows(self) -> list[TableRow]:
        parts = self.parts().items()
        return super().rows() + [
            TableRow(f"{self.dataset}: {name}", len(part.scores), len(part.failed), part.metrics())
            for name, part in parts
        ]

    def parts(self) -> dict[str, "DatasetResult"]:
        """The results on each part of the data set that is not the whole, by its name."""
        found: dict[str, list[PairResult]] = {}
        parts_of = self.parts_of or (lambda shape1, shape2: ())
        for pair in self.pairs:
            for name in parts_of(pair.shape1, pair.shape2):
                found.setdefault(name, []).append(pair)
        return {
            name: replace(self, pairs=pairs, parts_of=None)
            for name, pairs in sorted(found.items())
            if len(pairs) < len(self.pairs)
        }

    def details(self) -> dict[str, Any]:
        parts = {
            name: {"pairs": len(part.scores), "failed": len(part.failed), "metrics": part.metrics()}
            for name, part in self.parts().items()
        }
        return {"pck_curve": self.pck_curve()} | ({"parts": parts} if parts else {})

    def pck_curve(self) -> dict[str, list[float]] | None:
        """``thresholds`` (units of √area) and ``pck`` (share of the landmarks of all pairs within each), for a plot."""
        errors = [score.errors for score in self.scores if score.errors is not None]
        if not errors:
            return None
        thresholds = torch.linspace(0, 0.20, 81, dtype=torch.float64)
        return {"thresholds": thresholds.tolist(), "pck": pck_curve(torch.cat(errors), thresholds).tolist()}


def _times_100(value: float | None) -> float | None:
    return None if value is None else 100 * value
