"""PCK curves of evaluations, and training curves from a log file."""

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator
from numpy import ndarray
from torch import Tensor

from pullback.figures.palette import DASHES, SERIES_LIGHT
from pullback.figures.plot import INK, dress, new_figure
from pullback.figures.surface import as_array

Values = Float[Tensor, " _"] | Float[ndarray, " _"] | Sequence[float]
Series = tuple[Float[ndarray, " _"], Float[ndarray, " _"]]  # steps and values

_SMOOTH_ABOVE = 60  # longer series are drawn faintly, with their running median on top


@dataclass(frozen=True)
class Curve:
    """A cumulative curve: shares in [0, 1] within each threshold, and the spread of the runs behind it."""

    thresholds: Values  # units of √area, or shares of a length
    share: Values
    band: tuple[Values, Values] | None = None  # the lowest and the highest share of several runs
    style: int | None = None  # lines of one number look the same in all panels; None: the place in the panel


def pck_figure(
    curves: Mapping[str, tuple[Values, Values]], *, xlabel: str = "geodesic error ×100 (unit: √area)"
) -> Figure:
    """Share of points whose error is below each threshold, a line for each label.

    ``curves`` maps a label to thresholds (units of √area, or shares of a length) and shares in [0, 1]; the axis shows
    thresholds ×100. Raises ValueError when it is empty.
    """
    return cumulative_figure({"": {label: Curve(*curve) for label, curve in curves.items()}}, xlabel=xlabel)


def cumulative_figure(
    panels: Mapping[str, Mapping[str, Curve]],
    *,
    xlabel: str = "geodesic error ×100 (unit: √area)",
    ylabel: str = "points below, %",
    limit: float | None = None,
) -> Figure:
    """Cumulative curves by title of the panel and label of the line, the panels side by side (three in a row).

    Thresholds ×100.

    ``limit`` is the largest threshold shown. Raises ValueError when a panel is empty, or there is none.
    """
    if not panels or not all(panels.values()):
        raise ValueError("a PCK figure needs at least one curve")
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(6.8 if columns == 1 else 4.4 * columns, (4.0 if columns == 1 else 3.6) * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, curves) in zip(grid, panels.items(), strict=False):
        dress(axes, xlabel=xlabel, ylabel=ylabel, title=title)
        for i, (label, curve) in enumerate(curves.items()):
            _draw_curve(axes, label, curve, style=line_style(i if curve.style is None else curve.style))
        axes.set_xlim(0, 100 * (limit or max(float(max(curve.thresholds)) for curve in curves.values())))
        axes.set_ylim(0, 102)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.legend(loc="best", **LEGEND)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return figure


def curves_of_results(results: Sequence[Mapping[str, Any]]) -> dict[str, tuple[list[float], list[float]]]:
    """The curves stored in the ``results`` of a metrics.json, under the names of data set and split."""
    curves = {f"{row['dataset']} {row['split']}": row.get("pck_curve") for row in results}
    return {label: (curve["thresholds"], curve["pck"]) for label, curve in curves.items() if curve}


def read_training_log(path: str | Path) -> dict[str, Series]:
    """The series of a ``metrics.csv`` of Lightning: steps and values by column, without empty and NaN cells.

    Raises FileNotFoundError when there is no file, and ValueError when it has no ``step`` column.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no training log at {path}; it is the metrics.csv that the CSV logger writes into the run folder"
        )
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if "step" not in (reader.fieldnames or []):
            raise ValueError(
                f"{path} has the columns {reader.fieldnames}, none of them 'step'; pass a metrics.csv of the CSV logger"
            )
        points: dict[str, dict[float, float]] = defaultdict(dict)
        for row in reader:
            step = number_or_nan(row.get("step"))
            for name in reader.fieldnames or []:
                value = number_or_nan(row.get(name))
                if name not in ("step", "epoch") and not math.isnan(value) and not math.isnan(step):
                    points[name][step] = value  # a resumed run repeats steps: the last one counts
    return {name: tuple(np.array(sorted(p.items())).T) for name, p in points.items()}


def training_figure(log: Mapping[str, Series]) -> Figure:
    """Small multiples of a training log: the losses together, then a panel a metric, a line a data set.

    Raises ValueError when the log is empty.
    """
    panels = _panels(log)
    if not panels:
        raise ValueError("the training log holds no values yet")
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(4.4 * columns, 2.8 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, lines) in zip(grid, panels.items(), strict=False):
        dress(axes, xlabel="step", title=title)
        _draw_lines(axes, lines)
        if title.endswith(("loss", "norm")):
            _use_decades(axes, np.concatenate([values for _, values in lines.values()]))
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return figure


LEGEND = {"frameon": False, "fontsize": 8, "labelcolor": INK, "handlelength": 2.6}


def line_style(i: int) -> dict:
    """Colour and dash of the i-th line: beyond six lines the colours come again with another dash."""
    dash = DASHES[(i + i // len(SERIES_LIGHT)) % len(DASHES)]
    return {"color": SERIES_LIGHT[i % len(SERIES_LIGHT)], "linestyle": dash, "linewidth": 1.8}


def _draw_curve(axes: Axes, label: str, curve: Curve, *, style: Mapping[str, Any]) -> None:
    errors = 100 * as_array(curve.thresholds)
    if curve.band is not None:
        low, high = (100 * as_array(edge) for edge in curve.band)
        axes.fill_between(errors, low, high, color=style["color"], alpha=0.18, linewidth=0)
    axes.plot(errors, 100 * as_array(curve.share), label=label, **style)


def _draw_lines(axes: Axes, lines: Mapping[str, Series]) -> None:
    for i, (label, (steps, values)) in enumerate(lines.items()):
        style = line_style(i)
        if len(steps) > _SMOOTH_ABOVE:
            axes.plot(steps, values, color=style["color"], linewidth=0.5, alpha=0.3)
            values = _running_median(values, width=len(values) // 30)
        marker = "o" if len(steps) <= 30 else None
        axes.plot(steps, values, label=label, marker=marker, markersize=3, **style)
    if len(lines) > 1:
        axes.legend(loc="best", **LEGEND)


def _use_decades(axes: Axes, values: Float[ndarray, " s"]) -> None:
    """A logarithmic axis with plain numbers, where positive values span more than a factor of 20."""
    if values.min() <= 0 or values.max() <= 20 * values.min():
        return
    axes.set_yscale("log")
    several = values.max() > 300 * values.min()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if several else (1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_locator(NullLocator())


def _running_median(values: Float[ndarray, " s"], *, width: int) -> Float[ndarray, " s"]:
    half = max(width, 2)
    padded = np.pad(values, half, mode="reflect")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)


def _panels(log: Mapping[str, Series]) -> dict[str, dict[str, Series]]:
    """Panels by title: ``train/loss/x`` becomes line x of "train loss",
    ``val/humans/coverage`` line humans of "val coverage"; errors without a data set share one panel.
    """
    panels: dict[str, dict[str, Series]] = defaultdict(dict)
    for name in sorted(log, key=_importance):
        if name.endswith("_epoch") and name.removesuffix("_epoch") + "_step" in log:
            continue
        parts = name.removesuffix("_step").replace("_", " ").split("/")
        if parts[1:2] == ["loss"]:
            title, line = f"{parts[0]} loss", "/".join(parts[2:]) or "total"
        elif len(parts) > 2:
            title, line = f"{parts[0]} {parts[-1]}", "/".join(parts[1:-1])
        else:
            title, line = f"{parts[0]} error" if "error" in parts[-1] else " ".join(parts), parts[-1]
        panels[title][line] = log[name]
    return dict(panels)


def _importance(name: str) -> tuple:
    """Losses first, then validation errors, then the rest by name."""
    ranks: Sequence[str] = ("train/loss", "val/", "train/")
    rank = next((i for i, start in enumerate(ranks) if name.startswith(start)), len(ranks))
    return rank, "error" not in name, name


def number_or_nan(cell: str | None) -> float:
    """The value of a cell; NaN when it is empty, or cut short because the run is still writing."""
    try:
        return float(cell or "nan")
    except ValueError:
        return math.nan
