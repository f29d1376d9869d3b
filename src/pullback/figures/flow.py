"""A flow in the colours of the Middlebury benchmark, and how rough it is, beside the true one."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor

from pullback.figures.palette import MAGNITUDE_MAP, value_colors
from pullback.figures.picture import ColourBar, Panel, Picture
from pullback.figures.surface import as_array
from pullback.figures.thumbnail import Thumbnail, panel_height, rgba
from pullback.types import Image

Flow = Float[Tensor, "2 H W"] | Float[ndarray, "2 H W"]

# pixels of displacement for each pixel: the changes shown in the lightest and the darkest colour, in all pictures
ROUGHNESS = (0.1, 10.0)

# Corners of the wheel (Baker et al. 2011): red, yellow, green, cyan, blue, magenta, and the number of steps from each
# to the next, so that hues are spaced as the eye tells them apart.
_CORNERS = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0]], dtype=float)
_STEPS = np.array([15, 6, 4, 11, 13, 6])


def flow_colors(flow: Float[ndarray, "*t 2"], *, radius: float) -> Float[ndarray, "*t 3"]:
    """Colours of displacements xy: hue by direction (red right, yellow down), white at rest, full at ``radius``.

    Beyond it darker. Not finite stays NaN.
    """
    known = np.isfinite(flow).all(axis=-1)
    x, y = np.moveaxis(np.where(known[..., None], flow, 0) / max(radius, 1e-9), -1, 0)
    length = np.hypot(x, y)
    turn = np.arctan2(y, x) / (2 * np.pi) % 1
    stops = np.concatenate([[0], np.cumsum(_STEPS)]) / _STEPS.sum()
    full = np.stack([np.interp(turn, stops, _CORNERS[:, i]) for i in range(3)], axis=-1)
    inside = (length <= 1)[..., None]
    return np.where(known[..., None], np.where(inside, 1 - length[..., None] * (1 - full), 0.75 * full), np.nan)


def flow_wheel(height: int, *, diameter: int = 150) -> UInt8[ndarray, "h w 4"]:
    """The key to the colours: a disc in which each point has the colour of the displacement from the middle to it."""
    row, column = np.mgrid[:height, :diameter].astype(float)
    offset = np.stack([column - (diameter - 1) / 2, row - (height - 1) / 2], axis=-1) / (diameter / 2)
    edge = np.clip((1 - np.linalg.norm(offset, axis=-1)) * diameter / 2, 0, 1)
    shrink = np.maximum(np.linalg.norm(offset, axis=-1, keepdims=True), 1)
    return rgba(flow_colors(offset / shrink, radius=1 + 1e-9), edge)


def roughness(flow: Float[ndarray, "H W 2"], inside: Bool[ndarray, "H W"]) -> Float[ndarray, "H W"]:
    """Change of the flow to the next pixels right and below, summed over both channels (L1).

    Zero across the border of ``inside``: unlike the benchmark's smoothness, the silhouette does not count. NaN outside.
    """
    still = np.where(inside[..., None], flow, 0)
    change = np.zeros(inside.shape)
    across, down = inside[:, 1:] & inside[:, :-1], inside[1:] & inside[:-1]
    change[:, :-1] += np.abs(np.diff(still, axis=1)).sum(axis=-1) * across
    change[:-1] += np.abs(np.diff(still, axis=0)).sum(axis=-1) * down
    return np.where(inside, change, np.nan)


def draw_flow(
    photo2: Image,
    flows21: Mapping[str, Flow],
    *,
    title: str,
    known2: Bool[Tensor, "H W"] | Bool[ndarray, "H W"] | None = None,
    note: str = "",
) -> Picture:
    """Flows on image 2 by name ("predicted", "true"), the key to their colours, and their roughness.

    One scale for all of them.

    Pixels outside ``known2`` (the object's mask without it) are transparent, and the panels end where it ends.
    Raises ValueError when no flow is given.
    """
    if not flows21:
        raise ValueError("a flow picture needs at least one flow")
    inside = _inside(photo2, known2)
    window = _window(inside)
    fields = {name: np.moveaxis(as_array(flow).astype(float), 0, -1) for name, flow in flows21.items()}
    shown = {name: inside & np.isfinite(field).all(axis=-1) for name, field in fields.items()}
    fields = {name: np.where(shown[name][..., None], field, np.nan)[window] for name, field in fields.items()}
    cut = replace(photo2, pixels=photo2.pixels[:, *window], mask=None)
    small = Thumbnail.of(cut, height=panel_height(cut, height=300, width=400))
    radius = _radius(fields)
    panels = [
        Panel(rgba(flow_colors(small.pick(field), radius=radius)), f"{name} flow") for name, field in fields.items()
    ]
    height = small.pixels.shape[0]
    panels.append(Panel(flow_wheel(height, diameter=min(150, height)), f"rim: {radius:.0f} px"))
    for name, field in fields.items():
        change = small.pick(roughness(field, np.isfinite(field).all(axis=-1)))
        low, high = np.log(ROUGHNESS)
        colors = value_colors(np.log(np.maximum(change.ravel(), 1e-9)), MAGNITUDE_MAP, low=low, high=high).reshape(
            *change.shape, 3
        )
        panels.append(Panel(rgba(np.where(np.isfinite(change)[..., None], colors, np.nan)), f"{name}: roughness"))
    bar = ColourBar(
        MAGNITUDE_MAP,
        f"≤ {ROUGHNESS[0]:g}",
        f"≥ {ROUGHNESS[1]:g}",
        "roughness, px of displacement per px (logarithmic)",
    )
    return Picture(title, tuple(panels), note=note, bar=bar)


def _inside(photo2: Image, known2: Tensor | ndarray | None) -> Bool[ndarray, "H W"]:
    for mask in (known2, photo2.mask):
        if mask is not None:
            return as_array(mask).astype(bool)
    return np.ones(photo2.size, dtype=bool)


def _window(inside: Bool[ndarray, "H W"]) -> tuple[slice, slice]:
    """Rows and columns around what is inside; everything where nothing is."""
    sides = [np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0)]
    if not all(len(side) for side in sides):
        return slice(None), slice(None)
    (top, bottom), (left, right) = ((int(side[0]), int(side[-1]) + 1) for side in sides)
    # what is very narrow leaves no room for its label
    spare = max(0, (2 * (bottom - top) // 3 - (right - left) + 1) // 2)
    return slice(top, bottom), slice(max(0, left - spare), right + spare)


def _radius(fields: Mapping[str, Float[ndarray, "H W 2"]]) -> float:
    """The displacement at the wheel's rim: that of all but the wildest pixels of the last (true) flow."""
    lengths = np.linalg.norm(list(fields.values())[-1], axis=-1)
    lengths = lengths[np.isfinite(lengths)]
    return max(1.0, float(np.quantile(lengths, 0.99))) if len(lengths) else 1.0
