"""Cumulative error curves of several runs in one plot, a panel for each data set.

    pullback curves RUN_DIR … [--of landmarks|pairs] [--datasets faust,scape] [--names A,B] [--limit 10]
    [--out FILE]

A folder without a metrics.json stands for all runs below it. ``landmarks``: the share of the landmarks of all pairs
within each error, from metrics.json; ``pairs``: the share of pairs whose mean error is within it, from pairs.csv. Runs
that differ by their seed alone become one line, their mean, in a band from the lowest to the highest. The legend gives
the mean error of each. FILE ends in .png, .svg or .pdf; without an ending all three are written. In what the protocols
of the runs differ is printed: such curves do not compare.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pullback.comparison.compare import differences, lines_of
from pullback.comparison.paired import pair_rows
from pullback.comparison.records import Record, all_records, by_seed
from pullback.comparison.run_files import RunError
from pullback.runtime.doorway import telling

if TYPE_CHECKING:
    from pullback.figures.curves import Curve

_THRESHOLDS = np.linspace(0, 0.20, 401)  # for the means of pairs; metrics.json brings its own
_ERROR = "geodesic_error_x100"
_AXES = {"landmarks": "points below, %", "pairs": "pairs with a mean below, %"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the plot."""
    parser = argparse.ArgumentParser(
        "pullback curves", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument("--of", choices=list(_AXES), default="landmarks", help="what is counted (default: landmarks)")
    parser.add_argument(
        "--datasets",
        type=lambda text: text.split(","),
        help="names, separated by commas; all that there are by default",
    )
    parser.add_argument(
        "--names", type=lambda text: text.split(","), help="names of the lines in order, in the place of the folders'"
    )
    parser.add_argument("--limit", type=float, help="the largest error shown, ×100 as on the axis (default: 20)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("curves"),
        metavar="FILE",
        help="default: curves.png, curves.svg and curves.pdf",
    )
    options = parser.parse_args(arguments)
    with telling():
        records = _records(options.folders, options.datasets)
        from pullback.figures.curves import cumulative_figure  # slow, and of no use to a wrong folder
        from pullback.figures.plot import save_figure

        panels = panels_of(records, of=options.of, names=options.names)
        limit = None if options.limit is None else options.limit / 100
        meshes = all("geodesics" in record.protocol for record in records)
        xlabel = "geodesic error ×100 (unit: √area)" if meshes else "error, % of the reference length"
        figure = cumulative_figure(panels, xlabel=xlabel, ylabel=_AXES[options.of], limit=limit)
        ends = [options.out.suffix] if options.out.suffix else [".png", ".svg", ".pdf"]
        paths = [save_figure(figure, options.out.with_name(options.out.stem + end)) for end in ends]
        print("written:", ", ".join(map(str, paths)))
        for note in notes_on(records):
            print(note)


def panels_of(
    records: Sequence[Record], *, of: str = "landmarks", names: Sequence[str] | None = None
) -> dict[str, dict[str, "Curve"]]:
    """Curves by data set and by label; a run looks the same in all panels.

    Raises RunError for too few or too many names.
    """
    groups = [kept for kept, _ in by_seed(records)]
    keys = list(dict.fromkeys(_runs(group) for group in groups))
    if names is not None and len(names) != len(keys):
        raise RunError(f"{len(names)} names for {len(keys)} lines: {'; '.join(keys)}")
    shown = dict(zip(keys, names or keys, strict=True))
    panels: dict[str, dict[str, "Curve"]] = {}
    for group in groups:
        label, curve = shown[_runs(group)], curve_of(group, of=of, style=keys.index(_runs(group)))
        panels.setdefault(f"{group[0].dataset} ({group[0].result['split']})", {})[f"{label}{_mean(group)}"] = curve
    return panels


def curve_of(group: Sequence[Record], *, of: str, style: int) -> "Curve":
    """The curve of a run, or the mean of those of several seeds with the band between them."""
    from pullback.figures.curves import Curve

    thresholds, shares = _THRESHOLDS, []
    for record in group:
        if of == "pairs":
            errors = np.array(
                [float(row[_ERROR]) / 100 for row in pair_rows(record, _ERROR).values() if row.get(_ERROR)]
            )
            shares.append((errors[:, None] <= thresholds).mean(axis=0))
        else:
            thresholds = np.array(record.result["pck_curve"]["thresholds"])
            shares.append(np.array(record.result["pck_curve"]["pck"]))
    several = np.stack(shares)
    band = (several.min(axis=0), several.max(axis=0)) if len(group) > 1 else None
    return Curve(thresholds, several.mean(axis=0), band, style)


def notes_on(records: Sequence[Record]) -> list[str]:
    """In what the protocols of runs on one data set differ: such curves do not compare."""
    lines = [
        line for record in dict.fromkeys((record.run, record.label) for record in records) for line in lines_of(*record)
    ]
    marks, notes = differences(lines)
    marked = [f"{line.run} on {line.dataset}: see {mark}" for line, mark in zip(lines, marks, strict=True) if mark]
    return [*marked, *notes]


def _records(folders: Sequence[Path], datasets: Sequence[str] | None) -> list[Record]:
    """The records with a curve.

    Raises RunError when there are none, or one for a data set that is asked for is missing.
    """
    found = [record for record in all_records(folders) if record.result.get("pck_curve")]
    known = list(dict.fromkeys(record.dataset for record in found))
    if not found or any(name not in known for name in datasets or ()):
        raise RunError(
            f"no error curve of {', '.join(datasets or ['any data set'])}; there are curves of "
            f"{', '.join(known) or 'none'}"
        )
    return [record for record in found if datasets is None or record.dataset in datasets]


def _runs(group: Sequence[Record]) -> str:
    return group[0].label if len(group) == 1 else f"{group[0].label} ({len(group)} seeds)"


def _mean(group: Sequence[Record]) -> str:
    values = [value for record in group if (value := record.metrics.get(_ERROR)) is not None]
    return "" if len(values) < len(group) else f"  {np.mean(values):.2f}"


if __name__ == "__main__":
    main()
