"""Flows of other programs in any form that is read: Middlebury's ``.flo``, and arrays of NumPy."""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pullback.data.image.decoding import MOST_PIXELS, ImageError
from pullback.data.image.truth import read_flo

FLOW_ENDINGS = (".flo", ".npy", ".npz")
_OURS = "fingerprint.json"  # lies beside stored predictions, whose .npz are no flows
_FORM = "an array of numbers, height × width × 2 or 2 × height × width, x before y"


def flow_files(folder: Path) -> Iterator[Path]:
    """The files below a folder that bear the ending of a flow, in alphabetical order; none of stored predictions."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in FLOW_ENDINGS and path.is_file() and not (path.parent / _OURS).exists():
            yield path


def read_flow(path: Path) -> Float[Tensor, "2 H W"]:
    """Displacements (x, y) in pixels from a ``.flo`` file or an array; what is unknown in it stays as it is.

    Of an ``.npz`` the array ``flow``, or its only one. Raises ImageError for anything else, and as ``read_flo``.
    """
    if path.suffix.lower() not in (".npy", ".npz"):
        return read_flo(path)
    values = _array(path)
    if values.ndim != 3 or 2 not in (values.shape[0], values.shape[2]) or values.dtype.kind not in "iuf":
        raise ImageError(f"{path} holds {values.dtype} of shape {values.shape}; a flow is {_FORM}")
    flow = values if values.shape[2] != 2 else values.transpose(2, 0, 1)
    with np.errstate(over="ignore"):  # beyond what a float32 holds it is unknown flow
        return torch.from_numpy(np.ascontiguousarray(flow, dtype=np.float32))


def _array(path: Path) -> ndarray:
    try:
        if path.suffix.lower() == ".npz":
            return _of_archive(path)
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # not read before its size is known
        return np.array(_fit(path, mapped))
    except ImageError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ImageError(f"{path}: cannot be read as an array of NumPy ({error}). Save it with numpy.save") from None


def _of_archive(path: Path) -> ndarray:
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_PIXELS * 16:
            raise ImageError(f"{path}: unpacked, it holds more than a flow can. Is it another file?")
    with np.load(path, allow_pickle=False) as arrays:
        names = list(arrays.files)
        name = "flow" if "flow" in names else names[0] if len(names) == 1 else None
        if name is None:
            raise ImageError(f"{path} holds the arrays {', '.join(names) or 'none'}; call that of the flow flow")
        return _fit(path, arrays[name])


def _fit(path: Path, values: Any) -> Any:
    if math.prod(values.shape) > 2 * MOST_PIXELS:
        raise ImageError(
            f"{path}: shape {values.shape} is too much: up to {MOST_PIXELS // 10**6} million pixels fit into memory"
        )
    return values
