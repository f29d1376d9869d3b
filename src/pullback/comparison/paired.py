"""Paired comparison of two runs over the same pairs, from the pairs.csv that each left.

    pullback paired RUN_A RUN_B [--metric geodesic_error_x100] [--tie 0.1] [--json]
    pullback paired FOLDER_OF_RUNS               or three runs and more: on each data set every run against the first

For each data set of both: the mean difference B - A with bootstrap intervals, Wilcoxon's signed-rank test, and in how
many pairs B is better, as good (within --tie), or worse. Refused where the pairs or the protocols differ in more than
the method.

Pairs that share a shape are not independent. The interval over pairs and the test take them as if they were, and are
too sure; the interval over shapes draws shapes, and weights a pair by how often each of its two was drawn (Owen 2007):
it errs to the wide side.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from pullback.comparison.bootstrap import Interval, bootstrap_over_pairs, bootstrap_over_shapes
from pullback.comparison.compare import METHOD
from pullback.comparison.markup import markdown
from pullback.comparison.records import Record, all_records, labels, records_of, run_folders
from pullback.comparison.run_files import RunError, read_pairs
from pullback.runtime.doorway import telling

_NAMES = ("subset", "pair", "shape1", "shape2", "image1", "image2")  # columns that say which pair it is
_ENDS = (("shape1", "shape2"), ("image1", "image2"))
# the first that both runs have, unless one is named
_METRICS = ("geodesic_error_x100", "pck@0.10", "epe", "mean_keypoint_error")
_HIGHER = ("pck@", "auc@", "coverage")  # these are better when they are higher, all others when they are lower

HEADS = (
    *("data set", "metric", "A", "B", "B - A", "95 % over pairs", "over shapes", "Wilcoxon p"),
    *("pairs", "better", "ties", "worse"),
)

Pair = tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two runs over the same pairs of a data set; differences are B - A."""

    dataset: str
    metric: str
    pairs: int
    mean_a: float
    mean_b: float
    difference: float
    over_pairs: Interval  # 95 % bootstrap intervals of the difference
    over_shapes: Interval | None  # None for fewer than three shapes
    p_value: float  # Wilcoxon signed rank, two-sided; 1 where no pair differs
    better: int  # pairs in which B is better
    ties: int
    worse: int
    left_out: int  # pairs that failed, or have no figure, in either run


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(
        "pullback paired", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--metric", help="a column of pairs.csv")
    parser.add_argument("--tie", type=float, default=0.0, help="differences up to this are ties (default: 0)")
    parser.add_argument("--resamples", type=int, default=10_000, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    options = parser.parse_args(arguments)
    how = {"metric": options.metric, "tie": options.tie, "resamples": options.resamples, "seed": options.seed}
    with telling():
        if len(options.folders) != 2:
            _tell_many(options.folders, how, as_json=options.json)
            return
        a, b = options.folders
        found = compare(a, b, **how)
        if options.json:
            print(json.dumps([asdict(comparison) for comparison in found], indent=2))
            return
        print(f"A: {a}\nB: {b}\n")
        print(markdown(HEADS, [cells_of(comparison) for comparison in found], words=2))
        for comparison in found:
            print(f"\n{in_words(comparison)}")


def _tell_many(folders: Sequence[Path], how: Mapping[str, Any], *, as_json: bool) -> None:
    found, left_out = against_first(all_records(folders), **how)
    if not found:
        raise RunError("; ".join(left_out) or "no two of the runs share a data set: there is nothing to compare")
    if as_json:
        print(json.dumps([{"a": a, "b": b, **asdict(compared)} for a, b, compared in found], indent=2))
        return
    body = [[f"{a} → {b}", *cells_of(compared)] for a, b, compared in found]
    print(markdown(["A → B", *HEADS], body, words=3))
    for line in left_out:
        print(f"\nleft out: {line}")


def against_first(
    records: Sequence[Record], *, metric: str | None = None, tie: float = 0.0, resamples: int = 10_000, seed: int = 0
) -> tuple[list[tuple[str, str, Comparison]], list[str]]:
    """``(A, B, comparison)`` for each record B after the first A on its data set, and why others are left out.

    A record of which nothing can be compared (another protocol, other pairs) costs the others nothing.
    """
    first: dict[str, Record] = {}
    found, left_out = [], []
    for record in records:
        other = first.setdefault(record.dataset, record)
        if other is record:
            continue
        try:
            compared = compare_records(other, record, metric=metric, tie=tie, resamples=resamples, seed=seed)
        except RunError as error:
            left_out.append(f"{record.label} against {other.label}: {error}")
            continue
        found.append((other.label, record.label, compared))
    return found, left_out


def compare(
    a: Path, b: Path, *, metric: str | None = None, tie: float = 0.0, resamples: int = 10_000, seed: int = 0
) -> list[Comparison]:
    """The comparisons on the data sets that two runs share. Raises RunError where pairs or protocols differ."""
    folders = [only(folder) for folder in (a, b)]
    names = labels(folders) if folders[0] != folders[1] else [str(folders[0])] * 2
    runs = [
        {record.dataset: record for record in records_of(run, label)} for run, label in zip(folders, names, strict=True)
    ]
    shared = [name for name in runs[0] if name in runs[1]]
    if not shared:
        raise RunError(
            f"{a} has the data sets {', '.join(runs[0])}, {b} has {', '.join(runs[1])}: there is nothing to compare"
        )
    return [
        compare_records(runs[0][name], runs[1][name], metric=metric, tie=tie, resamples=resamples, seed=seed)
        for name in shared
    ]


def only(folder: Path) -> Path:
    """The one run in a folder. Raises RunError for several."""
    runs = run_folders([folder])
    if len(runs) > 1:
        raise RunError(f"{folder} holds {len(runs)} runs; name one of them, such as {runs[0]}")
    return runs[0]


def in_words(found: Comparison) -> str:
    """What a comparison says, in a sentence or two."""
    sure = found.over_shapes or found.over_pairs
    verdict = "the interval holds 0: no difference is shown" if sure[0] <= 0 <= sure[1] else "the interval leaves 0 out"
    over = "shapes" if found.over_shapes else "pairs"
    missing = (
        f" {found.left_out} pairs that failed or have no figure in one of the runs are left out."
        if found.left_out
        else ""
    )
    return (
        f"{found.dataset}: {found.metric} {found.mean_a:.3f} → {found.mean_b:.3f}; 95 % over {over} "
        f"{_interval(sure)}, {verdict}. "
        f"B is better in {found.better} of {found.pairs} pairs, as good in {found.ties}, worse in "
        f"{found.worse}.{missing}"
    )


def compare_records(a: Record, b: Record, *, metric: str | None, tie: float, resamples: int, seed: int) -> Comparison:
    check_protocols(a, b)
    rows = [pair_rows(record) for record in (a, b)]
    if rows[0].keys() != rows[1].keys():
        lonely = sorted(rows[0].keys() ^ rows[1].keys())
        shown = "; ".join(" – ".join(filter(None, pair)) for pair in lonely[:3])
        raise RunError(
            f"{a.dataset}: {len(lonely)} pairs are in one run only ({shown} …); evaluate both on the same pairs"
        )
    metric = metric or next((name for name in _METRICS if all(_has(some, name) for some in rows)), _METRICS[0])
    for record, some in zip((a, b), rows, strict=True):
        if not _has(some, metric):
            raise RunError(
                f"{record.run / 'pairs.csv'} has no {metric} of a pair of "
                f"{a.dataset}; choose another column with --metric"
            )
    rows = [pair_rows(record, metric) for record in (a, b)]
    pairs = [pair for pair in rows[0] if rows[0][pair].get(metric) and rows[1][pair].get(metric)]
    if not pairs:
        raise RunError(f"{a.dataset}: no pair has a {metric} in both runs")
    values = np.array([[float(some[pair][metric]) for pair in pairs] for some in rows])
    differences = values[1] - values[0]
    from scipy.stats import wilcoxon  # slow to import

    gains = np.where(np.abs(differences) <= tie, 0.0, differences) * (1 if metric.startswith(_HIGHER) else -1)
    return Comparison(
        dataset=a.dataset,
        metric=metric,
        pairs=len(pairs),
        left_out=len(rows[0]) - len(pairs),
        mean_a=float(values[0].mean()),
        mean_b=float(values[1].mean()),
        difference=float(differences.mean()),
        over_pairs=bootstrap_over_pairs(differences, resamples=resamples, seed=seed),
        over_shapes=bootstrap_over_shapes(differences, _ends(rows[0], pairs), resamples=resamples, seed=seed),
        p_value=float(wilcoxon(differences).pvalue) if differences.any() else 1.0,
        better=int((gains > 0).sum()),
        ties=int((gains == 0).sum()),
        worse=int((gains < 0).sum()),
    )


def check_protocols(a: Record, b: Record) -> None:
    """Raises RunError where two runs were measured under other rules; the method may differ."""
    rules = [{key: value for key, value in record.protocol.items() if key not in METHOD} for record in (a, b)]
    keys = [
        key
        for key in dict.fromkeys([*rules[0], *rules[1]])
        if (rules[0].get(key) or None) != (rules[1].get(key) or None)
    ]
    if keys:
        changes = "; ".join(f"{key} {rules[0].get(key)!r} in A, {rules[1].get(key)!r} in B" for key in keys)
        raise RunError(
            f"{a.dataset}: the protocols differ, the figures do not compare: "
            f"{changes}. Evaluate both under the same rules"
        )


def pair_rows(record: Record, metric: str | None = None) -> dict[Pair, Mapping[str, str]]:
    """The rows of a data set in pairs.csv by the names of the pair.

    The metric, if one is named, is a column of numbers.
    """
    rows = read_pairs(record.run, metric)
    rows = [row for row in rows if (row["dataset"], row["split"]) == (record.dataset, record.result["split"])]
    return {tuple(row.get(name) or "" for name in _NAMES): row for row in rows}


def _has(rows: Mapping[Pair, Mapping[str, str]], metric: str) -> bool:
    return any(row.get(metric) for row in rows.values())


def _ends(rows: Mapping[Pair, Mapping[str, str]], pairs: Sequence[Pair]) -> Int[ndarray, "p 2"]:
    """The two shapes or images of each pair by number."""
    ends = next((ends for ends in _ENDS if rows[pairs[0]].get(ends[0])), None)
    if ends is None:
        raise RunError("pairs.csv names neither shapes nor images: an evaluation of this package did not write it")
    names = [(rows[pair][ends[0]], rows[pair][ends[1]]) for pair in pairs]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(name for two in names for name in two))}
    return np.array([[numbers[name] for name in two] for two in names])


def _interval(interval: Interval | None) -> str:
    return "–" if interval is None else f"[{interval[0]:+.3f}, {interval[1]:+.3f}]"


def cells_of(c: Comparison) -> list[str]:
    """A comparison under ``HEADS``."""
    return [
        *(c.dataset, c.metric, f"{c.mean_a:.3f}", f"{c.mean_b:.3f}", f"{c.difference:+.3f}"),
        *(_interval(c.over_pairs), _interval(c.over_shapes), f"{c.p_value:.2g}"),
        *(str(count) for count in (c.pairs, c.better, c.ties, c.worse)),
    ]


if __name__ == "__main__":
    main()
