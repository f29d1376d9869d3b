"""Tables as ``.csv`` files: names come from anywhere, and the spreadsheet that opens them would compute formulas."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

# How words begin that a spreadsheet would compute; one more ' before them makes it show them.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def guarded(word: str) -> str:
    """The word as a spreadsheet shows it."""
    return f"'{word}" if _FORMULA.match(word) else word


def unguarded(text: str) -> str:
    """The word that was ``guarded``."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """The rows under their columns, by default those of the first row; what is missing or no number is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if columns is None else columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return guarded(value)
    return "" if value is None or value != value else value
