"""The plot of `training_step` and `two_branch`: time and peak memory of a training pair against its vertices."""

from collections.abc import Sequence
from pathlib import Path

from experiments.benchmarks.harness import Row
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from pullback.figures.palette import DASHES, SERIES_LIGHT
from pullback.figures.plot import dress, new_figure, save_figure
from pullback.files import read_json

FEWER = "pair, 1 + 2 maps"  # what KeOps is measured with where eleven maps would take it too long to compile
SERIES = ("blocked", "dense", "triton", "keops")  # a colour and a dash each


def save_plot(rows: Sequence[Row], path: Path) -> Path:
    """Two panels, both axes logarithmic; a cross where a backend ran out of memory. Returns the path.

    Of several conditions the one with the most threads, quiet, is drawn.
    """
    most = max(row.threads or 0 for row in rows)
    rows = [row for row in rows if row.busy == 0 and row.threads == most] or rows
    figure = new_figure(8.4, 3.5, dpi=110)
    axes = figure.subplots(1, 2)
    main = rows[0].work  # what every backend is drawn for, as far as it was measured
    for panel, (quantity, label) in zip(
        axes, (("seconds", "seconds a pair"), ("peak_bytes", "peak memory above the start")), strict=True
    ):
        dress(panel, xlabel="vertices of each shape", ylabel="", title=label)
        panel.set_xscale("log")
        panel.set_yscale("log")
        for backend in SERIES:
            draw(panel, [row for row in rows if row.backend == backend], backend, quantity, main)
        sizes = sorted({row.sizes["vertices"] for row in rows if row.work == main})
        panel.set_xticks(sizes, [f"{n / 1000:.0f}k" for n in sizes])
        panel.minorticks_off()
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
    axes[1].yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value / 1e6:g} MB" if value < 1e9 else f"{value / 1e9:g} GB")
    )
    axes[0].legend(frameon=False, fontsize=8)
    return save_figure(figure, path)


def draw(panel: Axes, rows: Sequence[Row], backend: str, quantity: str, main: str) -> None:
    """One backend: the main work, or 1 + 2 maps where that is all there is."""
    work = main if any(row.work == main for row in rows) else FEWER
    known = [
        (row.sizes["vertices"], getattr(row, quantity)) for row in rows if row.work == work and getattr(row, quantity)
    ]
    if not known:
        return
    i = SERIES.index(backend)
    label = backend if work == main else f"{backend} (1 + 2 maps)"
    n, values = zip(*known, strict=True)
    panel.plot(
        n, values, color=SERIES_LIGHT[i], linestyle=DASHES[i], marker="o", markersize=3.5, linewidth=1.6, label=label
    )
    over = [row.sizes["vertices"] for row in rows if row.work == work and row.seconds is None and "memory" in row.note]
    if over:
        place = over[0], values[-1] * (over[0] / n[-1]) ** 2
        panel.plot(*place, marker="x", color=SERIES_LIGHT[i], markersize=7)
        panel.annotate(
            "out of memory", place, (-8, -3), textcoords="offset points", size=7, ha="right", color=SERIES_LIGHT[i]
        )


def rows_of(path: Path) -> list[Row]:
    """The rows of a JSON file, to draw it again."""
    return [Row(**row) for row in read_json(path)["rows"]]
