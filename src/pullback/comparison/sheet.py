"""A table of published figures beside ours, with letters for remarks, as Markdown and as LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from string import ascii_lowercase
from typing import Protocol, runtime_checkable

from pullback.comparison.markup import escaped, markdown, tabular

MESHES = ("tested on", "method", "runs", "commit", "refinement", "error", "pairs")
PHOTOGRAPHS = ("tested on", "method", "runs", "commit", "solver", "pairs")


@runtime_checkable
class Figure(Protocol):
    """A figure of ours, and what is to be remarked on it."""

    @property
    def figure(self) -> str: ...

    @property
    def remarks(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Cell:
    """The published figure and ours, either of which may be missing; ``notes`` are on the published one."""

    published: str | None
    entry: Figure | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """A table: methods in rows, trainings and tests in columns."""

    title: str
    groups: Sequence[tuple[str, int]]  # headings over several columns, and how many
    heads: Sequence[str]  # of the columns where there is one line of headings …
    short: Sequence[str]  # … and below those of the groups
    labels: Sequence[str]
    cells: Sequence[Sequence[Cell]]
    remarks: Sequence[str] = field(default_factory=list)
    row_remarks: Sequence[Sequence[str]] = field(default_factory=list)  # on all figures of ours in a row

    @cached_property
    def _remarked(self) -> list[Sequence[str]]:
        """The remarks on each figure of ours, and on each row that has one."""
        rows = [said for said, row in zip(self.row_remarks, self.cells, strict=False) if any(c.entry for c in row)]
        return rows or [cell.entry.remarks for row in self.cells for cell in row if cell.entry]

    @cached_property
    def common(self) -> list[str]:
        """What is to be remarked on every figure of ours."""
        said = self._remarked
        return [remark for remark in said[0] if all(remark in others for others in said)] if said else []

    @cached_property
    def letters(self) -> dict[str, str]:
        """The letter of each other remark, in the order of the cells."""
        remarks = dict.fromkeys(remark for said in self._remarked for remark in said)
        names = [*ascii_lowercase, *(a + b for a in ascii_lowercase for b in ascii_lowercase)]
        return dict(zip((remark for remark in remarks if remark not in self.common), names, strict=False))

    @cached_property
    def numbers(self) -> dict[str, str]:
        """The number of each note on a published figure."""
        notes = dict.fromkeys(note for row in self.cells for cell in row for note in cell.notes)
        return {note: str(number) for number, note in enumerate(notes, start=1)}

    def row_marks(self, i: int) -> str:
        """The letters of a row: "a,c"."""
        said = self.row_remarks[i] if i < len(self.row_remarks) else ()
        return ",".join(self.letters[remark] for remark in said if remark in self.letters)

    def marks(self, cell: Cell) -> str:
        """The letters of a cell: "a,c"."""
        return (
            ",".join(self.letters[remark] for remark in cell.entry.remarks if remark in self.letters)
            if cell.entry
            else ""
        )

    def notes(self) -> list[tuple[str, str]]:
        """Letters with their remarks; first, without a letter, what holds for all."""
        all_of = [("", f"All figures of ours: {'; '.join(self.common)}.")] if self.common else []
        return [
            *all_of,
            *((letter, remark) for remark, letter in self.letters.items()),
            *((number, f"published: {note}") for note, number in self.numbers.items()),
            *(("", remark) for remark in self.remarks),
        ]


def sheets_markdown(
    sheets: Sequence[Sheet],
    source: str,
    behind: Sequence[Sequence[str]],
    left_out: Sequence[str],
    *,
    heads: Sequence[str] = MESHES,
) -> str:
    """All tables, the runs behind our figures, and what is in none of them."""
    parts = [source]
    for sheet in sheets:
        body = [
            [label + (f" [{marks}]" if (marks := sheet.row_marks(i)) else ""), *(_in_markdown(sheet, c) for c in row)]
            for i, (label, row) in enumerate(zip(sheet.labels, sheet.cells, strict=True))
        ]
        parts += [f"## {sheet.title}", markdown(["method", *sheet.heads], body, words=1)]
        notes = [f"- [{letter}] {remark}" if letter else f"- {remark}" for letter, remark in sheet.notes()]
        parts += ["\n".join(notes)] if notes else []
    if behind:
        parts += ["## The runs behind our figures", markdown(heads, behind, words=5)]
    if left_out:
        parts += ["In no table: " + "; ".join(left_out) + "."]
    return "\n\n".join(parts)


def sheets_latex(sheets: Sequence[Sheet], source: str) -> str:
    """A table environment for each sheet, to be used with booktabs; the first line says so."""
    return "\n\n".join([r"% needs \usepackage{booktabs}", *(_environment(sheet, source) for sheet in sheets)])


def _environment(sheet: Sheet, source: str) -> str:
    heads = [" & ".join(["", *(escaped(head) for head in sheet.short)]) + r" \\"]
    if any(name for name, _ in sheet.groups):
        ends = [1 + sum(width for _, width in sheet.groups[: i + 1]) for i in range(len(sheet.groups))]
        spans = [f"\\multicolumn{{{width}}}{{c}}{{{escaped(name)}}}" for name, width in sheet.groups]
        rules = [
            f"\\cmidrule(lr){{{end - width + 1}-{end}}}" for end, (_, width) in zip(ends, sheet.groups, strict=True)
        ]
        heads = [" & ".join(["", *spans]) + r" \\", " ".join(rules), *heads]
    body = [
        " & ".join([_row_in_latex(sheet, i), *(_in_latex(sheet, cell) for cell in row)]) + r" \\"
        for i, row in enumerate(sheet.cells)
    ]
    notes = [f"$^{{{letter}}}$\\,{escaped(remark)}." if letter else escaped(remark) for letter, remark in sheet.notes()]
    below = ["\\par\\smallskip\\raggedright\\footnotesize", " ".join(notes)] if notes else []
    lines = [
        f"\\caption{{{escaped(f'{sheet.title}. {source}')}}}",
        tabular("l" + "r" * len(sheet.short), heads, body),
        *below,
    ]
    return "\n".join([r"\begin{table}", r"\centering\small", *lines, r"\end{table}"])


def _row_in_latex(sheet: Sheet, i: int) -> str:
    marks = sheet.row_marks(i)
    return escaped(sheet.labels[i]) + (f"$^{{{marks}}}$" if marks else "")


def _in_markdown(sheet: Sheet, cell: Cell) -> str:
    marks = sheet.marks(cell)
    noted = "".join(f" [{sheet.numbers[note]}]" for note in cell.notes)
    return _joined(cell, f"**{cell.entry.figure}**" + (f" [{marks}]" if marks else "") if cell.entry else None, noted)


def _in_latex(sheet: Sheet, cell: Cell) -> str:
    noted = "".join(f"$^{{{sheet.numbers[note]}}}$" for note in cell.notes)
    if cell.entry is None:
        return (escaped(_joined(cell, None)) + noted).replace("–", "--")
    marks = sheet.marks(cell)
    figure = cell.entry.figure.replace(" ± ", r"\,$\pm$\,")
    return _joined(cell, f"\\textbf{{{figure}}}" + (f"$^{{{marks}}}$" if marks else ""), noted).replace("–", "--")


def _joined(cell: Cell, ours: str | None, noted: str = "") -> str:
    """The published figure with its notes beside ours; alone where we have none; a dash where nobody has one."""
    if ours is None:
        return (cell.published or "–") + noted
    return f"{cell.published or '–'}{noted} / {ours}"
