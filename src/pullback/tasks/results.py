"""What a run leaves to be read: ``metrics.json`` and ``pairs.csv``, for meshes and photographs alike.

A figure means little without its protocol, so the two are never written apart. What one kind of data reports is in the
classes of `mesh_results` and `image_results`.
"""

import csv
import io
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pullback.errors import UserError
from pullback.files import read_json, read_text
from pullback.sheets import guarded, unguarded
from pullback.tasks.provenance import run_facts
from pullback.writing import write_atomically

METRICS_FILE = "metrics.json"
PAIRS_FILE = "pairs.csv"
# other columns are numbers
_WORDS = {"dataset", "split", "subset", "pair", "shape1", "shape2", "image1", "image2", "status", "message"}


class FailedPairs(UserError, RuntimeError):
    """Some pairs could not be matched or scored; the figures of the run are those of the others."""


class ResultsError(UserError, ValueError):
    """A results file that no evaluation wrote, or that is damaged. The message names it."""


class PairOutcome(ABC):
    """One pair of an evaluation: scored, or failed with a message."""

    names: ClassVar[tuple[str, ...]]  # the fields that tell which pair it is: columns of pairs.csv
    figures: ClassVar[tuple[str, ...]]  # the columns of numbers, without ``seconds``

    score: Any  # None for a pair that failed
    seconds: float | None  # time to match the pair, without loading and scoring
    message: str

    @property
    def status(self) -> str:
        return "failed" if self.score is None else "ok"

    @property
    @abstractmethod
    def title(self) -> str:
        """The pair in words."""

    @abstractmethod
    def values(self) -> Sequence[float | int | None]:
        """The figures of a scored pair; None where the ground truth is missing."""


class TableRow(NamedTuple):
    """A row of the table on the terminal: the figures of a data set or of a part of it."""

    label: str
    pairs: int
    failed: int
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class Result(ABC):
    """An evaluation on one data set. The figures are those of the pairs that did not fail."""

    outcome: ClassVar[type[PairOutcome]]  # the class of ``pairs``
    # The table on the terminal: metric → (heading, format). What no row knows is left out.
    columns: ClassVar[Mapping[str, tuple[str, str]]]
    legend: ClassVar[str]  # the line under that table

    dataset: str
    split: str
    # a dataclass: what must be equal before two figures may be compared; ``line()`` puts it into one line
    protocol: Any
    pairs: Sequence[Any] = field(default_factory=list)
    further: Mapping[str, Any] = field(default_factory=dict)  # metrics beside the standard ones, by name

    @property
    def scores(self) -> list[Any]:
        return [pair.score for pair in self.pairs if pair.score is not None]

    @property
    def failed(self) -> list[Any]:
        return [pair for pair in self.pairs if pair.score is None]

    @abstractmethod
    def metrics(self) -> dict[str, float | None]:
        """The standard metrics by name; None where the ground truth is missing."""

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """What stands beside the metrics in metrics.json."""

    def notes(self) -> dict[str, str]:
        """By pair: what is to be known of pairs that were scored, such as that there is nothing on a photograph."""
        return {pair.title: pair.message for pair in self.pairs if pair.score is not None and pair.message}

    def rows(self) -> list[TableRow]:
        """The rows of the table on the terminal."""
        return [TableRow(f"{self.dataset} ({self.split})", len(self.scores), len(self.failed), self.metrics())]

    def summary(self) -> dict[str, Any]:
        """The entry of ``results`` in metrics.json."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "pairs": len(self.scores),
            "failed": len(self.failed),
            "protocol": asdict(self.protocol),
            "metrics": self.metrics(),
            **self.details(),
        }


def write_results(
    directory: str | Path,
    results: Sequence[Result],
    *,
    started: float,
    config_fingerprint: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Writes ``metrics.json`` and ``pairs.csv``; returns the path of the first.

    ``started`` is the ``time.time()`` at which the run began; ``facts`` are further entries of metrics.json (training
    steps, path of the checkpoint, …). Pairs that failed are written like the others: call `check_complete` when
    everything is on disk.
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
            {"dataset": result.dataset, **_names(pair), "message": pair.message}
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
        raise FileNotFoundError(
            f"{path} does not exist: the run there did not finish its evaluation, or the folder is not a run's"
        )
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("results"), list):
        raise ResultsError(
            f"{path}: has no list of results. An evaluation of this package did not write it: run it anew"
        )
    return {**content, "pair_rows": _read_rows(path.with_name(PAIRS_FILE))}


def _read_rows(path: Path) -> list[dict[str, Any]]:
    rows, found = csv.DictReader(io.StringIO(read_text(path, what="table of pairs")), restval=""), []
    try:
        for row in rows:
            if None in row:
                raise ValueError("more cells than columns")
            found.append({key: _parsed(key, value) for key, value in row.items()})
        return found
    except (csv.Error, ValueError, TypeError) as error:
        raise ResultsError(f"{path}, line {rows.line_num}: cannot be read ({error}). Run the evaluation anew") from None


def check_complete(results: Sequence[Result]) -> None:
    """Raises FailedPairs when a pair failed. To be called last, so that a failure costs no other pair its result."""
    failed = [(result.dataset, pair) for result in results for pair in result.failed]
    if failed:
        total = sum(len(result.pairs) for result in results)
        lines = [f"  {dataset}: {pair.title}: {pair.message}" for dataset, pair in failed[:10]]
        more = [f"  … and {len(failed) - 10} more, see {PAIRS_FILE}"] if len(failed) > 10 else []
        raise FailedPairs(
            f"{len(failed)} of {total} pairs failed and are in none of the figures:\n" + "\n".join(lines + more)
        )


def _pairs_csv(results: Sequence[Result]) -> str:
    names = dict.fromkeys(name for result in results for name in result.outcome.names)
    figures = dict.fromkeys(name for result in results for name in result.outcome.figures)
    text = io.StringIO()
    writer = csv.DictWriter(
        text, ["dataset", "split", *names, *figures, "seconds", "status", "message"], lineterminator="\n"
    )
    writer.writeheader()
    for result in results:
        writer.writerows(_pair_row(result, pair) for pair in result.pairs)
    return text.getvalue()


def _pair_row(result: Result, pair: PairOutcome) -> dict[str, str]:
    words = {
        "dataset": result.dataset,
        "split": result.split,
        **_names(pair),
        "status": pair.status,
        "message": pair.message,
    }
    words = {name: guarded(word) for name, word in words.items()}
    numbers = {} if pair.score is None else dict(zip(pair.figures, pair.values(), strict=True))
    return words | {name: _cell(value) for name, value in {**numbers, "seconds": pair.seconds}.items()}


def _cell(value: float | int | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _names(pair: PairOutcome) -> dict[str, str]:
    return {name: getattr(pair, name) for name in pair.names}


def _parsed(column: str, text: str) -> str | float | None:
    if column in _WORDS:
        return unguarded(text)
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
