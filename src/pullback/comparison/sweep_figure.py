"""A figure over the values of a sweep, a panel for each data set and metric.

    pullback sweep-figure SWEEP_DIR … [--metrics geodesic_error_x100,coverage] [--along solver.init_blur] [--out FILE]

Several folders count as one sweep. The axis is the option of which most numbers were tried, or the one named by
``--along``; what else differs sets lines apart. Runs that differ by their seed alone become one line, their mean, in a
band from the lowest to the highest. FILE ends in .png, .svg or .pdf; without an ending all three are written.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pullback.comparison.compare import PERCENT, Line, chosen, lines_of
from pullback.comparison.records import Record, labels, records_of, run_folders
from pullback.comparison.run_files import RunError, read_overrides, reads_as_number
from pullback.runtime.doorway import telling

if TYPE_CHECKING:
    from pullback.figures.sweep import Points

# What is shown unless metrics are named: the first that there is.
_SHOWN = ("geodesic_error_x100", "pck@0.10", "epe")
_SEED = "seed"
_NO_SETTING = ("hydra.", "hydra/", "paths.", "cluster=", "predictions=", "resume=", "logger=")
_ENDS = (".png", ".svg", ".pdf")


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the figure."""
    parser = argparse.ArgumentParser(
        "pullback sweep-figure", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="SWEEP_DIR")
    parser.add_argument(
        "--metrics", type=lambda text: text.split(","), help="names in metrics.json, separated by commas"
    )
    parser.add_argument("--along", metavar="OPTION", help="the option on the axis, such as solver.init_blur")
    parser.add_argument(
        "--out", type=Path, default=Path("sweep"), metavar="FILE", help="default: sweep.png, sweep.svg and sweep.pdf"
    )
    options = parser.parse_args(arguments)
    with telling():
        sweep = Sweep.read(options.folders, along=options.along)
        paths = sweep.save(options.out, metrics=options.metrics)
        print("written:", ", ".join(map(str, paths)))


def draw_beside(folder: Path) -> None:
    """Writes ``sweep.png`` into the folder of a sweep, if its jobs differ in anything."""
    try:
        (path,) = Sweep.read([folder]).save(folder / "sweep.png")
    except RunError:
        return
    print(f"\nwritten: {path}")


@dataclass(frozen=True)
class Sweep:
    """Finished jobs, and the options by which they differ."""

    records: Sequence[Record]
    differing: Mapping[Path, Mapping[str, str]]  # by run: value by option, of options that differ
    along: str  # the option on the axis

    @staticmethod
    def read(folders: Sequence[Path], *, along: str | None = None) -> "Sweep":
        """Raises RunError where no option differs, or another one than ``along``."""
        runs = run_folders(folders)
        records = [one for label, run in zip(labels(runs), runs, strict=True) for one in records_of(run, label)]
        differing = differences({run: _typed(run) for run in runs})
        found = list(next(iter(differing.values())))
        options = [option for option in found if option != _SEED] or found
        if not options or along not in (None, *options):
            raise RunError(
                f"finished runs ({len(runs)}) differ in {', '.join(options) or 'no option'}"
                + (f": {along} cannot be the axis" if along and options else ": there is nothing to draw")
            )
        return Sweep(records, differing, along or _axis(options, differing))

    def save(self, out: Path, *, metrics: Sequence[str] | None = None) -> list[Path]:
        """Writes the figure as ``out`` or, without an ending, as .png, .svg and .pdf; returns the paths."""
        from pullback.figures.plot import save_figure
        from pullback.figures.sweep import sweep_figure

        figure = sweep_figure(self.panels(metrics), xlabel=self.along)
        ends = [out.suffix] if out.suffix in _ENDS else _ENDS
        stem = out.with_suffix("") if out.suffix in _ENDS else out
        return [save_figure(figure, stem.with_name(stem.name + end)) for end in ends]

    def panels(self, metrics: Sequence[str] | None = None) -> dict[str, dict[str, "Points"]]:
        """By title of the panel and label of the line: value on the axis, and the figures of its runs."""
        found: dict[str, dict[str, Points]] = {}
        for metric in self._metrics(metrics):
            for record in self.records:
                value = record.metrics.get(metric)
                if value is not None:
                    factor, unit = (100, ", %") if metric.startswith(PERCENT) else (1, "")
                    lines = found.setdefault(f"{record.dataset} ({record.result['split']}): {metric}{unit}", {})
                    at = self.differing[record.run][self.along]
                    lines.setdefault(self._line(record.run), {}).setdefault(at, []).append(factor * value)
        if not found:
            raise RunError("no run has a value of the metric")
        return found

    def _metrics(self, metrics: Sequence[str] | None) -> list[str]:
        known = chosen(self._table, metrics)
        return known if metrics else [next((name for name in _SHOWN if name in known), known[0])]

    @cached_property
    def _table(self) -> list[Line]:
        runs = {one.run: one.label for one in self.records}
        return [line for run, label in runs.items() for line in lines_of(run, label)]

    def _line(self, run: Path) -> str:
        others = {option: value for option, value in self.differing[run].items() if option not in (self.along, _SEED)}
        return ", ".join(f"{option}={value}" for option, value in others.items())


def differences(typed: Mapping[Path, Mapping[str, str]]) -> dict[Path, dict[str, str]]:
    """What was typed for each run, of the options that differ; "default" where nothing was."""
    options = dict.fromkeys(option for values in typed.values() for option in values)
    told = {run: {option: values.get(option, "default") for option in options} for run, values in typed.items()}
    kept = [option for option in options if len({values[option] for values in told.values()}) > 1]
    return {run: {option: values[option] for option in kept} for run, values in told.items()}


def _axis(options: Sequence[str], differing: Mapping[Path, Mapping[str, str]]) -> str:
    """The option of which most numbers were tried, else the one of most values."""

    def rank(option: str) -> tuple[bool, int]:
        values = {told[option] for told in differing.values()}
        return all(map(reads_as_number, values)), len(values)

    return max(options, key=rank)


def _typed(run: Path) -> dict[str, str]:
    return dict(_settings(read_overrides(run / ".hydra" / "overrides.yaml")))


def _settings(typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in typed:
        option, _, value = text.lstrip("+~").partition("=")
        if not text.lstrip("+~").startswith(_NO_SETTING):
            yield option, value
