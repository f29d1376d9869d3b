"""What a data folder holds: ``pullback check-data [DIR] [--sets faust smal] [--deep]``."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pullback.data.known_sets import ABSENT, COMPLETE, DAMAGED, FOLDERS, INCOMPLETE

if TYPE_CHECKING:
    from pullback.data.inventory import Finding

_COLOURS = {COMPLETE: "green", INCOMPLETE: "yellow", DAMAGED: "red", ABSENT: "dim"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was found; returns 0 when all that is there is in order, 1 when not, 2 for a wrong call.

    With ``--sets`` an absent one is not in order either.
    """
    given = _parser().parse_args(arguments)
    wrong = mistake(given.folder)
    if wrong is not None:
        print(f"error: {wrong}", file=sys.stderr)
        return 2
    folder = Path(given.folder)
    console = Console()
    with Console(stderr=True).status(f"looking at {folder}"):
        from pullback.data.inventory import examine  # slow, and of no use to a wrong call

        findings = [examine(key, folder, deep=given.deep) for key in given.sets or FOLDERS]
    console.print(_table(findings, folder))
    for line in _explanations(findings):
        console.print(line, soft_wrap=True, highlight=False)
    accepted = {COMPLETE} if given.sets else {COMPLETE, ABSENT}
    return 0 if all(finding.state in accepted for finding in findings) else 1


def mistake(name: str) -> str | None:
    """What is wrong with a name in the place of the data folder, and what to type.

    None for a folder that may hold data sets.
    """
    key, equals, value = name.rpartition("=")
    folder = Path(name)
    if folder.is_dir() and name:
        usual = Path(os.path.abspath(folder))  # as it is called, wherever a link leads
        inside = usual.name in FOLDERS.values() and not any((folder / below).is_dir() for below in FOLDERS.values())
        return (
            f"{name} is a data set itself; give the folder that holds it: {shlex.quote(str(usual.parent))}"
            if inside
            else None
        )
    if value in FOLDERS and (not equals or key == "dataset"):
        return f"{name} is no folder; a data set by its name is: --sets {value}"
    if equals:
        return f"{name} is no folder; give its name alone: {shlex.quote(value or 'DIR')}"
    fault = f"{name} is a file" if name and folder.exists() else f"there is no folder {name or 'with an empty name'}"
    return f"{fault}; give the one that holds FAUST_r and the others, or set PULLBACK_DATA_DIR"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pullback check-data", description="Which data sets are there, and are they in order?"
    )
    usual = os.environ.get("PULLBACK_DATA_DIR") or "data"
    parser.add_argument(
        "folder", nargs="?", default=usual, metavar="DIR", help="the folder of FAUST_r and the others [%(default)s]"
    )
    parser.add_argument(
        "--sets", nargs="+", choices=list(FOLDERS), metavar="NAME", help=f"only these, of {', '.join(FOLDERS)}"
    )
    parser.add_argument(
        "--deep", action="store_true", help="read every mesh and photograph (minutes), instead of counting lines"
    )
    return parser


def _table(findings: Sequence["Finding"], folder: Path) -> Table:
    table = Table(title=f"data sets in {folder}", title_justify="left")
    for column in ("dataset=", "folder", "state"):
        table.add_column(column)
    for column in ("shapes", "pairs"):
        table.add_column(f"{column}: train + test", justify="right")
    for finding in findings:
        colour = _COLOURS[finding.state]
        table.add_row(
            finding.key, finding.root.name, f"[{colour}]{finding.state}[/{colour}]", finding.shapes, finding.pairs
        )
    return table


def _explanations(findings: Sequence["Finding"]) -> list[str]:
    """What is wrong, and where to get what is missing; sets without trouble are not mentioned."""
    from pullback.data.errors import shorten

    lines = []
    for finding in findings:
        head = f"[bold]{finding.key}[/bold]"
        problems = [escape(problem.removesuffix(".")) for problem in finding.problems]
        if problems:
            lines.append(f"{head}: {shorten(problems, most=3) if len(problems) > 1 else problems[0]}")
        lines += [f"{head}: {escape(remark)}" for remark in finding.remarks]
        if finding.source:
            lines.append(f"{head}: [dim]{escape(finding.source)}[/dim]")
    return lines


if __name__ == "__main__":
    sys.exit(main())
