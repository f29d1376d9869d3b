"""What may be in the arrays of a match: checked before they are stored, and when a file is read."""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.errors import UserError

_LARGEST_INDEX = 2**31 - 1  # of a vertex or patch
_LARGEST_SIDE = 2**20  # pixels or patches
_UNPACKED = 2**28  # bytes that a compressed file may always grow to
# Kind of the numbers and shape of each array; None is any length.
_ARRAYS: Mapping[str, tuple[str, tuple[int | None, ...]]] = {
    "p2p21": ("iu", (None,)),
    "fmap12": ("f", (None, None)),
    "fmap12_init": ("f", (None, None)),
    "fmap21": ("f", (None, None)),
    "evals1": ("f", (None,)),
    "evals2": ("f", (None,)),
    "xy21": ("f", (None, 2)),
    "xy12": ("f", (None, 2)),
    "patches1": ("iu", (None,)),
    "patches2": ("iu", (None,)),
    "grid1": ("iu", (2,)),
    "grid2": ("iu", (2,)),
    "size1": ("iu", (2,)),
    "size2": ("iu", (2,)),
    "losses": ("f", (None,)),
    "seconds": ("fiu", ()),
}
_FINITE = ("fmap12", "fmap12_init", "fmap21", "evals1", "evals2", "xy21", "xy12", "seconds")
_WORDS = {"iu": "whole numbers", "f": "decimal numbers", "fiu": "a number"}


class UnusableMap(UserError, ValueError):
    """A map between two shapes or photographs is none: not numbers, out of range, or of another form."""


def check_map(p2p21: Int[Tensor, " n2"], fmap12: Float[Tensor, "k2 k1"] | None, *, of: str) -> None:
    """Raises UnusableMap for a functional map that is not finite, or a point map to a single vertex."""
    check_finite(fmap12, of=of)
    if len(p2p21) > 2 and bool((p2p21 == p2p21[0]).all()):
        raise UnusableMap(
            f"the map of {of} sends all {len(p2p21):,} points to one, which is no map; look at the features"
        )


def check_finite(*values: Tensor | None, of: str) -> None:
    """Raises UnusableMap where something of a match is not finite; None is left out."""
    if not all(bool(torch.isfinite(some).all()) for some in values if some is not None):
        raise UnusableMap(f"the map of {of} is NaN or infinite; look at the features and at the solver's options")


def check_size(path: Path) -> None:
    """Raises UnusableMap for a compressed file that grows beyond reason when it is read."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > max(_UNPACKED, path.stat().st_size):
        raise UnusableMap(f"it is {path.stat().st_size:,} bytes that unpack to {unpacked:,}")


def check_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    """Raises UnusableMap for arrays that no match has: wrong forms, no numbers, places that do not exist."""
    if "p2p21" not in arrays:
        raise UnusableMap(f"it holds no p2p21, but {', '.join(arrays) or 'nothing'}")
    for name, values in arrays.items():
        _check_form(name, values)
    for name in ("p2p21", "patches1", "patches2"):
        _check_range(name, arrays.get(name), 0, _LARGEST_INDEX)
    for name in ("grid1", "grid2", "size1", "size2"):
        _check_range(name, arrays.get(name), 1, _LARGEST_SIDE)
    if "patches1" in arrays:
        _check_range("p2p21", arrays["p2p21"], 0, len(arrays["patches1"]) - 1)
    for name in ("xy21", "patches2"):
        if name in arrays and len(arrays[name]) != len(arrays["p2p21"]):
            raise UnusableMap(f"{name} has {len(arrays[name])} rows, but p2p21 {len(arrays['p2p21'])}")
    for side in "12":
        _check_grid(arrays, side)


def _check_form(name: str, values: np.ndarray) -> None:
    kinds, shape = _ARRAYS.get(name, ("biufU", None))
    if values.dtype.kind not in kinds:
        raise UnusableMap(f"{name} holds {values.dtype}, but should hold {_WORDS.get(kinds, 'numbers')}")
    if shape is not None and (
        values.ndim != len(shape) or any(want not in (None, is_) for want, is_ in zip(shape, values.shape, strict=True))
    ):
        raise UnusableMap(
            f"{name} has the shape {values.shape}, but should have {len(shape)} dimensions, {_shape_in_words(shape)}"
        )
    if shape and not values.size:
        raise UnusableMap(f"{name} is empty")
    if name in _FINITE and not np.isfinite(values).all():
        raise UnusableMap(f"{name} holds NaN or infinity")
    if name == "seconds" and values < 0:
        raise UnusableMap(f"seconds is {values}")


def _shape_in_words(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("n" if side is None else str(side) for side in shape) + ")"


def _check_range(name: str, values: np.ndarray | None, low: int, high: int) -> None:
    if values is None:
        return
    least, most = int(values.min()), int(values.max())
    if least < low or most > high:
        raise UnusableMap(f"{name} holds {least if least < low else most}, but may hold {low} to {high}")


def _check_grid(arrays: Mapping[str, np.ndarray], side: str) -> None:
    grid, size, patches = (arrays.get(f"{name}{side}") for name in ("grid", "size", "patches"))
    if grid is None:
        return
    if size is not None and (grid > size).any():
        raise UnusableMap(f"grid{side} has {grid.tolist()} patches on {size.tolist()} pixels")
    if patches is not None:
        _check_range(f"patches{side}", patches, 0, math.prod(grid.tolist()) - 1)
