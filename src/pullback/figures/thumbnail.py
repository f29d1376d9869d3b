"""Photographs at the size of a panel.

What is drawn on them comes in pixels of the photograph, and is carried to the panel here.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from scipy.ndimage import map_coordinates
from torch.nn.functional import interpolate

from pullback.figures.surface import as_array
from pullback.types import Image

_HEIGHT, _WIDTH = 360, 520  # pixels: no panel of a photograph is larger
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Thumbnail:
    """A photograph and the mask of its object at the size of a panel."""

    pixels: Float[ndarray, "h w 3"]  # sRGB in [0, 1]
    size: tuple[int, int]  # height and width of the photograph in pixels
    mask: Bool[ndarray, "h w"] | None = None

    @classmethod
    def of(cls, photo: Image, *, height: int = _HEIGHT) -> "Thumbnail":
        """The photograph at a height in pixels, its sides in proportion."""
        width = max(1, round(height * photo.size[1] / photo.size[0]))
        colors = photo.pixels.detach().cpu().float() / 255
        small = interpolate(colors[None], size=(height, width), mode="bilinear", antialias=True)[0].clamp(0, 1)
        thumbnail = cls(small.permute(1, 2, 0).double().numpy(), photo.size)
        return (
            thumbnail if photo.mask is None else cls(thumbnail.pixels, photo.size, thumbnail.pick(as_array(photo.mask)))
        )

    @property
    def scale(self) -> float:
        """Pixels of the panel for each pixel of the photograph."""
        return self.pixels.shape[0] / self.size[0]

    def places(self) -> Float[ndarray, "h w 2"]:
        """Where the pixels of the panel lie on the photograph: xy in its pixels."""
        (h, w), (tall, wide) = self.pixels.shape[:2], self.size
        x, y = (np.arange(w) + 0.5) * wide / w - 0.5, (np.arange(h) + 0.5) * tall / h - 0.5
        return np.stack(np.meshgrid(x, y), axis=-1)

    def on_panel(self, xy: Float[ndarray, "*t 2"]) -> Float[ndarray, "*t 2"]:
        """Places on the photograph as xy in pixels of the panel."""
        ratio = np.array([self.pixels.shape[1] / self.size[1], self.pixels.shape[0] / self.size[0]])
        return (xy + 0.5) * ratio - 0.5

    def pick(self, values: ndarray) -> ndarray:
        """Values (H, W, …) given for the photograph's pixels, at the pixel nearest to each of the panel's."""
        if values.shape[:2] != tuple(self.size):
            raise ValueError(
                f"values of size {values.shape[:2]} do not lie on a photograph of {tuple(self.size)} (height, width)"
            )
        column, row = np.moveaxis(np.rint(self.places()).astype(int), -1, 0)
        return values[row.clip(0, self.size[0] - 1), column.clip(0, self.size[1] - 1)]

    def colors_at(self, xy: Float[ndarray, "*t 2"]) -> Float[ndarray, "*t 3"]:
        """Colours at places of the photograph, bilinear between pixels.

        NaN outside of it, and where a place is not finite.
        """
        known = np.isfinite(xy).all(axis=-1)
        places = np.where(known[..., None], xy, 0)
        known &= ((places >= -0.5) & (places <= np.array(self.size[::-1]) - 0.5)).all(axis=-1)
        x, y = np.moveaxis(self.on_panel(places), -1, 0)
        colors = [map_coordinates(self.pixels[..., i], [y, x], order=1, mode="nearest") for i in range(3)]
        return np.where(known[..., None], np.stack(colors, axis=-1), np.nan)

    def grey(self) -> Float[ndarray, "h w 3"]:
        """The photograph without its colours."""
        return np.repeat((self.pixels @ _LUMA)[..., None], 3, axis=-1)

    def faded(self) -> Float[ndarray, "h w 3"]:
        """The photograph as a quiet background: grey and light."""
        return 0.72 + 0.28 * self.grey()

    def panel(self) -> UInt8[ndarray, "h w 4"]:
        """The photograph itself."""
        return rgba(self.pixels)


def panel_height(*photos: Image, height: int = _HEIGHT, width: int = _WIDTH) -> int:
    """The largest height at which each of the photographs fits a panel: what stands side by side has one height."""
    return max(1, min(height, *(round(width * photo.size[0] / photo.size[1]) for photo in photos)))


def thumbnails(photo1: Image, photo2: Image, *, height: int = _HEIGHT) -> tuple[Thumbnail, Thumbnail]:
    """Both photographs of a pair at one height."""
    common = panel_height(photo1, photo2, height=height)
    return Thumbnail.of(photo1, height=common), Thumbnail.of(photo2, height=common)


def rgba(colors: Float[ndarray, "h w 3"], alpha: Float[ndarray, "h w"] | None = None) -> UInt8[ndarray, "h w 4"]:
    """An image of sRGB colours in [0, 1]; opaque without ``alpha``. NaN is transparent."""
    known = np.isfinite(colors).all(axis=-1)
    alpha = known.astype(float) if alpha is None else alpha * known
    whole = np.concatenate([np.where(known[..., None], colors, 0), alpha[..., None]], axis=-1)
    return np.round(255 * np.clip(whole, 0, 1)).astype(np.uint8)
