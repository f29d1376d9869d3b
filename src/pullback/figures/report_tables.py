"""The tables of a report: results of data sets and of their parts, protocols, and pairs with the worst first."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pullback.figures.report_kinds import ReportKind

Row = Mapping[str, Any]

_OPEN_ROWS = 12  # longer tables of pairs are folded


class Table(NamedTuple):
    """A table for the page. The first cell of a row is its name."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    summary: str = ""  # folded behind this line, if there is one


class Card(NamedTuple):
    """A figure to be seen first."""

    label: str
    figure: str
    words: str


def results_content(results: Sequence[Row], kind: ReportKind) -> Mapping[str, Any]:
    """Cards with the headline metric, a table with a row for each data set, tables of its parts, and the protocols."""
    if not results:
        return {}
    names = _names([row["metrics"] for row in results], kind)
    names += sorted({name for row in results for name in row["metrics"]} - set(kind.metrics))
    headings = ["data set", "pairs", *(kind.metric(name).heading for name in names)]
    rows = [[_label(row), _count(row), *_figures(row["metrics"], names, kind)] for row in results]
    return {
        "cards": list(filter(None, (_card(row, kind) for row in results))),
        "table": Table(headings, rows),
        "note": kind.note,
        "parts": {f"{_label(row)}, by part": _parts(row, kind) for row in results if len(row.get("subsets") or {}) > 1},
        "protocols": _protocols(results),
    }


def pairs_table(pair_rows: Sequence[Row], kind: ReportKind) -> Table | None:
    """A row for each pair, failed ones and the worst first; long tables folded."""
    if not pair_rows:
        return None
    names = [name for name in pair_rows[0] if any(row.get(name) not in (None, "") for row in pair_rows)]
    column, sign = kind.worst
    ranked = sorted(
        pair_rows,
        key=lambda row: math.inf if row.get("status") == "failed" else sign * (row.get(column) or 0.0),
        reverse=True,
    )
    rows = [[kind.metric(name).shown(row.get(name)) for name in names] for row in ranked]
    # a column keeps its name in pairs.csv unless the number shown is another than there
    headings = [name if kind.metric(name).factor == 1 else kind.metric(name).heading for name in names]
    return Table(headings, rows, f"All {len(rows)} pairs, the worst first" if len(rows) > _OPEN_ROWS else "")


def _names(metrics: Sequence[Row], kind: ReportKind) -> list[str]:
    """The metrics of this kind that are known of anything, in order."""
    return [name for name in kind.metrics if any(values.get(name) is not None for values in metrics)]


def _figures(metrics: Row, names: Sequence[str], kind: ReportKind) -> list[Any]:
    return [kind.metric(name).shown(metrics.get(name)) for name in names]


def _card(row: Row, kind: ReportKind) -> Card | None:
    name = next((name for name in kind.headlines if row["metrics"].get(name) is not None), None)
    if name is None:
        return None
    figure = f"{kind.metric(name).shown(row['metrics'][name])}{kind.metric(name).unit}"
    return Card(_label(row), figure, f"{kind.headlines[name]}, {row['pairs']} pairs")


def _parts(row: Row, kind: ReportKind) -> Table:
    """The subsets of a data set, and the two ways of averaging over them."""
    subsets, unweighted = row["subsets"], row.get("metrics_unweighted") or {}
    names = _names([row["metrics"], *(part["metrics"] for part in subsets.values())], kind)
    rows = [[name, part["pairs"], *_figures(part["metrics"], names, kind)] for name, part in subsets.items()]
    rows.append(["all pairs", row["pairs"], *_figures(row["metrics"], names, kind)])
    if unweighted:
        rows.append(["mean of the parts", "", *_figures(unweighted, names, kind)])
    return Table(["part", "pairs", *(kind.metric(name).heading for name in names)], rows)


def _protocols(results: Sequence[Row]) -> Mapping[str, Any]:
    """Each protocol once, under the names of the data sets that it was used on."""
    groups: list[tuple[Any, list[str]]] = []
    for row in results:
        protocol = row.get("protocol")
        same = next((labels for known, labels in groups if known == protocol), None)
        if same is None:
            groups.append((protocol, [_label(row)]))
        else:
            same.append(_label(row))
    return {", ".join(labels): protocol for protocol, labels in groups}


def _label(row: Row) -> str:
    return f"{row['dataset']} {row['split']}"


def _count(row: Row) -> str:
    return f"{row['pairs']} (+{row['failed']} failed)" if row.get("failed") else str(row["pairs"])
