"""From a decoded picture to red, green and blue: all modes of files, transparency, orientation, size."""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image, ImageCms
from torch import Tensor

from pullback.data.image.decoding import Decoded, ImageError, decode_image
from pullback.data.image.tones import eight_bits, usual_range

WIDE = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # modes of grey files of more than 8 bits
_STRIP = 256  # rows that are converted at once, so that a large photograph is in memory once
_NOTHING = "there is nothing on it"
_TINY = 16  # pixels of the longer side
_FEW = 0.001  # share of pixels that differ from the rest, below which there is nothing on a photograph
_ALIKE = 4  # grey levels that a camera's noise or JPEG makes of one colour


def photograph(path: Path, *, shrink_above: int | None = None) -> tuple[UInt8[Tensor, "3 H W"], tuple[str, ...]]:
    """Red, green and blue of a photograph, upright, and what its user should know of how it was read.

    One of more than ``shrink_above`` pixels is read at a half, a third … of its size. Raises as ``decode_image``.
    """
    return finished(path, decode_image(path, shrink=shrink_above), shrink_above=shrink_above)


def finished(
    path: Path, found: Decoded, *, shrink_above: int | None = None
) -> tuple[UInt8[Tensor, "3 H W"], tuple[str, ...]]:
    """As ``photograph``, of a picture that is unpacked already; ``path`` is its name in messages."""
    colours, notes = _colours(path, found)
    stored = max(found.stored_size)
    pixels = turn_upright(torch.from_numpy(colours).permute(2, 0, 1), found.orientation)
    if shrink_above is not None:
        pixels = _shrunk(pixels, shrink_above)
    if max(pixels.shape[1:]) < stored:
        notes = (
            *notes,
            f"read at 1/{round(stored / max(pixels.shape[1:]))} of its size, of which all pixels are to be understood",
        )
    if stored < _TINY:
        notes = (
            *notes,
            f"it has only {pixels.shape[2]} × {pixels.shape[1]} pixels, on which there is next to nothing to match",
        )
    nothing = "" if any(note.startswith(_NOTHING) for note in notes) else nothing_on(pixels)
    return pixels.contiguous(), (*found.notes, *notes, *((nothing,) if nothing else ()))


def nothing_on(pixels: UInt8[Tensor, "3 H W"]) -> str:
    """What to say of a photograph on which every place looks like every other; empty for all others."""
    least, largest = pixels.amin(dim=(1, 2)).int(), pixels.amax(dim=(1, 2)).int()
    step = max(1, int(math.sqrt(pixels[0].numel() / 2_000_000)))
    sample = pixels[:, ::step, ::step].flatten(1).int()
    usual = sample.median(dim=1).values
    if torch.equal(least, largest):
        what = f"every pixel has the colour ({', '.join(map(str, usual.tolist()))})"
    elif (
        int((largest - least).max()) <= _ALIKE
        or ((sample - usual[:, None]).abs().amax(dim=0) > _ALIKE).float().mean() < _FEW
    ):
        what = f"all but {_FEW:.1%} of its pixels have the colour ({', '.join(map(str, usual.tolist()))}), or nearly"
    else:
        return ""
    return f"{_NOTHING}: {what}. Every patch looks the same, and a map made of it means nothing"


def _colours(path: Path, found: Decoded) -> tuple[ndarray, tuple[str, ...]]:
    """The pixels (H, W, 3) as they are stored, and what was done to them."""
    image = found.image
    if image.mode in WIDE:
        values = np.asarray(image)
        if values.dtype.kind == "f" and not np.isfinite(values).any():
            raise ImageError(
                f"{path}: none of its {values.size:,} values is a number. Save it again as an 8- or 16-bit PNG"
            )
        grey, notes = eight_bits(values)
        return np.repeat(grey[..., None], 3, axis=2), notes
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    pixels, is_clear = _in_strips(image)
    if is_clear:
        return pixels, (f"{_NOTHING}: all of it is transparent, and is taken as white. A map made of it means nothing",)
    if ";16" in found.raw_mode and image.mode in ("RGB", "RGBA"):
        low, high = usual_range(pixels)
        deep = _deep_colours(path, pixels, found) if high - low <= 64 else None
        if deep is not None:
            return deep
    return pixels, ()


def _in_strips(image: Image.Image) -> tuple[ndarray, bool]:
    """The pixels (H, W, 3), what is transparent laid on white, and whether all of it is."""
    width, height = image.size
    result = np.empty((height, width, 3), np.uint8)
    has_transparency, is_clear = image.has_transparency_data, image.has_transparency_data
    for top in range(0, height, _STRIP):
        strip = image.crop((0, top, width, min(top + _STRIP, height)))
        if has_transparency:
            strip = strip.convert("RGBA")
            is_clear = is_clear and strip.getchannel("A").getextrema()[1] == 0
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        result[top : top + _STRIP] = np.asarray(strip.convert("RGB"))
    return result, is_clear


def _deep_colours(path: Path, high: ndarray, found: Decoded) -> tuple[ndarray, tuple[str, ...]] | None:
    """16-bit colours in a small part of their range, stretched.

    Pillow keeps their high bytes only: the low ones are read on their own.
    """
    try:
        low = np.asarray(decode_image(path, swap_bytes=True).image)
    except ImageError:  # an arrangement that Pillow reads in one order only: what is at hand is stretched
        low = np.zeros_like(high)
    if found.image.mode == "RGBA" and np.asarray(found.image)[..., 3].min() < 255:
        return None  # half transparent: its colours are mixed with white already
    return eight_bits(high.astype(np.uint16) << 8 | low[..., :3])


def turn_upright(values: Shaped[Tensor, "*c H W"], orientation: int) -> Shaped[Tensor, "*c h w"]:
    """Turned and mirrored as EXIF's numbers ask (EXIF 2.3, table 6)."""
    if orientation >= 5:
        values = values.transpose(-2, -1)
    flipped = {2: (-1,), 3: (-2, -1), 4: (-2,), 6: (-1,), 7: (-2, -1), 8: (-2,)}.get(orientation, ())
    return (values.flip(flipped) if flipped else values).contiguous()


def _shrunk(pixels: UInt8[Tensor, "3 H W"], most: int) -> UInt8[Tensor, "3 h w"]:
    """At most ``most`` pixels, each the mean of a square of them.

    What is left over at the right and at the bottom is cut off.
    """
    times = min(math.ceil(math.sqrt(pixels[0].numel() / most)), *pixels.shape[1:])
    if times < 2:
        return pixels
    height, width = pixels.shape[1] // times, pixels.shape[2] // times
    rows = [pixels[:, times * row : times * (row + 1), : times * width] for row in range(height)]
    means = [row.reshape(3, times, width, times).float().mean(dim=(1, 3)).round().byte() for row in rows]
    return torch.stack(means, dim=1)
