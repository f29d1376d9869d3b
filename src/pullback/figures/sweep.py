"""Figures over the values of a sweep."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pullback.figures.curves import LEGEND, line_style, number_or_nan
from pullback.figures.plot import dress, new_figure

Points = dict[str, list[float]]  # by the value on the axis the figures of all its runs

_LETTERS = 40  # of all values together, that have room beside each other
_MANY_TIMES = 8  # a logarithmic axis, where the largest value is as many times the smallest


def sweep_figure(panels: Mapping[str, Mapping[str, Points]], *, xlabel: str) -> Figure:
    """Metrics over swept values by title of the panel and label of the line, the panels side by side (three in a row).

    Numbers stand where they belong on a linear or, if they span a factor of 8, a logarithmic axis, and side by side if
    they fit on neither. Words stand side by side as they come, and no line joins them. Several figures at a value:
    their mean, in a band from the lowest to the highest. Raises ValueError when a panel is empty, or there is none.
    """
    if not panels or not all(panels.values()):
        raise ValueError("a figure of a sweep needs at least one line")
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(5.6 if columns == 1 else 4.4 * columns, (3.8 if columns == 1 else 3.4) * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    found = dict.fromkeys(value for lines in panels.values() for points in lines.values() for value in points)
    values = sorted(found, key=_rank)  # words keep their order
    labels = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    for axes, (title, lines) in zip(grid, panels.items(), strict=False):
        dress(axes, xlabel=xlabel, title=title)
        places = _arrange(axes, values)
        for label, points in lines.items():
            _draw(axes, label, points, places, values, style=line_style(labels.index(label)))
        if any(labels):
            axes.legend(loc="best", **LEGEND)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return figure


def _draw(
    axes: Axes, label: str, points: Points, places: Mapping[str, float], values: Sequence[str], *, style: dict
) -> None:
    known = [value for value in values if value in points]
    at = [places[value] for value in known]
    means = [sum(points[value]) / len(points[value]) for value in known]
    if any(len(points[value]) > 1 for value in known):
        low, high = ([edge(points[value]) for value in known] for edge in (min, max))
        axes.fill_between(at, low, high, color=style["color"], alpha=0.18, linewidth=0)
    joined = {} if any(math.isfinite(number_or_nan(value)) for value in values) else {"linestyle": "none"}
    axes.plot(at, means, label=label, marker="o", markersize=4, **(style | joined))


def _arrange(axes: Axes, values: Sequence[str]) -> dict[str, float]:
    """Where each value stands; sets scale and ticks of the axis."""
    numbers = [number_or_nan(value) for value in values]
    known = [number for number in numbers if math.isfinite(number)]
    places = [float(place) for place in range(len(values))]
    if len(known) == len(values):
        smallest = min((abs(number) for number in known if number), default=1.0)
        spread = max(map(abs, known)) / smallest
        if min(known) > 0 and spread >= _MANY_TIMES:
            axes.set_xscale("log")
            places = known
        elif spread < _MANY_TIMES:
            places = known
    long = sum(map(len, values)) > _LETTERS
    axes.set_xticks(places, values, rotation=30 if long else 0, ha="right" if long else "center")
    axes.xaxis.set_minor_locator(NullLocator())
    return dict(zip(values, places, strict=True))


def _rank(value: str) -> float:
    """Numbers by their size, then words."""
    number = number_or_nan(value)
    return number if math.isfinite(number) else math.inf
