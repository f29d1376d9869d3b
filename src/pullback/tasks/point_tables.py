"""Tables of points that were asked for: as a file, and on the console."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pullback.writing import write_text_atomically

_SHOWN = 20  # rows on the console


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of equal keys as a ``.csv`` file; what is no number is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value != value else value for key, value in row.items()} for row in rows)
    write_text_atomically(path, text.getvalue())


def shown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The first rows for the console, as aligned columns."""
    heads = list(rows[0])
    cells = [heads] + [[_cell(row[head]) for head in heads] for row in rows[:_SHOWN]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(lines + ([f"and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []))


def _cell(value: Any) -> str:
    return "–" if value != value else f"{value:.4g}" if isinstance(value, float) else str(value)
