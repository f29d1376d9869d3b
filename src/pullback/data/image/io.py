"""Reading and writing photographs, masks and disparities."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from numpy import ndarray
from PIL import Image as PillowImage
from PIL import ImageOps
from torch import Tensor

from pullback.data.image.decoding import Decoded, ImageError, decode_image
from pullback.data.image.pixels import WIDE, finished, photograph, turn_upright
from pullback.data.image.tones import eight_bits
from pullback.types import Image


def read_image(
    path: str | Path,
    *,
    name: str | None = None,
    category: str = "",
    mask: Bool[Tensor, "H W"] | None = None,
    box: Float[Tensor, "4"] | None = None,
    shrink_above: int | None = None,
) -> Image:
    """A photograph from its file (see ``read_pixels``), called as the file is unless it has another ``name``.

    Its ``notes`` say what was done to it. One of more than ``shrink_above`` pixels is read at a fraction of its size.
    Raises as ``read_pixels``, and ImageError when the mask has another size.
    """
    path = Path(path)
    pixels, notes = photograph(path, shrink_above=shrink_above)
    if mask is not None and mask.shape != pixels.shape[1:]:
        sizes = f"{mask.shape[1]} × {mask.shape[0]} pixels, the photograph {pixels.shape[2]} × {pixels.shape[1]}"
        raise ImageError(f"{path}: its mask has {sizes}. Give them the same size, or copy both again")
    return Image(path.stem if name is None else name, pixels, category, mask, box, notes, str(path))


def image_of(
    picture: PillowImage.Image | Shaped[ndarray, "..."], *, name: str, shrink_above: int | None = None
) -> Image:
    """A photograph from a picture of Pillow or an array: (H, W), (H, W, c), (c, H, W) of 1, 3 or 4 channels.

    Bytes are taken as they are, other numbers as in files (see ``eight_bits``: white is 1.0, or 65535); what is
    transparent is laid on white. Raises ImageError, which calls it by its ``name``, for other shapes and for nothing.
    """
    notes: tuple[str, ...] = ()
    if isinstance(picture, ndarray):
        picture, notes = _picture_of(picture, name)
    picture = ImageOps.exif_transpose(picture)
    pixels, said = finished(Path(name), Decoded(picture, None, picture.size, ""), shrink_above=shrink_above)
    return Image(name, pixels, notes=(*notes, *said))


def _picture_of(values: Shaped[ndarray, "..."], name: str) -> tuple[PillowImage.Image, tuple[str, ...]]:
    if values.ndim == 3 and values.shape[0] in (1, 3, 4) and values.shape[2] not in (1, 3, 4):
        values = np.moveaxis(values, 0, 2)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))) or values.size == 0:
        raise ImageError(f"{name}: an array of shape {values.shape} is no photograph; give height × width × 3 values")
    if values.dtype == bool:
        values = values * np.uint8(255)
    notes: tuple[str, ...] = ()
    if values.dtype != np.uint8:
        if values.dtype.kind not in "iuf":
            raise ImageError(f"{name}: an array of {values.dtype} is no photograph; give bytes, or numbers from 0 to 1")
        values, notes = eight_bits(values if values.ndim == 2 else values[..., :3])
    return PillowImage.fromarray(np.ascontiguousarray(values)), notes


def read_pixels(path: str | Path) -> UInt8[Tensor, "3 H W"]:
    """Red, green and blue of a photograph, turned upright as its EXIF data say.

    Known by its content, not its ending. Grey, palette, CMYK and Lab files become 8-bit RGB, and so do those of 16 bits
    and of floating-point values (see ``eight_bits``); what is transparent is laid on white. Of a file with several
    frames the first. Raises FileNotFoundError, ImageError for a file that is empty, too large, cut short, or no image,
    and ImageSupportError where the reader of its kind is not installed.
    """
    return photograph(Path(path))[0]


def read_mask(path: str | Path) -> Bool[Tensor, "H W"]:
    """The pixels of a mask, upright: those greater than 0, so 0/1, 0/255, soft edges and numbered objects alike.

    JPEG leaves specks around the objects: there, those that are brighter than half of the brightest. Raises as
    ``read_pixels``, and ImageError for a mask with transparency.
    """
    found = decode_image(Path(path))
    if found.image.mode in ("RGBA", "LA", "PA"):
        raise ImageError(
            f"{path}: a mask with transparency says two things at once; save "
            "it as a grey image, 0 outside of the object"
        )
    values = np.array(found.image.convert("L") if found.kind == "JPEG" else found.image)
    if ";16" in found.raw_mode and values.ndim == 3:  # of 16-bit colours, Pillow keeps the high bytes
        values |= np.array(decode_image(Path(path), swap_bytes=True).image)
    values = values > (values.max() / 2 if found.kind == "JPEG" else 0)
    return turn_upright(torch.from_numpy(values if values.ndim == 2 else values.any(axis=2)), found.orientation)


def read_disparity(path: str | Path) -> Float[Tensor, "H W"]:
    """Disparities in pixels from a 16-bit PNG that stores 256 times the disparity and 0 for unknown (KITTI's form).

    Unknown is NaN.
    """
    found = decode_image(Path(path))
    mode, values = found.image.mode, np.array(found.image)
    if mode not in WIDE or values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 65535:
        raise ImageError(f"{path}: disparities are read from 16-bit grey PNG files, but this one has the mode {mode}")
    disparity = turn_upright(torch.from_numpy(values.astype(np.float32)), found.orientation) / 256
    return torch.where(disparity > 0, disparity, torch.nan)


def write_disparity(path: str | Path, disparity: Float[Tensor, "H W"]) -> None:
    """The inverse of ``read_disparity``, rounded to 1/256 pixel.

    Raises ValueError for disparities that do not fit: above 255.99.
    """
    stored = (disparity.nan_to_num(0.0) * 256).round()
    if stored.min() < 0 or stored.max() > 65535:
        raise ValueError(
            f"{path}: disparities run from {stored.min() / 256:.1f} to "
            f"{stored.max() / 256:.1f}, the format from 0 to 255.99"
        )
    PillowImage.fromarray(stored.numpy().astype(np.uint16)).save(path)


def save_image(path: str | Path, pixels: UInt8[Tensor, "3 H W"], *, quality: int = 90) -> None:
    """A photograph as JPEG or PNG, by the suffix. ``quality`` from 1 to 95 is JPEG's, with full colour resolution."""
    is_jpeg = Path(path).suffix.lower() in (".jpg", ".jpeg")
    options: dict[str, Any] = {"quality": quality, "subsampling": 0, "optimize": True} if is_jpeg else {}
    PillowImage.fromarray(pixels.permute(1, 2, 0).numpy()).save(path, **options)


def write_mask(path: str | Path, mask: Bool[Tensor, "H W"]) -> None:
    """A mask as a PNG of one bit a pixel."""
    PillowImage.fromarray(mask.numpy()).save(path, optimize=True)
