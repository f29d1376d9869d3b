"""One table of several runs, on meshes or photographs, from the metrics.json that each left.

    pullback compare RUN_DIR RUN_DIR … [--metrics pck@0.10,epe] [--subsets] [--latex]

A folder without a metrics.json stands for all runs below it, such as the jobs of a sweep. Averages over subsets are
weighted by their pairs; --subsets also prints each subset and the plain mean of them. Where runs on one data set differ
in their protocol, a mark says in what: such figures do not compare. PCK, AUC, coverage and flips are printed in
percent. Under the table of a sweep that is not at its end stands how far its jobs are.

Runs that differ by their seed alone also get a line with mean ± standard deviation (n - 1) over the seeds; --seeds
prints those lines in the place of theirs.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pullback.comparison.markup import latex, markdown
from pullback.comparison.method_names import method_of
from pullback.comparison.progress import progress
from pullback.comparison.records import labels, records_of, run_folders
from pullback.comparison.run_files import MissingRun, RunError
from pullback.runtime.doorway import telling

COLUMNS = (
    *(
        "geodesic_error_x100",
        "geodesic_error_median_x100",
        "pck@0.05",
        "pck@0.10",
        "pck@0.20",
        "epe",
        "smoothness",
        "smoothness_truth",
    ),
    *("mean_keypoint_error", "coverage", "flip_rate"),
)
# What runs are compared for; the rest of a protocol is rules.
METHOD = ("mode", "solver", "fusion", "seed", "refinement", "checkpoint", "fine_tuning")
PERCENT = ("pck@", "auc@", "coverage", "flip_rate")


@dataclass(frozen=True)
class Line:
    """A line of the table: a run on a data set, or on a part of it."""

    run: str
    dataset: str
    method: tuple[str, ...]
    pairs: str
    metrics: Mapping[str, float | None]
    rules: Mapping[str, Any]  # of its protocol, without the method, and how many pairs count
    identity: str  # the same for runs that differ by their seed alone
    seed: int | None
    spread: Mapping[str, float] = field(default_factory=dict)  # over seeds


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        "pullback compare", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--metrics", type=lambda text: text.split(","), help="names in metrics.json, separated by commas"
    )
    parser.add_argument("--subsets", action="store_true", help="also each subset, and their plain mean")
    parser.add_argument("--seeds", action="store_true", help="runs that differ by their seed alone as one line")
    parser.add_argument("--latex", action="store_true", help="a LaTeX tabular instead of Markdown")
    options = parser.parse_args(arguments)
    with telling():
        told = progress(options.folders)
        try:
            runs = run_folders(options.folders)
        except MissingRun:
            if not told:
                raise
            runs = []
        lines = [
            line
            for label, run in zip(labels(runs), runs, strict=True)
            for line in lines_of(run, label, subsets=options.subsets)
        ]
        lines = with_seeds(lines, alone=options.seeds)
        names = chosen(lines, options.metrics)
        marks, notes = differences(lines)
        heads, body = cells(lines, names, marks)
        if runs:
            print(latex(heads, body) if options.latex else markdown(heads, body))
        for note in (*notes, *told):
            print(f"\n{'% ' if options.latex else ''}{note}")


def lines_of(run: Path, label: str, *, subsets: bool = False) -> Iterator[Line]:
    """The lines of a run: one for each of its data sets and, if asked, one for each subset and for their plain mean."""
    for record in records_of(run, label):
        result = record.result
        # of photographs the notes tell the graph, which is the method's: features alone have none
        aside = METHOD if "geodesics" in record.protocol else (*METHOD, "notes")
        rules = {key: value for key, value in record.protocol.items() if key not in aside}
        rules |= {"scored pairs": result["pairs"]}
        same: dict[str, Any] = {
            "method": method_of(record),
            "rules": rules,
            "identity": record.identity,
            "seed": record.seed,
        }
        name, parts = f"{record.dataset} ({result['split']})", result.get("subsets") or {}
        yield Line(label, name, pairs=_count(result), metrics=record.metrics, **same)
        if subsets and len(parts) > 1:
            for part, values in parts.items():
                yield Line(label, f"{name}: {part}", pairs=_count(values), metrics=values["metrics"], **same)
            yield Line(
                label, f"{name}: mean of subsets", pairs=_count(result), metrics=result["metrics_unweighted"], **same
            )


def with_seeds(lines: Sequence[Line], *, alone: bool = False) -> list[Line]:
    """The lines, and mean and spread behind those that differ by their seed alone.

    With ``alone`` the mean and spread take their place.
    """
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.dataset, line.identity), []).append(line)
    result = []
    for line in lines:
        group = groups[line.dataset, line.identity]
        several = len({other.seed for other in group} - {None}) > 1
        if not (several and alone):
            result.append(line)
        if several and line is group[-1]:
            result.append(over_seeds(group))
    return result


def over_seeds(group: Sequence[Line]) -> Line:
    """Mean and sample standard deviation of runs that differ by their seed alone.

    A metric that one of them lacks is left out.
    """
    found = {name: [line.metrics.get(name) for line in group] for name in group[0].metrics}
    values = {name: [it for it in some if it is not None] for name, some in found.items() if None not in some}
    runs = f"{len(group)} runs, seeds {', '.join(str(line.seed) for line in group)}"
    return replace(
        group[0],
        run=f"mean ± spread of {runs}",
        metrics={name: fmean(some) for name, some in values.items()},
        spread={name: stdev(some) for name, some in values.items()},
    )


def differences(lines: Sequence[Line]) -> tuple[list[str], list[str]]:
    """A mark for each line whose rules differ from the first line's on its data set, and the notes to the marks."""
    first: dict[str, Line] = {}
    marks, notes = [], []
    for line in lines:
        other = first.setdefault(line.dataset, line)
        keys = [
            key for key in dict.fromkeys([*other.rules, *line.rules]) if other.rules.get(key) != line.rules.get(key)
        ]
        if not keys:
            marks.append("")
            continue
        changes = "; ".join(f"{key} {line.rules.get(key)!r} instead of {other.rules.get(key)!r}" for key in keys)
        note = f"another protocol than {other.run}: {changes}"
        if note not in notes:
            notes.append(note)
        marks.append(f"[{notes.index(note) + 1}]")
    return marks, [f"[{i}] {note}" for i, note in enumerate(notes, start=1)]


def chosen(lines: Sequence[Line], metrics: Sequence[str] | None) -> list[str]:
    """The metrics that are asked for, else those of COLUMNS that some line has.

    Raises RunError for a metric that none has.
    """
    known = list(dict.fromkeys(name for line in lines for name in line.metrics))
    unknown = [name for name in metrics or () if name not in known]
    if unknown:
        raise RunError(f"no run has the metric {', '.join(unknown)}; there are {', '.join(known)}")
    return list(metrics or (name for name in COLUMNS if any(line.metrics.get(name) is not None for line in lines)))


def cells(lines: Sequence[Line], names: Sequence[str], marks: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The head and the body of the table as text."""
    heads = [
        "run",
        "data set",
        "method",
        "pairs",
        *(f"{name}, %" if name.startswith(PERCENT) else name for name in names),
    ]
    several = len({line.run for line in lines}) > 1
    alike = set.intersection(*(set(line.method) for line in lines)) if several else set()
    shared = {word for word in alike if "=" in word}  # settings that set no run apart
    body = [
        [
            f"{line.run} {mark}".strip(),
            line.dataset,
            ", ".join(word for word in line.method if word not in shared),
            line.pairs,
            *(_figure(name, line) for name in names),
        ]
        for line, mark in zip(lines, marks, strict=True)
    ]
    return heads, body


def _figure(name: str, line: Line) -> str:
    value = line.metrics.get(name)
    if value is None:
        return "–"
    factor, digits = (100, 1) if name.startswith(PERCENT) else (1, 2)
    spread = f" ± {factor * line.spread[name]:.{digits}f}" if name in line.spread else ""
    return f"{factor * value:.{digits}f}{spread}"


def _count(entry: Mapping[str, Any]) -> str:
    return f"{entry['pairs']} (+{entry['failed']} failed)" if entry.get("failed") else str(entry["pairs"])


if __name__ == "__main__":
    main()
