"""All pairs of a list in one place: a table on the terminal, one to compute with, and a page with pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pullback.figures.page import page
from pullback.metrics.verdict import LEVELS, Verdict
from pullback.sheets import csv_text
from pullback.tasks.provenance import run_facts
from pullback.writing import write_text_atomically

Row = Mapping[str, Any]

_COLORS = {"failed": "red", LEVELS[0]: "green", LEVELS[1]: "yellow", LEVELS[2]: "red"}
# The columns of pairs.csv that every row may have, in their order; others follow.
_VERDICT = ("verdict", "expected_error", "unit")
_COLUMNS = ("name", "source", "target", "status", *_VERDICT, "coverage", "n1", "n2", "seconds")


def verdict_columns(verdict: Verdict | None) -> dict[str, Any]:
    """A verdict in a row of pairs; nothing where there is none."""
    if verdict is None:
        return {}
    expected = {"expected_error": round(verdict.expected_error, 4)} if verdict.is_expected else {}
    return {"verdict": verdict.level, **expected, "unit": verdict.unit, "why": "; ".join(verdict.why)}


def print_pairs(rows: Sequence[Row], *, console: Console | None = None) -> None:
    """Prints a line for each pair, and how many there are of each verdict."""
    console = console or Console()
    if not console.is_terminal:  # a log file has no width
        console.width = max(console.width, 140)
    table = Table(title="Pairs")
    table.add_column("pair")
    unit = next((row["unit"] for row in rows if "unit" in row), "")
    expected = f"expected error, % of {unit}" if unit else "expected error, %"
    for heading in ("verdict", expected, "covers %", "seconds", "status"):
        table.add_column(heading, justify="right")
    for row in rows:
        told = str(row.get("verdict", "–"))
        table.add_row(
            escape(row["name"]),
            f"[{_COLORS.get(told, 'default')}]{told}[/]",
            _figure(row, "expected_error", 100.0),
            _figure(row, "coverage", 100.0),
            _figure(row, "seconds"),
            f"[{_COLORS.get(row['status'], 'default')}]{row['status']}[/]",
        )
    console.print(table)
    console.print(summary(rows), highlight=False)


def summary(rows: Sequence[Row]) -> str:
    """In words how many pairs came out how."""
    parts = [f"{len(rows)} pairs"]
    for what in LEVELS:
        count = sum(row.get("verdict") == what for row in rows)
        parts += [f"{count} {what}"] if count else []
    for status, words in (("failed", "failed"), ("done before", "done before and taken as they are")):
        count = sum(row["status"] == status for row in rows)
        parts += [f"{count} {words}"] if count else []
    return ", ".join(parts)


def write_overview(folder: Path, rows: Sequence[Row], *, title: str) -> Path:
    """Writes ``pairs.csv``, ``summary.json`` and ``index.html``: its path."""
    names = [*_COLUMNS, *dict.fromkeys(name for row in rows for name in row if name not in _COLUMNS)]
    write_text_atomically(folder / "pairs.csv", csv_text(rows, names))
    facts = run_facts()
    counts = {what: sum(row["status"] == what for row in rows) for what in ("done", "done before", "failed")}
    told = {"summary": summary(rows), "counts": counts, "pairs": [dict(row) for row in rows], "run": facts}
    write_text_atomically(folder / "summary.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    shown = [
        {
            **row,
            "url": quote(row["name"]),
            "level": row.get("verdict", ""),
            "figures": " · ".join(_figures(row)),
            "why": row.get("error", row.get("why", "")),
        }
        for row in rows
    ]
    write_text_atomically(
        folder / "index.html", page("pairs.html.j2", title=title, summary=summary(rows), rows=shown, levels=LEVELS)
    )
    return folder / "index.html"


def _figures(row: Row) -> list[str]:
    found = []
    if "expected_error" in row:
        found.append(f"expected error {100 * row['expected_error']:.1f} % of {row.get('unit', 'its unit')}")
    if "coverage" in row:
        found.append(f"covers {100 * row['coverage']:.0f} %")
    if "seconds" in row:
        found.append(f"{row['seconds']:.1f} s")
    return found


def _figure(row: Row, name: str, factor: float = 1.0) -> str:
    return f"{factor * row[name]:.1f}" if name in row else "–"
