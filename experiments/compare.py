"""One table of several runs, on meshes or photographs, from the metrics.json that each left.

    python -m experiments.compare RUN_DIR RUN_DIR … [--metrics pck@0.10,epe] [--subsets] [--latex]

A folder without a metrics.json stands for all runs below it, such as the jobs of a sweep. Averages over subsets are weighted by their
pairs; --subsets also prints each subset and the plain mean of them. Where runs on one data set differ in their protocol, a mark says
in what: such figures do not compare. PCK, AUC, coverage and flips are printed in percent.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

COLUMNS = (
    *("geodesic_error_x100", "geodesic_error_median_x100", "pck@0.05", "pck@0.10", "pck@0.20", "epe", "smoothness", "smoothness_truth"),
    *("mean_keypoint_error", "coverage", "flip_rate"),
)
METHOD = ("mode", "solver", "fusion", "seed", "refinement", "checkpoint")  # what runs are compared for; the rest of a protocol is rules
_PERCENT = ("pck@", "auc@", "coverage", "flip_rate")


@dataclass(frozen=True)
class Line:
    """A line of the table: a run on a data set, or on a part of it."""

    run: str
    dataset: str
    method: str
    pairs: str
    metrics: Mapping[str, float | None]
    rules: Mapping[str, Any]  # of its protocol, without the method, and how many pairs count


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser("python -m experiments.compare", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument("--metrics", type=lambda text: text.split(","), help="names in metrics.json, separated by commas")
    parser.add_argument("--subsets", action="store_true", help="also each subset, and their plain mean")
    parser.add_argument("--latex", action="store_true", help="a LaTeX tabular instead of Markdown")
    options = parser.parse_args(arguments)
    try:
        runs = run_folders(options.folders)
        lines = [line for label, run in zip(labels(runs), runs, strict=True) for line in lines_of(run, label, subsets=options.subsets)]
        names = chosen(lines, options.metrics)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    marks, notes = differences(lines)
    heads, body = cells(lines, names, marks)
    print(latex(heads, body) if options.latex else markdown(heads, body))
    for note in notes:
        print(f"\n{'% ' if options.latex else ''}{note}")


def run_folders(folders: Sequence[Path]) -> list[Path]:
    """The folders that hold a metrics.json, in the order given; jobs of a sweep by their numbers. Raises FileNotFoundError."""
    found = []
    for folder in folders:
        below = [folder] if (folder / "metrics.json").is_file() else [path.parent for path in folder.rglob("metrics.json")]
        if not below:
            raise FileNotFoundError(f"no metrics.json in {folder} or below it: no run there has finished its evaluation")
        found += sorted(below, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(path))])
    return list(dict.fromkeys(found))


def labels(runs: Sequence[Path]) -> list[str]:
    """Short names of the runs: the end of each path that tells them apart."""
    parts = [run.resolve().parts for run in runs]
    longest = max(map(len, parts))
    depth = next((n for n in range(1, longest) if len({path[-n:] for path in parts}) == len(parts)), longest)
    return ["/".join(path[-depth:]) for path in parts]


def lines_of(run: Path, label: str, *, subsets: bool = False) -> Iterator[Line]:
    """The lines of a run: one for each of its data sets and, if asked, one for each subset and for their plain mean."""
    content = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    for result in content["results"]:
        method = method_of(run, result["protocol"])
        rules = {key: value for key, value in result["protocol"].items() if key not in METHOD} | {"scored pairs": result["pairs"]}
        name, parts = f"{result['dataset']} ({result['split']})", result.get("subsets") or {}
        yield Line(label, name, method, _count(result), result["metrics"], rules)
        if subsets and len(parts) > 1:
            for part, values in parts.items():
                yield Line(label, f"{name}: {part}", method, _count(values), values["metrics"], rules)
            yield Line(label, f"{name}: mean of subsets", method, _count(result), result["metrics_unweighted"], rules)


def method_of(run: Path, protocol: Mapping[str, Any]) -> str:
    """What made the figures: fusion or backbone, solver with its mode and, if any, the checkpoint's rule.

    Names are those typed on the command line (``.hydra/hydra.yaml``), else the classes in ``config.yaml``.
    """
    config = _yaml(run / "config.yaml")
    choices = _yaml(run / ".hydra" / "hydra.yaml").get("hydra", {}).get("runtime", {}).get("choices", {})
    features = choices.get("fusion") or protocol.get("fusion") or choices.get("backbone")
    solver = choices.get("solver") or str(config.get("solver", {}).get("_target_", "")).rsplit(".", 1)[-1] or protocol.get("solver")
    mode = protocol.get("mode") or _mode(config.get("solver"))
    words = [features, solver if mode in (None, "", solver) else f"{solver} ({mode})", _weights(protocol), *_typed(run)]
    return ", ".join(str(word) for word in words if word)


def differences(lines: Sequence[Line]) -> tuple[list[str], list[str]]:
    """A mark for each line whose rules differ from those of the first line on the same data set, and the notes that explain the marks."""
    first: dict[str, Line] = {}
    marks, notes = [], []
    for line in lines:
        other = first.setdefault(line.dataset, line)
        keys = [key for key in dict.fromkeys([*other.rules, *line.rules]) if other.rules.get(key) != line.rules.get(key)]
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
    """The metrics that are asked for, else those of COLUMNS that some line has. Raises ValueError for a metric that none has."""
    known = list(dict.fromkeys(name for line in lines for name in line.metrics))
    unknown = [name for name in metrics or () if name not in known]
    if unknown:
        raise ValueError(f"no run has the metric {', '.join(unknown)}; there are {', '.join(known)}")
    return list(metrics or (name for name in COLUMNS if any(line.metrics.get(name) is not None for line in lines)))


def cells(lines: Sequence[Line], names: Sequence[str], marks: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The head and the body of the table as text."""
    heads = ["run", "data set", "method", "pairs", *(f"{name}, %" if name.startswith(_PERCENT) else name for name in names)]
    body = [
        [f"{line.run} {mark}".strip(), line.dataset, line.method, line.pairs, *(_figure(name, line.metrics.get(name)) for name in names)]
        for line, mark in zip(lines, marks, strict=True)
    ]
    return heads, body


def markdown(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns in line; numbers to the right."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (heads, *body)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    padded = [[cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))] for row in rows]
    rule = ["-" * w if i < 3 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (padded[0], rule, *padded[1:]))


def latex(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A LaTeX tabular, with the rules of booktabs."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {c: f"\\{c}" for c in "&%$#_{}"}
    rows = ["    " + " & ".join("".join(special.get(c, c) for c in cell) for cell in row) + r" \\" for row in (heads, *body)]
    columns = "lll" + "r" * (len(heads) - 3)
    rules = [r"    \toprule", rows[0], r"    \midrule", *rows[1:], r"    \bottomrule"]
    return "\n".join([f"\\begin{{tabular}}{{{columns}}}", *rules, r"\end{tabular}"])


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f}" if name.startswith(_PERCENT) else f"{value:.2f}"


def _count(entry: Mapping[str, Any]) -> str:
    return f"{entry['pairs']} (+{entry['failed']} failed)" if entry.get("failed") else str(entry["pairs"])


def _yaml(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def _mode(solver: Any) -> str | None:
    """The first ``mode`` of a solver, or of something inside it."""
    if not isinstance(solver, Mapping):
        return None
    found = (_mode(value) for value in solver.values())
    return solver.get("mode") or next((mode for mode in found if mode), None)


def _weights(protocol: Mapping[str, Any]) -> str:
    """The rule of a checkpoint in short: "best, trained on humans", "untrained", "last, …"; nothing where nothing is trained."""
    rule = str(protocol.get("checkpoint", ""))
    if not rule or rule.startswith("none"):
        return "untrained" if "untrained" in rule else ""
    return ", ".join([re.split(r"[ ,]", rule)[0], *re.findall("trained on .*", rule)])


def _typed(run: Path) -> list[str]:
    """The overrides of single values on the command line (``fusion.basis.backbone.layer=9``): they set runs of a sweep apart."""
    path = run / ".hydra" / "overrides.yaml"
    typed = yaml.safe_load(path.read_text(encoding="utf-8")) or [] if path.is_file() else []
    left_out = ("hydra.", "paths.", "predictions=", "ckpt=", "run=", "trainer.", "data.num_workers", "data.batch_pairs")
    return [text for text in typed if "." in text.split("=")[0] and not text.lstrip("+~").startswith(left_out)]


if __name__ == "__main__":
    main()
