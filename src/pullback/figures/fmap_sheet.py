"""Many functional maps on one sheet, each with what is written under it: figure 6 of the image paper."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from pullback.figures.palette import MAGNITUDE_MAP
from pullback.figures.plot import INK, LINE, MUTED, new_figure

_SIDE, _TEXT = 2.3, 0.62  # inches of a matrix, and of the lines about it


@dataclass(frozen=True)
class NamedFmap:
    """A functional map 1 → 2 with its title, and what is to be read under it."""

    title: str
    fmap12: Float[ndarray, "k2 k1"]
    words: str = ""


def fmap_sheet(fmaps: Sequence[NamedFmap], *, columns: int, heading: str = "", block: int = 50) -> Figure:
    """Magnitudes of the top-left blocks in rows of ``columns`` panels, each on its own scale from 0 to its largest.

    Magnitudes, because signs of eigenfunctions are arbitrary; scales of their own, because a map that is shrunk by its
    regularisers would be pale beside one that is not. The end of each scale stands in the corner. Raises ValueError
    without a map.
    """
    if not fmaps:
        raise ValueError("a sheet of functional maps needs at least one of them")
    rows = -(-len(fmaps) // columns)
    figure = new_figure(columns * (_SIDE + 0.25) + 0.5, rows * (_SIDE + _TEXT) + 0.55)
    if heading:
        figure.suptitle(heading, color=INK, size=10, weight="bold")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(fmaps) :]:
        axes.set_visible(False)
    for axes, one in zip(grid.flat, fmaps, strict=False):
        shown = np.abs(one.fmap12[:block, :block].astype(float))
        limit = max(float(np.quantile(shown, 0.999)), 1e-12)
        axes.imshow(shown, cmap=MAGNITUDE_MAP, vmin=0.0, vmax=limit, interpolation="none")
        axes.set_xticks([]), axes.set_yticks([])
        axes.spines[:].set_color(LINE)
        axes.set_title(one.title, color=INK, size=8)
        axes.set_xlabel(f"{one.words}\n{_size(shown)}, scale 0 to {limit:.2g}".strip(), color=MUTED, size=6.5)
    figure.supxlabel("|fmap12|: columns are eigenfunctions of image 1, rows of image 2", color=MUTED, size=7.5)
    return figure


def _size(matrix: Float[ndarray, "k2 k1"]) -> str:
    return f"{matrix.shape[0]} × {matrix.shape[1]}"
