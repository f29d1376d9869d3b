"""Arrays for a page: as few bytes as the eye needs, deflated, in letters."""

import base64
import zlib
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

Packed = dict[str, Any]  # kind, data and, where numbers were rounded, their scale


def packed(values: Shaped[ndarray, "..."]) -> Packed:
    """The values as they are; ``kind`` is the name of a typed array of JavaScript."""
    kind = {"f": "Float", "i": "Int", "u": "Uint"}[values.dtype.kind] + str(8 * values.dtype.itemsize)
    data = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    return {"kind": f"{kind}Array", "data": base64.b64encode(zlib.compress(data, 6)).decode()}


def packed_ids(ids: Int[ndarray, "..."]) -> Packed:
    """Whole numbers from 0 on, in the smallest type; -1, for none, becomes its largest number."""
    kinds = (np.uint16, np.uint32)
    kind = next(kind for kind in kinds if ids.max(initial=0) < np.iinfo(kind).max)
    return packed(np.where(ids < 0, np.iinfo(kind).max, ids).astype(kind))


def packed_columns(values: Float[ndarray, "n c"]) -> Packed:
    """Numbers in 16 bits, column after column, each with its largest magnitude in ``scale``."""
    largest = np.abs(values).max(axis=0, initial=0)
    steps = np.round(values / np.where(largest > 0, largest, 1) * 32767).astype(np.int16)
    return packed(steps.T) | {"scale": (largest / 32767).tolist()}


def packed_levels(values: Float[ndarray, "n"], *, low: float, high: float) -> Packed:
    """Numbers between two bounds as 254 levels; 255 is what is no number."""
    unit = np.clip((values - low) / max(high - low, 1e-30), 0, 1)
    return packed(np.where(np.isfinite(values), np.round(unit * 254), 255).astype(np.uint8))
