"""Keypoints carried between photographs: blue where they arrive, red where they do not."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke
from numpy import ndarray
from torch import Tensor

from pullback.figures.picture import Panel, Picture
from pullback.figures.plot import new_figure
from pullback.figures.surface import as_array
from pullback.figures.thumbnail import thumbnails
from pullback.types import Image

RIGHT, WRONG, TRUTH = "#1f6feb", "#e5322d", "#ffd43b"
_GAP = 12  # pixels between the photographs
_MOST_DRAWN = 500  # keypoints: more hide the photographs, and each takes a millisecond

Points = Float[Tensor, "t 2"] | Float[ndarray, "t 2"]


def draw_keypoints(
    photo1: Image,
    photo2: Image,
    keypoints2: Points,
    predicted1: Points,
    *,
    title: str,
    truth1: Points | None = None,
    threshold: float | None = None,
    note: str = "",
) -> Picture:
    """Both photographs with a line from each keypoint of image 2 to the place on image 1 that it is carried to.

    Blue where the place is nearer to ``truth1`` than ``threshold`` (pixels of image 1, e.g. 0.10 of the longer side of
    the box), red where it is not, with a dotted line to the true place, a yellow ring. Without truth all lines are
    blue. Of very many, some are drawn. Raises ValueError when one of truth and threshold is missing.
    """
    if (truth1 is None) != (threshold is None):
        raise ValueError(
            "truth1 and threshold come together: a keypoint is right when it is nearer to the truth than the threshold"
        )
    small1, small2 = thumbnails(photo1, photo2, height=420)
    left, right = small1.panel(), small2.panel()
    shift = np.array([left.shape[1] + _GAP, 0])
    start, end = (
        small2.on_panel(as_array(keypoints2).astype(float)) + shift,
        small1.on_panel(as_array(predicted1).astype(float)),
    )
    true, good = None, np.ones(len(start), dtype=bool)
    if truth1 is not None and threshold is not None:
        true = small1.on_panel(as_array(truth1).astype(float))
        good = is_right(predicted1, truth1, threshold=threshold)
        note = note or f"{good.sum()} of {len(good)} right"
    drawn = np.unique(np.linspace(0, len(good) - 1, min(len(good), _MOST_DRAWN)).round().astype(int))
    if len(drawn) < len(good):
        note = f"{note}; {len(drawn)} of {len(good)} are drawn".removeprefix("; ")
    image = _with_lines(
        _side_by_side(left, right), start[drawn], end[drawn], None if true is None else true[drawn], good[drawn]
    )
    return Picture(title, (Panel(image, "image 1 (left) · image 2 (right)", photographic=True),), note=note)


def is_right(predicted1: Points, truth1: Points, *, threshold: float) -> Bool[ndarray, " t"]:
    """Whether each predicted place is nearer to the true one than the threshold, all in pixels of image 1."""
    return np.linalg.norm(as_array(predicted1).astype(float) - as_array(truth1), axis=1) < threshold


def _side_by_side(left: UInt8[ndarray, "h w1 4"], right: UInt8[ndarray, "h w2 4"]) -> UInt8[ndarray, "h w 4"]:
    gap = np.full((left.shape[0], _GAP, 4), 255, dtype=np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _with_lines(
    image: UInt8[ndarray, "h w 4"],
    start: Float[ndarray, "t 2"],
    end: Float[ndarray, "t 2"],
    true: Float[ndarray, "t 2"] | None,
    good: Bool[ndarray, " t"],
) -> UInt8[ndarray, "h w 4"]:
    h, w = image.shape[:2]
    figure = new_figure((w + 0.01) / 100, (h + 0.01) / 100, dpi=100, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(image, interpolation="nearest", aspect="auto", extent=(-0.5, w - 0.5, h - 0.5, -0.5))
    for i in np.argsort(~good, kind="stable"):  # wrong ones on top
        color = RIGHT if good[i] else WRONG
        _line(axes, start[i], end[i], color=color)
        if true is not None:
            _line(axes, end[i], true[i], color=color, linestyle=(0, (1, 1.6)))
    for i in np.argsort(~good, kind="stable"):
        color = RIGHT if good[i] else WRONG
        for x, y in (start[i], end[i]):
            axes.plot(x, y, "o", color=color, markersize=6.5, markeredgecolor="white", markeredgewidth=1.0, zorder=5)
        if true is not None:
            ring = axes.plot(
                *true[i],
                "o",
                markersize=11,
                markerfacecolor="none",
                markeredgecolor=TRUTH,
                markeredgewidth=2.0,
                zorder=4,
            )
            ring[0].set_path_effects([Stroke(linewidth=3.6, foreground="#00000090"), Normal()])
    axes.set(xlim=(-0.5, w - 0.5), ylim=(h - 0.5, -0.5))
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).copy()  # type: ignore[attr-defined]


def _line(
    axes: Axes, start: Float[ndarray, "2"], end: Float[ndarray, "2"], *, color: str, linestyle: object = "solid"
) -> None:
    (line,) = axes.plot(
        *np.stack([start, end]).T, color=color, linewidth=1.9, linestyle=linestyle, solid_capstyle="round", zorder=3
    )
    line.set_path_effects([Stroke(linewidth=2.9, foreground="#ffffff70"), Normal()])
