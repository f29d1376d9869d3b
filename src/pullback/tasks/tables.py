"""Results on the terminal: one table, and under it the protocol that its figures obey."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pullback.tasks.results import Result, TableRow


def print_table(results: Sequence[Result], *, console: Console | None = None) -> None:
    """Prints the rows of each data set, the protocol of each under the table, and the pairs that failed."""
    console = console or Console()
    if not console.is_terminal:  # a log file has no width; rich would assume 80 columns and fold the table
        console.width = max(console.width, 140)
    kinds: dict[type[Result], None] = dict.fromkeys(type(result) for result in results)
    for kind in kinds:
        console.print(_table([result for result in results if type(result) is kind]))
        console.print(kind.legend, style="dim")
    for line, datasets in _by_protocol(results).items():
        console.print(f"protocol of {', '.join(datasets)}: {line}", markup=False, highlight=False)
    for result in results:
        for pair in result.failed[:10]:
            console.print(f"failed: {result.dataset} {pair.title}: {pair.message}", style="red", markup=False)
        if len(result.failed) > 10:
            console.print(
                f"… and {len(result.failed) - 10} more of {result.dataset}, see pairs.csv", style="red", markup=False
            )


def plain_table(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the same table as text, for results of one kind."""
    heads, groups = _cells_of(results)
    return heads, [row for rows in groups for row in rows]


def _table(results: Sequence[Result]) -> Table:
    table = Table(title="Results")
    heads, groups = _cells_of(results)
    for heading in heads:
        table.add_column(escape(heading), justify="left" if heading == heads[0] else "right")
    for rows in groups:
        for label, pairs, *figures in rows:
            scored, failed, told = pairs.partition(" (+")
            table.add_row(escape(label), f"{scored}[red]{failed}{told}[/red]" if failed else scored, *figures)
        if len(rows) > 1:
            table.add_section()
    return table


def _cells_of(results: Sequence[Result]) -> tuple[list[str], list[list[list[str]]]]:
    """Heads, and for each result its rows; without the columns in which nothing is known."""
    every = [result.rows() for result in results]
    columns = {
        name: column
        for name, column in type(results[0]).columns.items()
        if any(row.metrics.get(name) is not None for rows in every for row in rows)
    }
    further = list(dict.fromkeys(name for result in results for name in result.further))
    forms = {name: form for name, (_, form) in columns.items()} | dict.fromkeys(further, "{:.4g}")
    heads = ["data set", "pairs", *(heading for heading, _ in columns.values()), *further]
    return heads, [[[row.label, *_cells(row, forms)] for row in rows] for rows in every]


def _cells(row: TableRow, forms: Mapping[str, str]) -> list[str]:
    values = ((form, row.metrics.get(name)) for name, form in forms.items())
    figures = ["–" if value is None else form.format(value) for form, value in values]
    return [f"{row.pairs}" + (f" (+{row.failed} failed)" if row.failed else ""), *figures]


def _by_protocol(results: Sequence[Result]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for result in results:
        groups.setdefault(result.protocol.line(), []).append(result.dataset)
    return groups
