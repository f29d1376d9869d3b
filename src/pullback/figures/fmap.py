"""Functional-map matrices, before and after refinement or side by side, and features on the surfaces."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy import ndarray
from scipy.linalg import qr
from torch import Tensor

from pullback.figures.camera import View
from pullback.figures.palette import FEATURE_MAP, MAGNITUDE_MAP, SIGNED_MAP, value_colors
from pullback.figures.picture import ColourBar, Panel, Picture
from pullback.figures.plot import LINE, MUTED, dress, new_figure
from pullback.figures.scene import Scene
from pullback.figures.surface import TriangleMesh, as_array

Matrix = Float[Tensor, "_ _"] | Float[ndarray, "_ _"]


def fmap_figure(
    fmap12_init: Float[Tensor, "k2_init k1_init"] | Float[ndarray, "k2_init k1_init"],
    fmap12: Float[Tensor, "k2 k1"] | Float[ndarray, "k2 k1"],
) -> Figure:
    """The map 1 → 2 from the features, the same block after refinement, and the whole refined map if that is larger.

    Above with sign, below its magnitude: signs of eigenfunctions are arbitrary, so an exact map of isometric shapes is
    a diagonal of ±1 and its quality is read off the magnitude. All panels of a row share one scale.
    """
    before, after = as_array(fmap12_init).astype(float), as_array(fmap12).astype(float)
    k2, k1 = before.shape
    named = [(before, "before refinement"), (after[:k2, :k1], "the same block after"), (after, "after refinement")]
    if after.shape == before.shape:
        del named[1]
    panels = [(matrix, f"{name}, {_size(matrix)}") for matrix, name in named]
    values = np.concatenate([before.ravel(), after.ravel()])
    return _panels_figure(panels, values, width=1.0 + 2.6 * len(panels), side="shape")


def fmaps_figure(fmaps: Mapping[str, Matrix], *, block: int = 50) -> Figure:
    """Functional maps 1 → 2 by name, as with and without regularisers: the top-left block, and the whole.

    Above with sign, below its magnitude; all panels of a row share one scale. Raises ValueError when there is none.
    """
    if not fmaps:
        raise ValueError("a figure of functional maps needs at least one of them")
    matrices = {name: as_array(fmap).astype(float) for name, fmap in fmaps.items()}
    named = [(matrix[:block, :block], name) for name, matrix in matrices.items()]
    named += [(matrix, name) for name, matrix in matrices.items() if max(matrix.shape) > block]
    panels = [(matrix, f"{name}\n{_size(matrix)}") for matrix, name in named]
    values = np.concatenate([matrix.ravel() for matrix in matrices.values()])
    return _panels_figure(panels, values, width=1.0 + 2.6 * len(panels), side="image")


def fmap_picture(fmaps: Mapping[str, Matrix], *, title: str, block: int = 50, height: int = 300) -> Picture:
    """Magnitudes of functional maps 1 → 2 by name as panels of a picture: the top-left block of each, and the whole;
    one scale.
    """
    matrices = {name: np.abs(as_array(fmap).astype(float)) for name, fmap in fmaps.items()}
    limit = _limit(np.concatenate([matrix.ravel() for matrix in matrices.values()]))
    panels = []
    for name, matrix in matrices.items():
        for part in (matrix[:block, :block], matrix) if max(matrix.shape) > block else (matrix,):
            rows = np.arange(height) * part.shape[0] // height
            width = max(1, round(height * part.shape[1] / part.shape[0]))
            shown = part[rows][:, np.arange(width) * part.shape[1] // width]
            colors = value_colors(shown.ravel(), MAGNITUDE_MAP, low=0.0, high=limit).reshape(*shown.shape, 3)
            image = np.round(255 * np.concatenate([colors, np.ones((*shown.shape, 1))], axis=-1)).astype(np.uint8)
            panels.append(Panel(image, f"{name}, {_size(part)}"))
    return Picture(title, tuple(panels), bar=ColourBar(MAGNITUDE_MAP, "0", f"{limit:.2g}", "|fmap12|"))


def _size(matrix: Float[ndarray, "_ _"]) -> str:
    return f"{matrix.shape[0]} × {matrix.shape[1]}"


def _limit(values: Float[ndarray, " v"]) -> float:
    """The end of the scale: all but the very largest entries, and not above 1."""
    return float(np.clip(np.quantile(np.abs(values), 0.999), 1e-6, 1.0))


def _panels_figure(
    panels: Sequence[tuple[Float[ndarray, "_ _"], str]], values: Float[ndarray, " v"], *, width: float, side: str
) -> Figure:
    """A column for each matrix: above with sign, below its magnitude, scaled to ``values``."""
    figure = new_figure(width, 5.7)
    grid = figure.subplots(2, len(panels), squeeze=False)
    limit = _limit(values)
    for (matrix, title), top, bottom in zip(panels, grid[0], grid[1], strict=True):
        signed = _matrix(top, matrix, title=title, cmap=SIGNED_MAP, vmin=-limit, vmax=limit)
        magnitude = _matrix(bottom, np.abs(matrix), title="", cmap=MAGNITUDE_MAP, vmin=0, vmax=limit)
        bottom.set_xlabel(f"eigenfunction of {side} 1", color=MUTED, size=8.5)
    for image, row, label, extend in ((signed, grid[0], "fmap12", "both"), (magnitude, grid[1], "|fmap12|", "max")):
        bar = figure.colorbar(image, ax=row, fraction=0.02, pad=0.01, aspect=18, extend=extend)
        bar.set_label(label, color=MUTED, size=8)
        bar.ax.tick_params(colors=MUTED, labelsize=7, length=0)
        bar.outline.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(f"eigenfunction of {side} 2", color=MUTED, size=8)
    return figure


def _matrix(axes: Axes, matrix: Float[ndarray, "k2 k1"], *, title: str, **scale: Any) -> AxesImage:
    dress(axes, title=title)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(LINE)
    axes.tick_params(labelsize=7)
    return axes.imshow(matrix, interpolation="none", **scale)


def draw_features(
    shape1: TriangleMesh,
    shape2: TriangleMesh,
    feat1: Float[Tensor, "n1 c1"] | Float[ndarray, "n1 c1"],
    feat2: Float[Tensor, "n2 c2"] | Float[ndarray, "n2 c2"],
    *,
    names: tuple[str, str] = ("shape 1", "shape 2"),
    count: int = 4,
    view: View | None = None,
) -> list[Picture]:
    """The ``count`` most telling channels on both shapes, a picture for each channel, one colour scale for both shapes.

    Channels are chosen by pivoted QR: large variation, and little that the channels before already show.
    """
    values1, values2 = as_array(feat1), as_array(feat2)
    if values1.shape[1] != values2.shape[1]:
        raise ValueError(
            f"{values1.shape[1]} feature channels on shape 1 and "
            f"{values2.shape[1]} on shape 2; pass features of one network"
        )
    stage = Scene.around([shape1, shape2], view=view, height=360, max_width=360)
    channels = telling_channels((values1, values2), count)
    (shape1, shown1), (shape2, shown2) = stage.thinned(shape1), stage.thinned(shape2)
    values1, values2 = values1[shown1], values2[shown2]
    lit1, lit2 = stage.lit(shape1), stage.lit(shape2)
    pictures = []
    for channel in channels:
        both = np.concatenate([values1[:, channel], values2[:, channel]]).astype(float)
        low, high = np.quantile(both, [0.02, 0.98])
        images = [
            lit.coloured(value_colors(values[:, channel].astype(float), FEATURE_MAP, low=low, high=high))
            for lit, values in ((lit1, values1), (lit2, values2))
        ]
        bar = ColourBar(FEATURE_MAP, f"{low:.3g}", f"{high:.3g}", "")
        pictures.append(Picture(f"channel {channel}", tuple(map(Panel, images, names)), bar=bar))
    return pictures


def _some_rows(values: Float[ndarray, "n c"], *, most: int = 20_000) -> Float[ndarray, "m c"]:
    """Every so many rows, in double precision; all of them of shapes of the usual size."""
    return values[:: max(1, len(values) // most)].astype(float)


def telling_channels(values: tuple[Float[ndarray, "n1 c"], Float[ndarray, "n2 c"]], count: int) -> list[int]:
    """At most ``count`` channels, by pivoted QR: large variation, and little that those before already show."""
    both = np.concatenate([_some_rows(values[0]), _some_rows(values[1])])
    pivots = qr(both - both.mean(axis=0), mode="r", pivoting=True)[1]
    return [int(i) for i in pivots[:count]]
