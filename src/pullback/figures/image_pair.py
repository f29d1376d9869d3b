"""A dense map between photographs: colours by place, the look of one object on the other, the errors."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.colors import hsv_to_rgb
from numpy import ndarray
from torch import Tensor

from pullback.figures.fmap import Matrix, fmap_picture
from pullback.figures.palette import ERROR_MAP, value_colors
from pullback.figures.picture import ColourBar, Panel, Picture
from pullback.figures.surface import as_array
from pullback.figures.tears import with_sharp_seams
from pullback.figures.thumbnail import Thumbnail, rgba, thumbnails
from pullback.types import Image

Flow = Float[Tensor, "2 H2 W2"] | Float[ndarray, "2 H2 W2"]
Known = Bool[Tensor, "H2 W2"] | Bool[ndarray, "H2 W2"]

ERROR_LIMIT = 0.10  # of the longer side of image 1: the error shown in the darkest colour, the same in all pictures
DRESSES = ("masked", "blended", "plain")


def rainbow(
    xy: Float[ndarray, "*t 2"],
    *,
    centre: Float[ndarray, "2"],
    radius: float,
    saturation: tuple[float, float] = (0.2, 0.8),
) -> Float[ndarray, "*t 3"]:
    """Colours of places about a centre: hue by direction, saturation by distance up to ``radius``.

    The pale middle and the hues around it make a shift, a turn and a flip each show at a glance. Not finite stays NaN.
    """
    x, y = np.moveaxis(np.asarray(xy, dtype=float) - centre, -1, 0)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(known, x, 0), np.where(known, y, 0)
    low, high = saturation
    strength = low + (high - low) * np.clip(np.hypot(x, y) / max(radius, 1e-9), 0, 1)
    hue = np.arctan2(y, x) / (2 * np.pi) % 1
    return np.where(known[..., None], hsv_to_rgb(np.stack([hue, strength, np.ones_like(hue)], axis=-1)), np.nan)


def draw_dense_correspondence(
    photo1: Image,
    photo2: Image,
    flow21: Flow,
    *,
    title: str,
    errors2: Float[ndarray, "H2 W2"] | None = None,
    confidence2: Float[ndarray, "H2 W2"] | None = None,
    dress: str = "blended",
    names: tuple[str, str] = ("image 1", "image 2"),
) -> Picture:
    """Image 1 in rainbow colours about its object, image 2 in the colours of its pixels' matches, pale where
    ``confidence2`` is low and where there is no match (NaN).

    ``dress``: "masked" shows the objects' masks alone, on a transparent ground; "blended" lays the colours over the
    photographs; "plain" colours every pixel. ``errors2`` (end-point errors as a share of the longer side of image 1,
    NaN where unknown) adds a panel. Raises ValueError for another dress, or when the flow does not lie on image 2.
    """
    small1, small2 = thumbnails(photo1, photo2)
    centre, radius = _extent(small1)
    colors1 = rainbow(small1.places(), centre=centre, radius=radius)
    colors2 = rainbow(matched_places(small2, flow21), centre=centre, radius=radius)
    panels = [
        Panel(_dressed(small, colors, dress=dress, opacity=0.72, certain=certain), name, photographic=True)
        for small, colors, name, certain in (
            (small1, colors1, names[0], None),
            (small2, colors2, names[1], _certain(small2, confidence2)),
        )
    ]
    if errors2 is None:
        return Picture(title, tuple(panels))
    values = small2.pick(errors2)
    heat = value_colors(values.ravel(), ERROR_MAP, low=0.0, high=ERROR_LIMIT).reshape(*values.shape, 3)
    heat = np.where(np.isfinite(values)[..., None], heat, small2.faded())
    bar = ColourBar(ERROR_MAP, "0", f"≥ {100 * ERROR_LIMIT:g} %", "end-point error, in % of the longer side of image 1")
    return Picture(title, (*panels, Panel(rgba(heat), "error", photographic=True)), bar=bar)


def draw_texture_transfer(
    photo1: Image,
    photo2: Image,
    flow21: Flow,
    *,
    title: str,
    confidence2: Float[ndarray, "H2 W2"] | None = None,
    dress: str = "blended",
    names: tuple[str, str] = ("image 1", "image 2"),
) -> Picture:
    """Both photographs, and image 2 with the colour of image 1 at the match of each pixel (bilinear).

    ``dress`` and ``confidence2`` as above.
    """
    small1, small2 = thumbnails(photo1, photo2)
    carried = small1.colors_at(matched_places(small2, flow21))
    panels = (
        Panel(small1.panel(), names[0], photographic=True),
        Panel(small2.panel(), names[1], photographic=True),
        Panel(
            _dressed(small2, carried, dress=dress, opacity=1.0, certain=_certain(small2, confidence2)),
            f"{names[1].split(':')[0]} in the colours of {names[0].split(':')[0]}",
            photographic=True,
        ),
    )
    return Picture(title, panels)


def draw_image_match(
    photo1: Image,
    photo2: Image,
    flow21: Flow,
    *,
    title: str,
    fmaps: Mapping[str, Matrix] | None = None,
    names: tuple[str, str] = ("image 1", "image 2"),
    confidence2: Float[ndarray, "H2 W2"] | None = None,
    dress: str = "blended",
) -> list[Picture]:
    """A match of two photographs on one sheet: correspondence, texture and functional maps where given."""
    pictures = [
        draw_dense_correspondence(
            photo1, photo2, flow21, title=title, confidence2=confidence2, names=names, dress=dress
        ),
        draw_texture_transfer(
            photo1, photo2, flow21, title="Texture transfer", confidence2=confidence2, names=names, dress=dress
        ),
    ]
    return [*pictures, fmap_picture(fmaps, title="Functional map")] if fmaps else pictures


def dense_errors(
    flow21: Flow, truth21: Flow, *, size1: tuple[int, int], known2: Known | None = None
) -> Float[ndarray, "H2 W2"]:
    """End-point errors of a flow, as a share of the longer side of image 1; NaN where the truth is not known."""
    errors = np.linalg.norm(as_array(flow21).astype(float) - as_array(truth21), axis=0) / max(size1)
    return errors if known2 is None else np.where(as_array(known2), errors, np.nan)


def matched_places(small2: Thumbnail, flow21: Flow) -> Float[ndarray, "h w 2"]:
    """Where each pixel of the panel of image 2 is mapped to, in pixels of image 1; sharp at the seams of the map."""
    places = small2.places() + small2.pick(np.moveaxis(as_array(flow21), 0, -1)).astype(float)
    return with_sharp_seams(places, scale=1 / small2.scale)


def _extent(small: Thumbnail) -> tuple[Float[ndarray, "2"], float]:
    """Centre of the object (without a mask: of the photograph), and how far its pixels reach, in pixels."""
    places = small.places()
    places = places.reshape(-1, 2) if small.mask is None or not small.mask.any() else places[small.mask]
    centre = places.mean(axis=0)
    return centre, float(np.quantile(np.linalg.norm(places - centre, axis=1), 0.98))


def _certain(small2: Thumbnail, confidence2: Float[ndarray, "H2 W2"] | None) -> Float[ndarray, "h w 1"] | None:
    """How much of its colour each pixel of the panel keeps: all above a confidence of 0.7, nothing below 0.3."""
    if confidence2 is None:
        return None
    return np.clip((small2.pick(as_array(confidence2)).astype(float) - 0.3) / 0.4, 0, 1)[..., None]


def _dressed(
    small: Thumbnail,
    colors: Float[ndarray, "h w 3"],
    *,
    dress: str,
    opacity: float,
    certain: Float[ndarray, "h w 1"] | None = None,
) -> UInt8[ndarray, "h w 4"]:
    if dress not in DRESSES:
        raise ValueError(f"dress={dress!r} is unknown: choose one of {', '.join(DRESSES)}")
    if dress == "plain":
        return rgba(colors)
    inside = np.isfinite(colors).all(axis=-1) & (True if small.mask is None else small.mask)
    if dress == "masked":
        return rgba(np.where(inside[..., None], colors, np.nan))
    shaded = opacity * colors * (0.75 + 0.25 * small.grey()) + (1 - opacity) * small.grey() if opacity < 1 else colors
    if certain is not None:
        shaded = certain * shaded + (1 - certain) * small.faded()
    return rgba(np.where(inside[..., None], shaded, small.faded()))
