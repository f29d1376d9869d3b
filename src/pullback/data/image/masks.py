"""Masks of one's own: which part of a photograph is matched."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from pullback.data.image.decoding import ImageError
from pullback.data.image.io import read_mask
from pullback.types import Image

SAME_SHAPE = 0.02  # how far the ratio of sides may differ for a mask to be one of the photograph at another size
_WANTED = "white (or any value above 0) on the object, black elsewhere"


def with_mask(photo: Image, given: Any, *, key: str) -> Image:
    """The photograph with a mask from a file, or from an array (H, W) whose values above 0 are the object.

    One of another size but the same proportions is resized (nearest). ``key`` is what messages call it: mask1, mask2.
    Raises ImageError for an empty mask and one of other proportions, and what ``read_mask`` raises.
    """
    named = isinstance(given, str | Path)
    where = f"{key}={given}" if named else key
    mask = read_mask(given) if named else _mask_of(given, key)
    (height, width), (tall, wide) = mask.shape, photo.size
    if abs(np.log((width / height) / (wide / tall))) > SAME_SHAPE:
        turned = ", turned by 90°" if (height, width) == (wide, tall) else ""
        raise ImageError(
            f"{where}: the mask has {width} × {height} pixels and {photo.path or photo.name} {wide} × {tall}{turned}; "
            "draw it on the photograph as it is shown upright, at this size or with the same proportions"
        )
    if not mask.any():
        raise ImageError(f"{where}: the mask is empty; paint it {_WANTED}")
    if mask.shape != photo.size:
        mask = _resized(mask, photo.size)
    return replace(photo, mask=mask)


def _mask_of(values: Any, key: str) -> Bool[Tensor, "H W"]:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array.ndim != 2 or array.dtype.kind not in "biuf" or array.size == 0:
        raise ImageError(f"{key}: an array of {array.dtype} and shape {array.shape} is no mask; give height × width")
    return torch.from_numpy(np.nan_to_num(array) > 0 if array.dtype.kind == "f" else array > 0)


def _resized(mask: Bool[Tensor, "H W"], size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """The value at the pixel nearest to each of another size."""
    row, column = (
        ((torch.arange(there) + 0.5) * here / there).long().clamp(max=here - 1)
        for here, there in zip(mask.shape, size, strict=True)
    )
    return mask[row[:, None], column]
