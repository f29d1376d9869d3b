"""Ground truth of photographs in other people's formats: flows and keypoints.

The only place where Matlab's pixels become ours.
"""

import contextlib
import io
import math
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from pullback.data.image.annotations import keypoints_of
from pullback.data.image.decoding import MOST_PIXELS, ImageError
from pullback.files import MissingFileError
from pullback.writing import write_atomically

_MAGIC = 202021.25  # begins every .flo file; spells PIEH in little-endian ASCII
_LARGEST_FLOW = 1e9  # the format's own limit: components beyond it mean "unknown"
_COMPRESSED = 15  # Matlab's number for a part that zlib packed
_MOST_MATLAB = 16 * 2**20  # bytes
_MOST_VALUES = 200_000  # of an array of keypoints


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
    points = _matlab_array(path, key)
    rows = "two rows of finite numbers, x and y"
    if points.ndim != 2 or points.shape[0] != 2 or points.dtype.kind not in "iuf" or not np.isfinite(points).all():
        raise ImageError(f"{path}: {key} should hold {rows}, but is {points.dtype} of shape {points.shape}")
    return keypoints_of((points.T.astype(np.float64) - 1).tolist(), f"{path}: {key}")


def _matlab_array(path: Path, key: str) -> ndarray:
    """The values under ``key``.

    What else the file holds is not unpacked, and neither is more than keypoints can need.
    """
    from scipy.io import loadmat, whosmat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scipy, on names that occur twice
        try:
            content = _bounded(path)
            there = {name: (shape, kind) for name, shape, kind in whosmat(io.BytesIO(content))}
            if key not in there:
                names = ", ".join(there) or "nothing"
                raise ImageError(f"{path}: keypoints are looked for under {key}, but the file holds {names[:200]}")
            shape, kind = there[key]
            if kind in ("cell", "struct", "object", "opaque", "function", "sparse") or math.prod(shape) > _MOST_VALUES:
                raise ImageError(
                    f"{path}: {key} should hold two rows of finite numbers, x and y, but is a {kind} of shape {shape}"
                )
            return np.asarray(loadmat(io.BytesIO(content), variable_names=[key])[key])
        except ImageError:
            raise
        except Exception as error:  # scipy's own errors, and those of zlib, struct, numpy … for damaged files
            raise ImageError(
                f"{path}: cannot be read as a Matlab file ({error or type(error).__name__}). Copy it again"
            ) from None


def _bounded(path: Path) -> bytes:
    """The bytes of a Matlab file, none of whose compressed parts unpacks to more than keypoints can need."""
    too_large = (
        f"{path}: unpacked, it holds more than {_MOST_MATLAB // 2**20} MiB, but keypoints a few hundred "
        "bytes. Is it another file?"
    )
    if path.stat().st_size > _MOST_MATLAB:
        raise ImageError(too_large)
    content = path.read_bytes()
    order = "<" if content[126:128] == b"IM" else ">"
    at, left = 128, _MOST_MATLAB
    while at + 8 <= len(content):
        kind, length = struct.unpack(order + "II", content[at : at + 8])
        if kind == _COMPRESSED:
            with contextlib.suppress(zlib.error):  # loadmat will say it
                left -= len(zlib.decompressobj().decompress(content[at + 8 : at + 8 + length], left + 1))
        if left < 0:
            raise ImageError(too_large)
        at += 8 + length
    return content
