"""What a run leaves for people and programs to read: ``metrics.json`` and ``pairs.csv``.

A figure means little without its protocol, so the two are never written apart.
"""

import csv
import io
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from pullback.files import write_atomically
from pullback.metrics import PairScore, aggregate, standard_metrics
from pullback.metrics.geodesic import pck_curve
from pullback.tasks.provenance import run_facts

METRICS_FILE = "metrics.json"
PAIRS_FILE = "pairs.csv"
_TEXTS = ("dataset", "split", "shape1", "shape2", "status", "message")
_NUMBERS = ("geodesic_error_x100", "geodesic_error_median_x100", "coverage", "flip_rate", "seconds")


class FailedPairs(RuntimeError):
    """Some pairs could not be matched or scored; the figures of the run are those of the others."""


@dataclass(frozen=True)
class EvalProtocol:
    """What must be equal before two figures may be compared: papers on the same data sets differ in each of these."""

    pairs: str  # "unordered" (i < j), "ordered" (i ≠ j), "ordered_self" (with self-pairs, about 5 % optimistic), "listed"
    geodesics: str  # method of the distances on shape 1, "none" without ground truth
    refinement: str  # what follows the network at test time, e.g. "DiffZoomOut 30 → 130 by 10", "none"
    checkpoint: str  # rule that chose the weights, e.g. "best on held-out training shapes", "last", "none (no training)"
    averaging: str = "macro: mean over pairs of the pairs' means; *_micro, median, pck and auc pool all landmarks"
    notes: str = ""  # anything else that sets the run apart, e.g. a warm-up by another branch


@dataclass(frozen=True)
class PairResult:
    """One pair of an evaluation: scored, or failed with a message."""

    shape1: str
    shape2: str
    score: PairScore | None
    seconds: float | None = None  # time to match the pair, without loading and scoring
    message: str = ""

    @property
    def status(self) -> str:
        return "failed" if self.score is None else "ok"


@dataclass(frozen=True)
class DatasetResult:
    """An evaluation on one data set. The figures are those of the pairs that did not fail."""

    dataset: str
    split: str
    protocol: EvalProtocol
    pairs: Sequence[PairResult] = field(default_factory=list)

    @property
    def scores(self) -> list[PairScore]:
        return [pair.score for pair in self.pairs if pair.score is not None]

    @property
    def failed(self) -> list[PairResult]:
        return [pair for pair in self.pairs if pair.score is None]

    def metrics(self) -> dict[str, float | None]:
        """The standard metrics by name; None where the ground truth is missing."""
        return aggregate(self.scores, standard_metrics())

    def summary(self) -> dict[str, Any]:
        """The entry of ``results`` in metrics.json."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "pairs": len(self.scores),
            "failed": len(self.failed),
            "protocol": asdict(self.protocol),
            "metrics": self.metrics(),
            "pck_curve": self.pck_curve(),
        }

    def pck_curve(self) -> dict[str, list[float]] | None:
        """``thresholds`` (units of √area) and ``pck`` (share of the landmarks of all pairs within each), for a plot."""
        errors = [score.errors for score in self.scores if score.errors is not None]
        if not errors:
            return None
        thresholds = torch.linspace(0, 0.20, 81, dtype=torch.float64)
        return {"thresholds": thresholds.tolist(), "pck": pck_curve(torch.cat(errors), thresholds).tolist()}


def write_results(
    directory: str | Path,
    results: Sequence[DatasetResult],
    *,
    started: float,
    config_fingerprint: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Writes ``metrics.json`` and ``pairs.csv``; returns the path of the first.

    ``started`` is the ``time.time()`` at which the run began; ``facts`` are further entries of metrics.json (training steps, path of the
    checkpoint, …). Pairs that failed are written like the others: call `check_complete` when everything is on disk.
    """
    directory = Path(directory)
    content = {
        **run_facts(),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 3),
        "config_fingerprint": config_fingerprint,
        **(facts or {}),
        "results": [result.summary() for result in results],
        "failed_pairs": [
            {"dataset": result.dataset, "shape1": pair.shape1, "shape2": pair.shape2, "message": pair.message}
            for result in results
            for pair in result.failed
        ],
    }
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(directory / PAIRS_FILE, lambda file: file.write(_pairs_csv(results).encode()))
    write_atomically(directory / METRICS_FILE, lambda file: file.write(text.encode()))
    return directory / METRICS_FILE


def load_results(directory: str | Path) -> dict[str, Any]:
    """The content of metrics.json, with the rows of pairs.csv (numbers as numbers, blanks as None) under ``pair_rows``.

    Raises FileNotFoundError when the folder holds no finished run.
    """
    path = Path(directory) / METRICS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: the run there did not finish its evaluation, or the folder is not a run's")
    content = json.loads(path.read_text(encoding="utf-8"))
    with open(path.with_name(PAIRS_FILE), newline="", encoding="utf-8") as file:
        content["pair_rows"] = [{key: _parsed(key, value) for key, value in row.items()} for row in csv.DictReader(file)]
    return content


def check_complete(results: Sequence[DatasetResult]) -> None:
    """Raises FailedPairs when a pair failed. To be called last, so that a failure costs no other pair its result."""
    failed = [(result.dataset, pair) for result in results for pair in result.failed]
    if failed:
        total = sum(len(result.pairs) for result in results)
        lines = [f"  {dataset}: {pair.shape1} – {pair.shape2}: {pair.message}" for dataset, pair in failed[:10]]
        more = [f"  … and {len(failed) - 10} more, see {PAIRS_FILE}"] if len(failed) > 10 else []
        raise FailedPairs(f"{len(failed)} of {total} pairs failed and are in none of the figures:\n" + "\n".join(lines + more))


def _pairs_csv(results: Sequence[DatasetResult]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_TEXTS[:4], *_NUMBERS, *_TEXTS[4:]], lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerows(_pair_row(result, pair) for pair in result.pairs)
    return text.getvalue()


def _pair_row(result: DatasetResult, pair: PairResult) -> dict[str, Any]:
    texts = (result.dataset, result.split, pair.shape1, pair.shape2, pair.status, pair.message)
    score = pair.score
    numbers = [None] * 4 if score is None else [_times_100(score.mean), _times_100(score.median), score.coverage, score.flip_rate]
    cells = ["" if value is None else f"{value:.6g}" for value in (*numbers, pair.seconds)]
    return dict(zip(_TEXTS, texts, strict=True)) | dict(zip(_NUMBERS, cells, strict=True))


def _times_100(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _parsed(column: str, text: str) -> str | float | None:
    if column in _TEXTS:
        return text
    return float(text) if text else None


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: both become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(below) for below in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
