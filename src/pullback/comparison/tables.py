"""The papers' tables with our own figures beside the published ones, from metrics.json of the runs.

    pullback tables RUN_DIR … [--latex] [--out DIR]

A folder without a metrics.json stands for all runs below it; experiments/runs when none is given. A cell reads
"published / **ours**". Letters name what sets a figure of ours apart: another protocol, a data set that stands in for
another, the length of the training. Runs that differ by their seed alone become mean ± standard deviation; of two runs
with the same settings and seed the newer counts. A variant of a method (another loss, another solver at the test) gets
a row of its own; the method is the run with the fewest overrides of its parts. What has no place in tables 1 and 2
follows in a third table, with published figures on those sets where there are some. --out writes tables.md and
tables.tex.

Runs on photographs follow in the tables of the image paper (1 to 6, A1, A2), each row with the letters of what its
protocol differs in; numbers mark published figures that contradict others. Sets that it has no table for get its forms.
Tables without any figure of ours are left out there.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pullback.comparison.entries import Entry, entries_of
from pullback.comparison.photograph_sheets import photo_origin, photo_sheets
from pullback.comparison.photographs import PublishedPhotographs, photo_entries
from pullback.comparison.progress import progress
from pullback.comparison.published import Published
from pullback.comparison.records import Record, all_records
from pullback.comparison.run_files import MissingRun
from pullback.comparison.sheet import PHOTOGRAPHS, Cell, Sheet, sheets_latex, sheets_markdown
from pullback.places import results
from pullback.runtime.doorway import telling

_LONGEST = 50  # letters that say in the label of a row what is varied


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        "pullback tables", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="RUN_DIR", default=[results("runs")])
    parser.add_argument("--latex", action="store_true", help="print LaTeX instead of Markdown")
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write tables.md and tables.tex there")
    options = parser.parse_args(arguments)
    with telling():
        told = progress(options.folders)
        try:
            texts = dict(zip(("tables.md", "tables.tex"), tables(options.folders), strict=True))
        except MissingRun as error:
            raise MissingRun("; ".join([str(error), *told])) from None
        print(texts["tables.tex" if options.latex else "tables.md"])
        for name, text in texts.items() if options.out else ():
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / name).write_text(text + "\n", encoding="utf-8")
            print(f"{'% ' if options.latex else ''}written: {options.out / name}")
        for line in told:  # what is missing in the tables
            print(f"\n{'% ' if options.latex else ''}{line}")


def tables(folders: Sequence[Path]) -> tuple[str, str]:
    """The tables as Markdown and as LaTeX. Raises MissingRun when a folder holds no finished run."""
    records = all_records(folders)
    meshes = [record for record in records if "geodesics" in record.protocol]
    photographs = [record for record in records if "geodesics" not in record.protocol]
    parts = [mesh_tables(meshes)] if meshes else []
    parts += [photograph_tables(photographs)] if photographs else []
    return "\n\n".join(markdown for markdown, _ in parts), "\n\n".join(latex for _, latex in parts)


def mesh_tables(records: Sequence[Record]) -> tuple[str, str]:
    """Tables 1 and 2 of Magnet and Ovsjanikov 2024, and what has no place there."""
    published = Published()
    entries, left_out = entries_of(records, published)
    sheets, rest = [], entries
    for content in published.sheets:
        placed = [entry for entry in rest if column_of(entry, content) is not None]
        rest = [entry for entry in rest if entry not in placed]
        sheets.append(sheet_of(content, placed))
    if rest:
        sheets.append(other_sets(rest, published))
    source = (
        f"Published: {published.content['source']}. Mean geodesic errors × 100 in units of √area, published / ours."
    )
    behind = [origin(entry) for entry in entries]
    return sheets_markdown(sheets, source, behind, left_out), sheets_latex(sheets, source)


def photograph_tables(records: Sequence[Record]) -> tuple[str, str]:
    """The tables of Cheng et al. 2024 that have a figure of ours, and their forms on other sets."""
    published = PublishedPhotographs()
    entries = photo_entries(records, published)
    sheets = photo_sheets(entries, published)
    source = (
        f"Photographs. Published: {published.content['source']}. Published / ours; PCK in percent (the mean over pairs "
        "unless per point), EPE and keypoint errors in pixels, Smth. in pixels per pixel."
    )
    behind = [photo_origin(entry) for entry in entries]
    return sheets_markdown(sheets, source, behind, [], heads=PHOTOGRAPHS), sheets_latex(sheets, source)


def column_of(entry: Entry, content: Mapping[str, Any]) -> tuple[str, str] | None:
    """The column of an entry in a sheet: names of its training and of its test; None where the sheet has none."""
    training = next((name for name, sets in content["training"].items() if entry.trained_on == frozenset(sets)), None)
    test = next((name for name, dataset in content["tests"].items() if dataset == entry.role), None)
    return None if training is None or test is None else (training, test)


@dataclass
class _Row:
    """A row in the making; ``change`` is in what its runs differ from those of the method's first row."""

    label: str
    figures: Mapping[tuple[str, str], float | None] = field(default_factory=dict)
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    change: str = ""


def sheet_of(content: Mapping[str, Any], entries: Sequence[Entry]) -> Sheet:
    """A table of the paper: its rows, each with our variants behind it, then methods that it has no row for."""
    tests = list(content["tests"])
    rows: list[_Row] = []
    waiting = list(entries)
    for row in content["rows"]:
        figures = {
            (group, test): value
            for group, some in row["figures"].items()
            for test, value in zip(tests, some, strict=True)
        }
        own = [entry for entry in waiting if entry.is_of(row["method"], tuned=bool(row.get("tuned")))]
        waiting = [entry for entry in waiting if entry not in own]
        rows += _filled(_Row(row["label"], figures), own, content)
    for label in dict.fromkeys(entry.label for entry in waiting):
        rows += _filled(_Row(label), [entry for entry in waiting if entry.label == label], content)
    columns = [(group, test) for group in content["training"] for test in tests]
    cells = [[Cell(_published(row.figures.get(column)), row.entries.get(column)) for column in columns] for row in rows]
    groups = [(f"trained on {group}" if group else "", len(tests)) for group in content["training"]]
    heads = [f"{group} → {test}" if group else test for group, test in columns]
    remarks = [f"{row.label}: {row.change}" for row in rows if row.change and row.change not in row.label]
    return Sheet(content["title"], groups, heads, tests * len(groups), [row.label for row in rows], cells, remarks)


def other_sets(entries: Sequence[Entry], published: Published) -> Sheet:
    """A line for each figure that the paper has no cell for, and what others reported on its set."""
    labelled, cells, remarks = [], [], []
    seen: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.first.dataset, entry.changes)):
        trained = "not known" if entry.first.trained_on is None else " + ".join(entry.first.trained_on)
        label = entry.label + (f", trained on {trained}" if trained else "")
        same = seen.setdefault(f"{label} {entry.first.dataset}", [])
        if same:
            change = entry.variant(same[0]) or entry.difference(same[0])
            varied = _varied(label, change, len(same), recipe=entry.recipe)
            remarks += [f"{varied}: {change}"] if change not in varied else []
            label = varied
        same.append(entry)
        labelled.append(f"{label} → {entry.first.dataset}")
        cells.append([Cell(next((row["figure"] for row in published.others if _reports(row, entry)), None), entry)])
    sets = dict.fromkeys(
        row["dataset"] for row in published.others if any(row["dataset"] == entry.role for entry in entries)
    )
    remarks += [f"Published on {name}, at second hand: {_listed(published.others, name)}" for name in sets]
    return Sheet(
        "Other sets and trainings, for which the paper has no table",
        [("", 1)],
        ["error"],
        ["error"],
        labelled,
        cells,
        remarks,
    )


def origin(entry: Entry) -> list[str]:
    """Where a figure comes from: data set, method, runs, commit, refinement, figure and pairs."""
    facts = entry.first.facts
    commit = f"{str(facts.get('commit') or 'unknown')[:7]}{' + changes' if facts.get('dirty') else ''}"
    runs = ", ".join(record.label for record in entry.records)
    runs += f" (older: {', '.join(record.label for record in entry.older)})" if entry.older else ""
    refinement = str(entry.first.protocol.get("refinement", ""))
    return [entry.first.dataset, entry.label, runs, commit, refinement, entry.figure, str(entry.first.result["pairs"])]


def _filled(row: _Row, entries: Iterable[Entry], content: Mapping[str, Any]) -> list[_Row]:
    """The row with the entries of its method, and further rows for variants and for what finds its cell taken."""
    entries = list(entries)
    # first the method as configured: the fewest overrides, then the most cells
    bases = sorted(
        entries, key=lambda base: (base.changes, -len({column_of(e, content) for e in entries if not e.variant(base)}))
    )
    rows = {"": row}
    for entry in entries:
        column, change = column_of(entry, content), entry.variant(bases[0])
        if column is None:
            continue
        taken = rows[change].entries.get(column) if change in rows else None
        if taken is not None:
            change = ", ".join(filter(None, [change, entry.difference(taken)]))
        if change in rows and column in rows[change].entries:
            change += f", {entry.first.label}"
        if change not in rows:
            label = _varied(row.label, change, len(rows), recipe=entry.recipe)
            rows[change] = _Row(label, change=change)
        rows[change].entries[column] = entry
    return list(rows.values())


def _varied(label: str, change: str, number: int, *, recipe: str | None) -> str:
    """The label of a variant: in words when they are few, else by number."""
    if len(change) <= _LONGEST:
        return f"{label}: {change}"
    return f"{label}, variant {number}" + (f" (recipe={recipe})" if recipe else "")


def _reports(row: Mapping[str, Any], entry: Entry) -> bool:
    """Whether a published figure is of this method on this set, trained on the same sets as far as is known."""
    human = entry.trained_on is not None and entry.trained_on <= {"faust", "scape", "humans"}
    if "humans" in row["label"] and not human:
        return False
    return row["dataset"] == entry.role and entry.is_of(row["method"], tuned=bool(row.get("tuned")))


def _listed(rows: Sequence[Mapping[str, Any]], dataset: str) -> str:
    return "; ".join(f"{row['label']} {row['figure']} ({row['source']})" for row in rows if row["dataset"] == dataset)


def _published(figure: float | None) -> str | None:
    return None if figure is None else str(figure)


if __name__ == "__main__":
    main()
