"""Grey values of any kind (12 or 16 bits, signed, floating point) as the 8 bits that every network reads."""

import numpy as np
from numpy import ndarray

_SAMPLE = 4_000_000  # values that tell the range of a photograph
_OUTSIDE = 0.1  # per cent of the values at each end that may lie outside of the range
_STRIP = 256  # rows that are worked on at once
# A photograph whose values lie within this share of what its kind can hold would come out flat: a thermal camera's, or
# 12 bits in 16.
_NARROW = 1 / 4


def eight_bits(values: ndarray) -> tuple[ndarray, tuple[str, ...]]:
    """Values of shape (H, W) or (H, W, 3) as bytes, and what was done to them, in words.

    Integers in 0…65535 keep their scale (white is 65535), floating-point values in [0, 1] too (white is 1), unless they
    fill only a small part of it: then, and where they lie anywhere else, the range that they fill becomes that from
    black to white. Values that are no numbers become black.
    """
    low, high = usual_range(values)
    white = _white(values, low, high)
    notes = []
    unknown = 0 if values.dtype.kind != "f" else values.size - int(np.isfinite(values).sum())
    if unknown:
        notes.append(f"{unknown:,} of its {values.size:,} values are no numbers, and become black")
    if white is None or high - low <= white * _NARROW:
        if high > low:
            notes.append(
                f"its values run from {low:g} to {high:g}, which is stretched to the range from black to white"
            )
    else:
        low, high = 0.0, white
    return _scaled(values, low, high), tuple(notes)


def _white(values: ndarray, low: float, high: float) -> float | None:
    """The value of white by the kind of number; None where nothing tells."""
    if values.dtype.kind == "f":
        return 1.0 if low >= 0 and high <= 1 else None
    return 65535.0 if values.min() >= 0 and values.max() <= 65535 else None


def usual_range(values: ndarray) -> tuple[float, float]:
    """The least and the largest value without a few outliers, which the dead pixels of a camera are:
    at least one pixel at each end.
    """
    step = max(1, int(np.sqrt(values.size / _SAMPLE)))
    sample = values[::step, ::step].reshape(-1, *values.shape[2:])
    dark, bright = (sample, sample) if sample.ndim == 1 else (sample.min(axis=1), sample.max(axis=1))
    dark, bright = (side[np.isfinite(side)].astype(np.float64) for side in (dark, bright))
    if not dark.size:
        return 0.0, 0.0
    low, high = np.percentile(dark, _OUTSIDE, method="higher"), np.percentile(bright, 100 - _OUTSIDE, method="lower")
    if high <= low:  # nearly all are alike: what there is to see lies in the few others
        low, high = dark.min(), bright.max()
    return float(low), float(high)


def _scaled(values: ndarray, low: float, high: float) -> ndarray:
    """``low`` becomes 0 and ``high`` 255."""
    result = np.empty(values.shape, np.uint8)
    span = high - low
    for top in range(0, len(values), _STRIP):
        with np.errstate(invalid="ignore"):  # a NaN that signals
            strip = values[top : top + _STRIP].astype(np.float64)
        shares = np.nan_to_num((strip - low) / span if span > 0 else strip * 0, nan=0.0, posinf=0.0, neginf=0.0)
        result[top : top + _STRIP] = (shares.clip(0, 1) * 255).round()
    return result
