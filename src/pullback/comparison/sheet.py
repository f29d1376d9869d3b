"""A table of published figures beside ours, with letters for remarks, as Markdown and as LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from string import ascii_lowercase

from pullback.comparison.entries import Entry
from pullback.comparison.markup import escaped, markdown, tabular

_BEHIND = ("tested on", "method", "runs", "commit", "refinement", "error", "pairs")


@dataclass(frozen=True)
class Cell:
    """The published figure and ours, either of which may be missing."""

    published: str | None
    entry: Entry | None


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

    @cached_property
    def common(self) -> list[str]:
        """What is to be remarked on every figure of ours."""
        entries = [cell.entry for row in self.cells for cell in row if cell.entry]
        return (
            [remark for remark in entries[0].remarks if all(remark in entry.remarks for entry in entries)]
            if entries
            else []
        )

    @cached_property
    def letters(self) -> dict[str, str]:
        """The letter of each other remark, in the order of the cells."""
        remarks = dict.fromkeys(
            remark for row in self.cells for cell in row if cell.entry for remark in cell.entry.remarks
        )
        names = [*ascii_lowercase, *(a + b for a in ascii_lowercase for b in ascii_lowercase)]
        return dict(zip((remark for remark in remarks if remark not in self.common), names, strict=False))

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
            *(("", remark) for remark in self.remarks),
        ]


def sheets_markdown(
    sheets: Sequence[Sheet], source: str, behind: Sequence[Sequence[str]], left_out: Sequence[str]
) -> str:
    """All tables, the runs behind our figures, and what is in none of them."""
    parts = [source]
    for sheet in sheets:
        body = [
            [label, *(_in_markdown(sheet, cell) for cell in row)]
            for label, row in zip(sheet.labels, sheet.cells, strict=True)
        ]
        parts += [f"## {sheet.title}", markdown(["method", *sheet.heads], body, words=1)]
        notes = [f"- [{letter}] {remark}" if letter else f"- {remark}" for letter, remark in sheet.notes()]
        parts += ["\n".join(notes)] if notes else []
    if behind:
        parts += ["## The runs behind our figures", markdown(_BEHIND, behind, words=5)]
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
        " & ".join([escaped(label), *(_in_latex(sheet, cell) for cell in row)]) + r" \\"
        for label, row in zip(sheet.labels, sheet.cells, strict=True)
    ]
    notes = [f"$^{{{letter}}}$\\,{escaped(remark)}." if letter else escaped(remark) for letter, remark in sheet.notes()]
    below = ["\\par\\smallskip\\raggedright\\footnotesize", " ".join(notes)] if notes else []
    lines = [
        f"\\caption{{{escaped(f'{sheet.title}. {source}')}}}",
        tabular("l" + "r" * len(sheet.short), heads, body),
        *below,
    ]
    return "\n".join([r"\begin{table}", r"\centering\small", *lines, r"\end{table}"])


def _in_markdown(sheet: Sheet, cell: Cell) -> str:
    marks = sheet.marks(cell)
    return _joined(cell, f"**{cell.entry.figure}**" + (f" [{marks}]" if marks else "") if cell.entry else None)


def _in_latex(sheet: Sheet, cell: Cell) -> str:
    if cell.entry is None:
        return escaped(_joined(cell, None)).replace("–", "--")
    marks = sheet.marks(cell)
    figure = cell.entry.figure.replace(" ± ", r"\,$\pm$\,")
    return _joined(cell, f"\\textbf{{{figure}}}" + (f"$^{{{marks}}}$" if marks else "")).replace("–", "--")


def _joined(cell: Cell, ours: str | None) -> str:
    """The published figure beside ours; alone where we have none; a dash where nobody has one."""
    if ours is None:
        return cell.published or "–"
    return f"{cell.published or '–'} / {ours}"
