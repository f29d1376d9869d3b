"""Results on the terminal: one table, and under it the protocol that its figures obey."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pullback.tasks.results import DatasetResult, EvalProtocol

# metric → (heading, format); the order is that of the columns
_COLUMNS = {
    "geodesic_error_x100": ("error ×100", "{:.2f}"),
    "geodesic_error_micro_x100": ("micro", "{:.2f}"),
    "geodesic_error_median_x100": ("median", "{:.2f}"),
    "auc@0.10": ("AUC@0.10", "{:.3f}"),
    "pck@0.10": ("PCK@0.10", "{:.3f}"),
    "coverage": ("coverage", "{:.3f}"),
    "flip_rate": ("flips", "{:.3f}"),
}


def print_table(results: Sequence[DatasetResult], *, console: Console | None = None) -> None:
    """Prints a row for each data set, the protocol of each under the table, and the pairs that failed."""
    console = console or Console()
    if not console.is_terminal:  # a log file has no width; rich would assume 80 columns and fold the table
        console.width = max(console.width, 140)
    console.print(_table(results))
    console.print("errors: geodesic, in units of √area of shape 1; micro, median, AUC and PCK pool the landmarks of all pairs", style="dim")
    for protocol, datasets in _by_protocol(results).items():
        console.print(f"protocol of {', '.join(datasets)}: {protocol_line(protocol)}", markup=False, highlight=False)
    for result in results:
        for pair in result.failed[:10]:
            console.print(f"failed: {result.dataset} {pair.shape1} – {pair.shape2}: {pair.message}", style="red", markup=False)
        if len(result.failed) > 10:
            console.print(f"… and {len(result.failed) - 10} more of {result.dataset}, see pairs.csv", style="red", markup=False)


def protocol_line(protocol: EvalProtocol) -> str:
    """All parts of a protocol in one line."""
    parts = [
        f"pairs {protocol.pairs}",
        f"geodesics {protocol.geodesics}",
        f"averaging {protocol.averaging.split(':')[0]}",
        f"refinement {protocol.refinement}",
        f"checkpoint {protocol.checkpoint}",
        protocol.notes,
    ]
    return " | ".join(part for part in parts if part)


def _table(results: Sequence[DatasetResult]) -> Table:
    table = Table(title="Results")
    table.add_column("data set")
    for heading in ("pairs", *(heading for heading, _ in _COLUMNS.values())):
        table.add_column(heading, justify="right")
    for result in results:
        metrics = result.metrics()
        figures = ["–" if metrics[name] is None else form.format(metrics[name]) for name, (_, form) in _COLUMNS.items()]
        count = f"{len(result.scores)}" + (f" [red](+{len(result.failed)} failed)[/red]" if result.failed else "")
        table.add_row(escape(f"{result.dataset} ({result.split})"), count, *figures)
    return table


def _by_protocol(results: Sequence[DatasetResult]) -> dict[EvalProtocol, list[str]]:
    groups: dict[EvalProtocol, list[str]] = {}
    for result in results:
        groups.setdefault(result.protocol, []).append(result.dataset)
    return groups
