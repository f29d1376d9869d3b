"""The files that a run left, read with care.

What somebody cut, edited or wrote with another program is told by its name and line.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pullback.errors import UserError
from pullback.files import read_json


class RunError(UserError, ValueError):
    """A folder that is no finished run, a file of one that is damaged, or runs that do not go together."""


class MissingRun(RunError, FileNotFoundError):
    """There is nothing where a run was looked for."""


def read_metrics(run: Path) -> dict[str, Any]:
    """The content of metrics.json. Raises RunError, or JsonError, where it is not what an evaluation writes."""
    path = run / "metrics.json"
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("results"), list):
        raise RunError(f"{path} has no list of results: an evaluation of this package did not write it")
    for i, result in enumerate(content["results"]):
        _check_result(result, f"{path}: results[{i}]")
    for key in ("started", "method", "checkpoint", "fine_tuning"):
        if not isinstance(content.get(key), str | None):
            raise RunError(f"{path}: {key} is no text. {_AGAIN}")
    if not isinstance(content.get("trained_on"), list | None):
        raise RunError(f"{path}: trained_on is no list. {_AGAIN}")
    return content


def _check_result(result: Any, where: str) -> None:
    if not isinstance(result, dict):
        raise RunError(f"{where} is no mapping. {_AGAIN}")
    for key, kind, wanted in (
        ("dataset", str, "text"),
        ("split", str, "text"),
        ("pairs", int, "number"),
        ("protocol", dict, "mapping"),
    ):
        if not isinstance(result.get(key), kind):
            raise RunError(f"{where} has no {key}, a {wanted}. {_AGAIN}")
    _check_figures(result.get("metrics"), f"{where}.metrics")
    parts = result.get("subsets") or {}
    if not isinstance(parts, dict) or not all(
        isinstance(part, dict) and isinstance(part.get("pairs"), int) for part in parts.values()
    ):
        raise RunError(f"{where}.subsets is no mapping of subsets, each with its pairs. {_AGAIN}")
    for name, part in parts.items():
        _check_figures(part.get("metrics"), f"{where}.subsets.{name}.metrics")
    if parts:
        _check_figures(result.get("metrics_unweighted"), f"{where}.metrics_unweighted")
    curve = result.get("pck_curve")
    if curve and not (
        isinstance(curve, dict) and _are_numbers(curve.get("thresholds")) and _are_numbers(curve.get("pck"))
    ):
        raise RunError(f"{where}.pck_curve has no lists thresholds and pck of numbers. {_AGAIN}")
    if curve and len(curve["thresholds"]) != len(curve["pck"]):
        raise RunError(
            f"{where}.pck_curve has {len(curve['thresholds'])} thresholds and {len(curve['pck'])} values. {_AGAIN}"
        )


def _check_figures(figures: Any, where: str) -> None:
    """Names with a number, or null, each."""
    if not isinstance(figures, dict):
        raise RunError(f"{where} is no mapping. {_AGAIN}")
    odd = [name for name, value in figures.items() if value is not None and not _is_number(value)]
    if odd:
        raise RunError(f"{where}: {odd[0]} is {figures[odd[0]]!r}, not a number. {_AGAIN}")


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(map(_is_number, values))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The mapping in a yaml file; empty where there is none. Raises RunError with the line where it is damaged."""
    content = _yaml(path) or {}
    if not isinstance(content, Mapping):
        raise RunError(f"{path} holds no mapping. {_AGAIN}")
    return content


def read_overrides(path: Path) -> list[str]:
    """The command line that Hydra kept; empty where it did not."""
    content = _yaml(path) or []
    if not isinstance(content, list):
        raise RunError(f"{path} holds no list. {_AGAIN}")
    return [str(entry) for entry in content]


def _yaml(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        raise RunError(f"{path}{line}: not YAML ({getattr(error, 'problem', None) or 'damaged'}). {_AGAIN}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"{path}: not YAML ({type(error).__name__}). {_AGAIN}") from None


def read_pairs(run: Path, numbers: str | None = None) -> list[dict[str, str]]:
    """The rows of pairs.csv; with ``numbers`` the name of a column that holds numbers or nothing. Raises RunError."""
    path = run / "pairs.csv"
    if not path.is_file():
        raise MissingRun(
            f"{path} does not exist: the run did not finish its evaluation, or the file was moved; evaluate it again"
        )
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
            columns = reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{path}: not a table of text ({error}). {_AGAIN}") from None
    lacking = [name for name in ("dataset", "split") if name not in columns]
    if lacking:
        raise RunError(f"{path}, line 1: there is no column {lacking[0]}. {_AGAIN}")
    for line, row in rows:
        if None in row or None in row.values():
            raise RunError(f"{path}, line {line}: not as many cells as there are columns. {_AGAIN}")
        if numbers and row.get(numbers) and not reads_as_number(row[numbers]):
            raise RunError(f"{path}, line {line}: {numbers} is {row[numbers]!r}, not a number. {_AGAIN}")
    return [row for _, row in rows]


def reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_AGAIN = "Copy it again, or evaluate the run again: eval.py run=[score] predictions=RUN/predictions"
