"""A z-buffer for triangles in plain numpy: which face covers each pixel, and where inside that face."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

_MAX_FRAGMENTS = 2_000_000  # drawn at a time: bounds the memory at some 150 MB
_OVERLAP = 1e-6  # pixels: neighbours overlap by a hair rather than leave a crack


class Fragments(NamedTuple):
    """The covered pixels of a picture, each with the nearest face there."""

    pixel: Int[ndarray, " p"]  # row · width + column, ascending
    face: Int[ndarray, " p"]
    weights: Float[ndarray, "p 3"]  # barycentric coordinates in that face
    depth: Float[ndarray, " p"]  # larger is nearer


class _Spans(NamedTuple):
    """Runs of pixels of one row inside one triangle."""

    face: Int[ndarray, " s"]
    pixel: Int[ndarray, " s"]  # the first one
    length: Int[ndarray, " s"]
    depth: Float[ndarray, " s"]  # at the first one
    slope: Float[ndarray, " s"]  # change of depth from pixel to pixel


def rasterise(points: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], *, width: int, height: int) -> Fragments:
    """The visible fragments of triangles in pixels: x right, y down, z towards the viewer.

    Exact for intersecting triangles too: depths are compared at every pixel. Triangles seen edge-on cover nothing.
    """
    depth = np.full(width * height, -np.inf)
    face = np.full(width * height, -1)
    to_weights = _barycentric(points[faces])
    spans = _spans(points, faces, to_weights, width, height)
    for chunk in _chunks(spans.length):
        part = _Spans(*(values[chunk] for values in spans))
        span = np.repeat(np.arange(len(part.length)), part.length)
        step = np.arange(len(span)) - np.repeat(np.cumsum(part.length) - part.length, part.length)
        pixel, z = part.pixel[span] + step, part.depth[span] + part.slope[span] * step
        np.maximum.at(depth, pixel, z)
        nearest = z >= depth[pixel]
        face[pixel[nearest]] = part.face[span[nearest]]
    covered = np.flatnonzero(face >= 0)
    seen = face[covered]
    y, x = np.divmod(covered, width)
    weights = to_weights[seen, 0] * x[:, None] + to_weights[seen, 1] * y[:, None] + to_weights[seen, 2]
    return Fragments(covered, seen, weights, depth[covered])


def _barycentric(corners: Float[ndarray, "f 3 3"]) -> Float[ndarray, "f 3 3"]:
    """Rows of x, y and 1: ``x · [:, 0] + y · [:, 1] + [:, 2]`` are the barycentric coordinates of (x, y).

    NaN for faces seen edge-on.
    """
    (x, y), area = corners[..., :2].transpose(2, 0, 1), _twice_area(corners)
    after, before = [1, 2, 0], [2, 0, 1]
    rows = [
        y[:, after] - y[:, before],
        x[:, before] - x[:, after],
        x[:, after] * y[:, before] - x[:, before] * y[:, after],
    ]
    return np.stack(rows, axis=1) / np.where(np.abs(area) > 1e-12, area, np.nan)[:, None, None]


def _twice_area(corners: Float[ndarray, "f 3 3"]) -> Float[ndarray, " f"]:
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]


def _spans(
    points: Float[ndarray, "n 3"],
    faces: Int[ndarray, "f 3"],
    to_weights: Float[ndarray, "f 3 3"],
    width: int,
    height: int,
) -> _Spans:
    """The pixels of all triangles, row by row: where all three barycentric coordinates, linear in x, are positive."""
    rows = points[faces][..., 1]
    first = np.clip(np.ceil(rows.min(axis=1)), 0, height).astype(int)
    last = np.clip(np.floor(rows.max(axis=1)), -1, height - 1).astype(int)
    count = np.where(np.isfinite(to_weights[:, 0, 0]), np.maximum(last - first + 1, 0), 0)
    face = np.repeat(np.arange(len(faces)), count)
    y = first[face] + np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    slope, offset = to_weights[face, 0], to_weights[face, 1] * y[:, None] + to_weights[face, 2]
    root = -offset / np.where(slope == 0, 1, slope)
    left = np.where(slope > 0, root, -np.inf).max(axis=1)
    right = np.where(slope < 0, root, np.inf).min(axis=1)
    start = np.clip(np.ceil(left - _OVERLAP), 0, width).astype(int)
    stop = np.clip(np.floor(right + _OVERLAP), -1, width - 1).astype(int) + 1
    some = stop > start
    face, y, start, stop = face[some], y[some], start[some], stop[some]
    z = points[faces[face], 2]
    depth, change = (offset[some] * z).sum(axis=1), (slope[some] * z).sum(axis=1)
    return _Spans(face, y * width + start, stop - start, depth + change * start, change)


def _chunks(counts: Int[ndarray, " s"]) -> list[slice]:
    """Ranges of spans with about ``_MAX_FRAGMENTS`` pixels each."""
    if len(counts) == 0:
        return []
    bins = np.cumsum(counts) // _MAX_FRAGMENTS
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(counts)], strict=True)]
