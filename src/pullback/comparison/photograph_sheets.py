"""The tables of the image paper with our figures beside the published ones, and the same forms for other sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pullback.comparison.photographs import PhotoEntry, PublishedPhotographs
from pullback.comparison.sheet import Cell, Sheet


@dataclass(frozen=True)
class Measured:
    """A figure of ours in a cell; what is to be remarked stands behind the name of its row."""

    figure: str
    remarks: Sequence[str] = ()


def photo_sheets(entries: Sequence[PhotoEntry], published: PublishedPhotographs) -> list[Sheet]:
    """The paper's tables in which a run of ours has a place, then the same forms for sets that it has no table for."""
    sheets = []
    for content in published.sheets:
        own = [entry for entry in entries if entry.dataset == content["dataset"] and _belongs(entry, content)]
        if own:
            sheets.append(_sheet(content, own, published))
    known = {content["dataset"] for content in published.sheets}
    for dataset in dict.fromkeys(entry.dataset for entry in entries if entry.dataset not in known):
        for form, words in published.content["forms"].items():
            of_set = [entry for entry in entries if entry.dataset == dataset]
            own = [entry for entry in of_set if _belongs(entry, {"forms": [form]})]
            if own:
                sheets.append(_sheet(_content(f"{dataset}, in the form of {words}", form, published), own, published))
    return sheets


def photo_origin(entry: PhotoEntry) -> list[str]:
    """Where figures come from: data set, method, runs, commit, solver and pairs."""
    facts = entry.first.facts
    commit = f"{str(facts.get('commit') or 'unknown')[:7]}{' + changes' if facts.get('dirty') else ''}"
    runs = ", ".join(record.label for record in entry.records)
    runs += f" (older: {', '.join(record.label for record in entry.older)})" if entry.older else ""
    return [entry.dataset, entry.label, runs, commit, entry.solver, str(entry.first.result["pairs"])]


def _content(title: str, form: str, published: PublishedPhotographs) -> dict[str, Any]:
    columns = published.content["other_columns"]
    return {"title": title, "forms": [form], "average": "subsets", "columns": columns, "rows": []}


def _belongs(entry: PhotoEntry, content: Mapping[str, Any]) -> bool:
    """Whether a run is an example of what a table is about.

    All terms of the loss are the last row of their ablation, too.
    """
    forms = content["forms"]
    if entry.form == "foreign":
        return forms != ["losses"] and forms != ["facets"]
    return entry.form in forms or ("losses" in forms and entry.terms == "all")


def _sheet(content: Mapping[str, Any], entries: Sequence[PhotoEntry], published: PublishedPhotographs) -> Sheet:
    columns = _columns(content, entries)
    rows: list[tuple[str, Mapping[str, Any], PhotoEntry | None]] = []
    waiting = _distinct(entries)
    for row in content["rows"]:
        own = [entry for entry in waiting if _is_of(entry, row)]
        waiting = [entry for entry in waiting if entry not in own]
        rows += [(entry.label, row["figures"], entry) for entry in own] or [
            (_label(row, published), row["figures"], None)
        ]
    rows += [(entry.label, {}, entry) for entry in waiting]
    cells = [
        [_cell(figures.get(head), column, entry, content) for head, column in columns.items()]
        for _, figures, entry in rows
    ]
    columns, cells = _without_empty(columns, cells)
    return Sheet(
        title=content["title"],
        groups=[("", len(columns))],
        heads=list(columns),
        short=list(columns),
        labels=_told_apart([label for label, _, _ in rows], [entry for _, _, entry in rows]),
        cells=cells,
        remarks=content.get("remarks", []),
        row_remarks=[entry.remarks if entry else [] for _, _, entry in rows],
    )


def _columns(content: Mapping[str, Any], entries: Sequence[PhotoEntry]) -> dict[str, Mapping[str, Any]]:
    if content["columns"] != "subsets":
        return dict(content["columns"])
    names = dict.fromkeys(name for entry in entries for name in entry.subsets)
    each = content["of_each"]
    heads = {name: [f"{name} {head}" if len(each) > 1 else name for head in each] for name in names}
    return {
        head: {**column, "subset": name}
        for name in names
        for head, column in zip(heads[name], each.values(), strict=True)
    }


def _distinct(entries: Sequence[PhotoEntry]) -> list[PhotoEntry]:
    """The entries without those that say the same again.

    That is features alone, measured in several fusions, and those of one network beside themselves.
    """
    kept: dict[str, PhotoEntry] = {}
    for entry in entries:
        if entry.method == "concat" and len(set(entry.networks)) == 1:
            continue
        figures = entry.first.metrics if entry.method in ("raw", "concat") else entry.first.label
        same = f"{entry.dataset} {entry.label} {entry.remarks} {figures}"
        kept.setdefault(same, entry)
    return list(kept.values())


def _is_of(entry: PhotoEntry, row: Mapping[str, Any]) -> bool:
    names = [name for name, _ in entry.networks]
    if entry.method != row["method"] or ("terms" in row and entry.terms != row["terms"]):
        return False
    if row["method"] == "concat" or row.get("any_order"):
        return sorted(names) == sorted(row["networks"])
    return names == row["networks"]


def _label(row: Mapping[str, Any], published: PublishedPhotographs) -> str:
    names = [published.label(name) for name in row["networks"]]
    if row["method"] == "raw":
        return f"{names[0]}, raw"
    if row["method"] == "concat":
        return f"{' + '.join(names)}, side by side"
    joined = (" + " if row.get("any_order") else " → ").join(names)
    return f"{joined}, functional map" + (f", {row['terms']}" if "terms" in row else "")


def _cell(written: Any, column: Mapping[str, Any], entry: PhotoEntry | None, content: Mapping[str, Any]) -> Cell:
    figure, *notes = written if isinstance(written, list) else [written]
    value = None if entry is None else entry.value(column, content["average"])
    return Cell(None if figure is None else str(figure), None if value is None else Measured(value), tuple(notes))


def _without_empty(columns: Mapping[str, Any], cells: list[list[Cell]]) -> tuple[dict[str, Any], list[list[Cell]]]:
    """The columns in which anybody has a figure."""
    full = [any(row[i].published or row[i].entry for row in cells) for i in range(len(columns))]
    heads = {head: column for (head, column), keep in zip(columns.items(), full, strict=True) if keep}
    return heads, [[cell for cell, keep in zip(row, full, strict=True) if keep] for row in cells]


def _told_apart(labels: Sequence[str], entries: Sequence[PhotoEntry | None]) -> list[str]:
    """The labels; those of equal rows, remarks and all, with the names of their runs."""
    said = [(label, *(entry.remarks if entry else ())) for label, entry in zip(labels, entries, strict=True)]
    return [
        f"{label} ({entry.first.label})" if entry is not None and said.count(what) > 1 else label
        for label, entry, what in zip(labels, entries, said, strict=True)
    ]
