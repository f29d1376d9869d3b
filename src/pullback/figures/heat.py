"""Heat maps on photographs: a function given on one, carried to the other."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from numpy import ndarray
from torch import Tensor

from pullback.figures.picture import ColourBar, Panel, Picture
from pullback.figures.surface import as_array
from pullback.figures.thumbnail import Thumbnail, rgba, thumbnails
from pullback.types import Image

Heat1 = Float[Tensor, "H1 W1"] | Float[ndarray, "H1 W1"]
Heat2 = Float[Tensor, "H2 W2"] | Float[ndarray, "H2 W2"]

HEAT_MAP = colormaps["inferno"]
_OPACITY = 0.85  # of the hottest place


def draw_heat_transfer(
    photo1: Image,
    photo2: Image,
    heat1: Heat1,
    heats2: Mapping[str, Heat2],
    *,
    title: str,
    place2: Float[ndarray, "2"] | None = None,
    note: str = "",
) -> Picture:
    """Heat on image 1, and what becomes of it on image 2, a panel for each way of transfer.

    ``place2`` marks where its peak belongs on image 2. Each panel has its own scale from 0 to its maximum; negative
    values are cut off.
    """
    small1, small2 = thumbnails(photo1, photo2)
    panels = [Panel(_heated(small1, heat1), "image 1: given", photographic=True)]
    for name, heat2 in heats2.items():
        image = _heated(small2, heat2)
        panels.append(
            Panel(
                image if place2 is None else _marked(image, small2.on_panel(place2)),
                f"image 2: {name}",
                photographic=True,
            )
        )
    return Picture(
        title, tuple(panels), note=note, bar=ColourBar(HEAT_MAP, "0", "max", "heat, each panel on its own scale")
    )


def blob(size: tuple[int, int], centre: Float[ndarray, "2"], *, sigma: float) -> Float[ndarray, "H W"]:
    """A Gaussian of height 1 about a place xy on a photograph of (height, width); all in pixels."""
    y, x = np.ogrid[: size[0], : size[1]]
    return np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * sigma**2))


def _heated(small: Thumbnail, heat: Heat1 | Heat2) -> UInt8[ndarray, "h w 4"]:
    values = np.clip(np.nan_to_num(small.pick(as_array(heat).astype(float))), 0, None)
    unit = values / max(float(values.max()), 1e-12)
    alpha = (_OPACITY * np.clip((unit - 0.08) / 0.42, 0, 1))[..., None]  # what is cold leaves the photograph to be seen
    return rgba(alpha * HEAT_MAP(unit)[..., :3] + (1 - alpha) * small.grey())


def _marked(
    image: UInt8[ndarray, "h w 4"], place: Float[ndarray, "2"], *, radius: float = 9.0
) -> UInt8[ndarray, "h w 4"]:
    """A white ring with a dark rim."""
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    off = np.abs(np.hypot(x - place[0], y - place[1]) - radius)
    marked = image.astype(float)
    for color, width in ((20, 3.0), (255, 1.6)):
        cover = np.clip(width - off, 0, 1)[..., None]
        marked[..., :3] = (1 - cover) * marked[..., :3] + cover * color
    return np.round(marked).astype(np.uint8)
