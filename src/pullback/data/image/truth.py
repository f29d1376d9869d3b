"""Ground truth of photographs in other people's formats: flows, keypoints and labels.

The only place where Matlab's pixels become ours.
"""

import contextlib
import io
import math
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from pullback.data.image.annotations import keypoints_of
from pullback.data.image.decoding import MOST_PIXELS, ImageError
from pullback.files import MissingFileError
from pullback.writing import write_atomically

_MAGIC = 202021.25  # begins every .flo file; spells PIEH in little-endian ASCII
_LARGEST_FLOW = 1e9  # the format's own limit: components beyond it mean "unknown"
_COMPRESSED = 15  # Matlab's number for a part that zlib packed


def read_flo(path: str | Path) -> Float[Tensor, "2 H W"]:
    """The displacements (x, y) in pixels of a Middlebury ``.flo`` file; unknown ones stay as they are.

    Raises FileNotFoundError, and ImageError for another kind of file and for one that is cut short or too long.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no flow file {path}")
    length = path.stat().st_size
    with open(path, "rb") as file:
        width, height = _flow_size(path, file.read(12), length)
        values = np.frombuffer(file.read(), dtype="<f4").reshape(height, width, 2)
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1).contiguous()


def _flow_size(path: Path, header: bytes, length: int) -> tuple[int, int]:
    """Width and height, if they fit the ``length`` of the file."""
    if len(header) < 12:
        raise ImageError(f"{path}: {length} bytes hold no flow, whose header alone has 12. Copy the file again")
    magic, width, height = struct.unpack("<fii", header)
    if header[:4] == struct.pack(">f", _MAGIC):
        raise ImageError(f"{path}: its numbers are big-endian, but a Middlebury flow is little-endian. Write '<f4'")
    if magic != _MAGIC:
        raise ImageError(
            f"{path}: begins with {header[:4]!r}, but a Middlebury flow with b'PIEH'. Is it another format?"
        )
    expected = 12 + 8 * width * height
    if width < 1 or height < 1 or length != expected:
        what = "cut short" if length < expected else "damaged"
        raise ImageError(
            f"{path}: {length} bytes, but {width} × {height} pixels make {expected}: it is {what}. Copy it again"
        )
    if width * height > MOST_PIXELS:
        raise ImageError(
            f"{path}: {width} × {height} pixels are too many: up to {MOST_PIXELS // 10**6} million fit into memory"
        )
    return width, height


def write_flo(path: str | Path, flow: Float[Tensor, "2 H W"]) -> None:
    """A flow as a Middlebury ``.flo`` file; what is no number is written as that format's unknown, 10¹⁰."""
    _, height, width = flow.shape
    values = flow.nan_to_num(nan=10 * _LARGEST_FLOW).permute(1, 2, 0).cpu().numpy().astype("<f4")
    write_atomically(Path(path), lambda file: file.write(struct.pack("<fii", _MAGIC, width, height) + values.tobytes()))


def is_known_flow(flow: Float[Tensor, "2 H W"]) -> Bool[Tensor, "H W"]:
    """The pixels whose flow is known: finite, and below 10⁹ pixels in both directions (``.flo``)."""
    return (flow.isfinite() & (flow.abs() < _LARGEST_FLOW)).all(dim=0)


def read_mat_keypoints(path: str | Path, *, key: str = "pts_coord") -> Float[Tensor, "t 2"]:
    """Keypoints (x, y) from a Matlab file, one column each under ``key``; Matlab's first pixel is (1, 1), ours (0, 0).

    Raises FileNotFoundError, and ImageError for another kind of file and for values that are no keypoints.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no keypoint file {path}")
    points = _matlab_array(path, key, _KEYPOINTS)
    rows = "two rows of finite numbers, x and y"
    if points.ndim != 2 or points.shape[0] != 2 or points.dtype.kind not in "iuf" or not np.isfinite(points).all():
        raise ImageError(f"{path}: {key} should hold {rows}, but is {points.dtype} of shape {points.shape}")
    return keypoints_of((points.T.astype(np.float64) - 1).tolist(), f"{path}: {key}")


def read_mat_labels(path: str | Path, *, key: str = "gt_label") -> Int[Tensor, "H W"] | Int[Tensor, "H W l"]:
    """Numbers of the pixels of a photograph from a Matlab file, perhaps in several layers.

    Raises FileNotFoundError, and ImageError for another kind of file and for values that are no whole numbers >= 0.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no label file {path}")
    labels = _matlab_array(path, key, _LABELS)
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "biuf" or not (labels == np.floor(labels)).all():
        raise ImageError(
            f"{path}: {key} should hold whole numbers, height × width, but is {labels.dtype} of shape {labels.shape}"
        )
    if labels.size == 0 or labels.min() < 0:
        raise ImageError(f"{path}: {key} should hold numbers of 0 and more for each pixel. Copy it again")
    return torch.from_numpy(labels.astype(np.int64))


@dataclass(frozen=True)
class _Wanted:
    """What an array of a Matlab file is to be, and how large it can be."""

    noun: str
    needs: str  # how much such values need
    form: str
    values: int
    megabytes: int


_KEYPOINTS = _Wanted("keypoints", "a few hundred bytes", "two rows of finite numbers, x and y", 200_000, 16)
_LABELS = _Wanted("labels", "some megabytes", "whole numbers, height × width", 40_000_000, 320)


def _matlab_array(path: Path, key: str, wanted: _Wanted) -> ndarray:
    """The values under ``key``.

    What else the file holds is not unpacked, and neither is more than such values can need.
    """
    from scipy.io import loadmat, whosmat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scipy, on names that occur twice
        try:
            content = _bounded(path, wanted)
            there = {name: (shape, kind) for name, shape, kind in whosmat(io.BytesIO(content))}
            if key not in there:
                names = ", ".join(there) or "nothing"
                raise ImageError(f"{path}: {wanted.noun} are looked for under {key}, but the file holds {names[:200]}")
            shape, kind = there[key]
            if kind in ("cell", "struct", "object", "opaque", "function", "sparse") or math.prod(shape) > wanted.values:
                raise ImageError(f"{path}: {key} should hold {wanted.form}, but is a {kind} of shape {shape}")
            return np.asarray(loadmat(io.BytesIO(content), variable_names=[key])[key])
        except ImageError:
            raise
        except Exception as error:  # scipy's own errors, and those of zlib, struct, numpy … for damaged files
            raise ImageError(
                f"{path}: cannot be read as a Matlab file ({error or type(error).__name__}). Copy it again"
            ) from None


def _bounded(path: Path, wanted: _Wanted) -> bytes:
    """The bytes of a Matlab file, none of whose compressed parts unpacks to more than such values can need."""
    most = wanted.megabytes * 2**20
    too_large = (
        f"{path}: unpacked, it holds more than {wanted.megabytes} MiB, but {wanted.noun} {wanted.needs}. "
        "Is it another file?"
    )
    if path.stat().st_size > most:
        raise ImageError(too_large)
    content = path.read_bytes()
    order = "<" if content[126:128] == b"IM" else ">"
    at, left = 128, most
    while at + 8 <= len(content):
        kind, length = struct.unpack(order + "II", content[at : at + 8])
        if kind == _COMPRESSED:
            with contextlib.suppress(zlib.error):  # loadmat will say it
                left -= len(zlib.decompressobj().decompress(content[at + 8 : at + 8 + length], left + 1))
        if left < 0:
            raise ImageError(too_large)
        at += 8 + length
    return content
