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
        console.print(_table(kind, [result for result in results if type(result) is kind]))
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


def _table(kind: type[Result], results: Sequence[Result]) -> Table:
    table = Table(title="Results")
    table.add_column("data set")
    further = list(dict.fromkeys(name for result in results for name in result.further))
    every = [result.rows() for result in results]
    columns = {
        name: column
        for name, column in kind.columns.items()
        if any(row.metrics.get(name) is not None for rows in every for row in rows)
    }
    for heading in ("pairs", *(heading for heading, _ in columns.values()), *map(escape, further)):
        table.add_column(heading, justify="right")
    forms = {name: form for name, (_, form) in columns.items()} | dict.fromkeys(further, "{:.4g}")
    for rows in every:
        for row in rows:
            table.add_row(escape(row.label), *_cells(row, forms))
        if len(rows) > 1:
            table.add_section()
    return table


def _cells(row: TableRow, forms: Mapping[str, str]) -> list[str]:
    values = ((form, row.metrics.get(name)) for name, form in forms.items())
    figures = ["–" if value is None else form.format(value) for form, value in values]
    return [f"{row.pairs}" + (f" [red](+{row.failed} failed)[/red]" if row.failed else ""), *figures]


def _by_protocol(results: Sequence[Result]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for result in results:
        groups.setdefault(result.protocol.line(), []).append(result.dataset)
    return groups
