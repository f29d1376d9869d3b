"""Places on a photograph that somebody asks for, in pixels: x to the right, y down, (0, 0) the middle of the first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.image.decoding import ImageError
from pullback.files import worded_lines

_WANTED = "write x y in each line, in pixels from the left and from the top, counted from 0"


def read_places(path: str | Path, *, size: tuple[int, int], side: str) -> Float[Tensor, "t 2"]:
    """The places of a text file, ``x y`` in each line, on the photograph of the ``side``, of ``size`` (height, width).

    Blank lines and what follows a # are skipped. Raises MissingFileError, and ImageError with file and line for
    anything else, for a place outside, and for an empty file.
    """
    places = []
    for number, line, words in worded_lines(Path(path), what="file of points"):
        where = f"{path}, line {number}"
        try:
            place = [float(word) for word in words]
        except ValueError:
            place = []
        if len(place) != 2:
            raise ImageError(f"{where}: {line[:40]!r} is no place on a photograph; {_WANTED}")
        _check_inside(place, size, side, where)
        places.append(place)
    if not places:
        raise ImageError(f"{path}: there are no points in it; {_WANTED}")
    return torch.tensor(places)


def listed_places(given: Any, *, size: tuple[int, int], side: str) -> Float[Tensor, "t 2"]:
    """Places from lists or an array (t, 2). Raises ImageError for anything else, and for a place outside."""
    values = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    if values.ndim != 2 or values.shape[1] != 2 or values.dtype.kind not in "iuf" or not len(values):
        raise ImageError(f"points={given}: give places as x, y in pixels, points=[[120,40],[33,80]], or a file of them")
    for place in values.astype(float).tolist():
        _check_inside(place, size, side, f"points: {place}")
    return torch.from_numpy(values.astype(np.float32))


def _check_inside(place: Sequence[float], size: tuple[int, int], side: str, where: str) -> None:
    height, width = size
    if not (-0.5 <= place[0] <= width - 0.5 and -0.5 <= place[1] <= height - 0.5):  # also what is no number
        raise ImageError(
            f"{where} lies outside of the {side}, which has {width} × {height} pixels: x from 0 to {width - 1}, y from "
            f"0 to {height - 1}"
        )
