"""What people wrote about photographs (boxes, keypoints, names of files), checked before it is believed."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.image.decoding import ImageError
from pullback.plain_data import printable

_FARTHEST = 1e6  # pixels: no photograph is larger
_MOST_KEYPOINTS = 100_000


def keypoints_of(written: Any, where: str) -> Float[Tensor, "t 2"]:
    """Pairs (x, y) as a file has them. Raises ImageError, beginning with ``where``, for what is no keypoints."""
    if not isinstance(written, list) or len(written) > _MOST_KEYPOINTS:
        raise ImageError(f"{where} should hold pairs [x, y], but holds {_shown(written)}")
    for i, point in enumerate(written):
        if not isinstance(point, list) or len(point) != 2 or not all(is_number(value) for value in point):
            raise ImageError(
                f"{where}: keypoint {i + 1} should be two finite numbers [x, y] in pixels, but is {_shown(point)}"
            )
    return torch.tensor(written, dtype=torch.float32).reshape(-1, 2)


def box_of(written: Any, where: str) -> Float[Tensor, "4"]:
    """x0, y0, x1, y1 as a file has them.

    Raises ImageError, beginning with ``where``, for a box that is empty or inverted.
    """
    if not isinstance(written, list) or len(written) != 4 or not all(is_number(value) for value in written):
        raise ImageError(f"{where} should be four finite numbers [x0, y0, x1, y1] in pixels, but is {_shown(written)}")
    x0, y0, x1, y1 = written
    if x1 <= x0 or y1 <= y0:
        what = "inverted" if x1 < x0 or y1 < y0 else "empty"
        raise ImageError(f"{where} is {what}: {written}, but x0 < x1 and y0 < y1 are needed (left, top, right, bottom)")
    return torch.tensor(written, dtype=torch.float32)


def check_box(box: Float[Tensor, "4"], size: tuple[int, int], where: str) -> None:
    """Raises ImageError for a box outside of a photograph of (height, width) pixels, or far beyond it."""
    height, width = size
    x0, y0, x1, y1 = box.tolist()
    if x1 < 0 or y1 < 0 or x0 > width - 1 or y0 > height - 1:
        raise ImageError(f"{where} lies outside of its photograph of {width} × {height} pixels: {box.tolist()}")
    _check_near(box.reshape(2, 2), size, where)


def check_keypoints(points: Float[Tensor, "t 2"], size: tuple[int, int], where: str) -> None:
    """Raises ImageError for keypoints far outside of a photograph of (height, width) pixels."""
    _check_near(points, size, where)


def check_same_count(count1: int, count2: int, where: str) -> None:
    """Raises ImageError unless every keypoint of the source has its counterpart, and there is one at all."""
    if count1 != count2:
        raise ImageError(f"{where}: {count1} keypoints on the source and {count2} on the target. Copy it again")
    if not count1:
        raise ImageError(
            f"{where}: has no keypoints, so there is nothing to measure. Remove the pair, or copy it again"
        )


def inside(folder: Path, written: Any, where: str) -> Path:
    """The file that an annotation names, in ``folder``.

    Raises ImageError for a name that leads out of it, or is none.
    """
    name = written if isinstance(written, str) else ""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    leads_out = name.startswith(("/", "\\", "~")) or ".." in parts or re.match(r"[A-Za-z]:", name) is not None
    if not parts or leads_out or len(name) > 500 or any(ord(letter) < 32 for letter in name):
        raise ImageError(
            f"{where} should name a file in {folder}, without a leading / and without .., but is {_shown(written)}"
        )
    return folder / name


def is_plain_name(name: Any) -> bool:
    """Whether a word may name a file or folder: nothing in it leads elsewhere, or commands a terminal."""
    fit = isinstance(name, str) and re.fullmatch(r"[^/\\\n\t]{1,200}", name) is not None and name not in (".", "..")
    return fit and printable(name) == name


def require_keys(written: Any, keys: tuple[str, ...], where: str, what: str) -> Mapping[str, Any]:
    """The entry itself.

    Raises ImageError unless it is a mapping that has all ``keys``; ``what`` it should be, in words.
    """
    if not isinstance(written, dict):
        raise ImageError(f"{where}: should be {what}, but holds {_shown(written)}")
    missing = [key for key in keys if key not in written]
    if missing:
        raise ImageError(f"{where}: has no {', '.join(missing)}. Is it {what}?")
    return written


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that can be a coordinate or a size in pixels."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FARTHEST  # NaN is not


def _check_near(points: Float[Tensor, "t 2"], size: tuple[int, int], where: str) -> None:
    extent = points.new_tensor([size[1], size[0]])
    far = ((points < -extent) | (points > 2 * extent)).any(dim=1).nonzero()[:, 0].tolist()
    if far:
        place = points[far[0]].tolist()
        raise ImageError(
            f"{where}: {place} lies far outside of its photograph of {size[1]} × {size[0]} pixels. Is it another one's?"
        )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
