"""Rows of benchmarks as text."""

from collections.abc import Mapping
from typing import Any

HEADS = (
    "work",
    "sizes",
    "threads",
    "busy",
    "backend",
    "device",
    "seconds",
    "spread",
    "peak",
    "ratio to best peer",
    "remarks",
)


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row as text, under HEADS."""
    seconds = (
        "–" if row["seconds"] is None else f"{row['seconds']:.3g}" if row["seconds"] < 100 else f"{row['seconds']:.0f}"
    )
    spread = "–" if row["spread"] is None else f"{100 * row['spread']:.0f} %"
    peak = "–" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e6:,.0f} MB"
    ratio = "–" if row["ratio"] is None else f"{row['ratio']:.2f} ×"
    remarks = "; ".join(filter(None, [_named(row["figures"]), row["note"]]))
    beside = [str(row.get("threads") or "–"), str(row.get("busy", 0))]
    return [
        row["work"],
        _named(row["sizes"]),
        *beside,
        row["backend"],
        row["device"],
        seconds,
        spread,
        peak,
        ratio,
        remarks,
    ]


def _named(values: Mapping[str, int | float | str]) -> str:
    text = {int: "{:,}", float: "{:.3g}"}
    return ", ".join(f"{name} {text.get(type(value), '{}').format(value)}" for name, value in values.items())
