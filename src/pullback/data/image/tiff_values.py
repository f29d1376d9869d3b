"""What a TIFF file says of its values and Pillow passes over: 16-bit planes, white as 0, signed numbers."""

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

_BITS, _PHOTOMETRIC, _PLANES, _KIND = 258, 262, 284, 339  # TIFF's tags
_UNSIGNED, _SIGNED, _FLOATING = 1, 2, 3
_KINDS = {_UNSIGNED: "unsigned", _SIGNED: "signed", _FLOATING: "floating-point"}
_ADVICE = "save it as a 16-bit PNG, or its grey values as a TIFF of 32-bit floating-point numbers"


def mend_planes(image: TiffImageFile) -> None:
    """16-bit red, green and blue planes one behind the other, which Pillow would read as noise."""
    tags = image.tag_v2
    if tags.get(_PLANES) == 2 and tags.get(_BITS, (8,))[0] == 16:
        ending = ";16L" if tags.prefix == b"II" else ";16B"
        image.tile = [
            tile._replace(args=(tile.args[0] + ending, *tile.args[1:]))
            if tile.codec_name == "raw" and isinstance(tile.args, tuple) and len(tile.args[0]) == 1
            else tile
            for tile in image.tile
        ]


def as_meant(image: TiffImageFile) -> Image.Image:
    """The unpacked grey values as the file means them: the image itself where Pillow has understood it."""
    bits, kind = (image.tag_v2.get(tag, (1,))[0] for tag in (_BITS, _KIND))
    if image.mode == "I" and bits == 32 and kind == _UNSIGNED:
        values = np.asarray(image).view(np.uint32).astype(np.float32)
    elif image.mode == "L" and bits == 8 and kind == _SIGNED:
        values = np.asarray(image).view(np.int8).astype(np.int32)
    # of 8 bits and less Pillow turns them
    elif image.mode in ("I;16", "I;16B", "F") and image.tag_v2.get(_PHOTOMETRIC) == 0:
        values = np.asarray(image)
        values = 1 - values if image.mode == "F" else (65535 - values).astype(np.uint16)
    else:
        return image
    return Image.fromarray(values)


def why_unreadable(path: Path) -> str:
    """What kind of numbers a TIFF file holds that Pillow did not open, and what to do.

    Empty where they are nothing special.
    """
    try:
        with open(path, "rb") as file:
            tags = ImageFileDirectory_v2(file.read(8))
            file.seek(tags.next)
            tags.load(file)
        bits, kind = tags[_BITS], tags.get(_KIND, (_UNSIGNED,))[0]
        what = f"{len(bits)} × {bits[0]}-bit {_KINDS[kind]} numbers a pixel"
    except Exception:  # Pillow raises anything for a damaged file
        return ""
    is_usual = kind == _UNSIGNED and bits[0] <= 16 and len(bits) in (1, 3, 4)
    return "" if is_usual else f"a TIFF of {what}, which Pillow cannot read: {_ADVICE}"
