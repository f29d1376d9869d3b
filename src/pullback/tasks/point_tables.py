"""Tables of points that were asked for: as a file, and on the console."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pullback.sheets import csv_text
from pullback.writing import write_text_atomically

SIDES = ("source", "target")  # that points are on
_SHOWN = 20  # rows on the console


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of equal keys as a ``.csv`` file; what is no number is empty."""
    write_text_atomically(path, csv_text(rows))


def opposite(side: str) -> str:
    """The target for the source, and the other way round."""
    return SIDES[side == SIDES[0]]


def shown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The first rows for the console, as aligned columns."""
    heads = list(rows[0])
    cells = [heads] + [[_cell(row[head]) for head in heads] for row in rows[:_SHOWN]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(lines + ([f"and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []))


def _cell(value: Any) -> str:
    return "–" if value != value else f"{value:.4g}" if isinstance(value, float) else str(value)
