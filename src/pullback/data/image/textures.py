"""Images that surfaces wear: the bytes of their file, kept as they are, and the colours at places of a texture."""

import tempfile
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from pullback.brief import OneLine
from pullback.data.image.decoding import decode_image

_KEPT = {"PNG": ".png", "JPEG": ".jpg"}  # what every reader of meshes knows; all else is written as PNG


@dataclass(frozen=True, repr=False)
class Texture(OneLine):
    """An image of a surface."""

    name: str  # of its file, without folder, ending in that of its kind
    data: bytes  # of a PNG or a JPEG
    pixels: UInt8[ndarray, "h w 4"]  # red, green, blue, alpha

    @cached_property
    def mean(self) -> tuple[int, int, int, int]:
        """Its mean colour."""
        red, green, blue, alpha = self.pixels.reshape(-1, 4).mean(axis=0).round().astype(int).tolist()
        return red, green, blue, alpha

    def colors_at(self, uv: Float[ndarray, "t 2"]) -> UInt8[ndarray, "t 4"]:
        """Colours at places of the texture, bilinear between pixels.

        (0, 0) is the lower left corner and (1, 1) the upper right one; beyond, the image repeats itself. What is not
        finite takes the lower left corner.
        """
        height, width = self.pixels.shape[:2]
        uv = np.where(np.isfinite(uv), uv, 0)
        x, y = uv[:, 0] % 1 * width - 0.5, (1 - uv[:, 1]) % 1 * height - 0.5
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        across, down = (x - left)[:, None], (y - top)[:, None]

        def row(line: ndarray) -> ndarray:
            first, second = (self.pixels[line % height, column % width] for column in (left, left + 1))
            return first * (1 - across) + second * across

        return np.round(row(top) * (1 - down) + row(top + 1) * down).astype(np.uint8)


def read_texture(path: Path) -> Texture:
    """The image of a file. Raises as ``decode_image``: the message names the file and says what to do."""
    return _texture(path, path.stem)


def texture_of(data: bytes, *, name: str) -> Texture:
    """The image that some bytes are, as in a ``.glb``. Raises ImageError, which calls it by its ``name``."""
    with tempfile.TemporaryDirectory(prefix="pullback-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        return _texture(path, name)


def _texture(path: Path, stem: str) -> Texture:
    decoded = decode_image(path)
    image = decoded.image.convert("RGBA")
    ending = _KEPT.get(decoded.kind or "")
    if ending is not None:
        return Texture(stem + ending, path.read_bytes(), np.array(image))
    packed = BytesIO()
    image.save(packed, format="png")
    return Texture(f"{stem}.png", packed.getvalue(), np.array(image))
