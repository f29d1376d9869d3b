"""Matrices as pairs of half-precision ones, laid out for the tiles of the GPU kernels."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

# Kernels work on blocks of at most this many rows; all smaller ones divide it.
ROW_BLOCK = 128
# The widest row of which a kernel holds a block at once.
_HELD = 256
# In units of the split points no norm is longer, so that sums of products of whole coordinates and of norms stay below
# 2^24.
_RADIUS = 2.0**11.5
# Half precision reaches 65504 = nearly 2^16: query rows may be so many times farther out than any reference row.
_FAR = 16.0
# Rows whose norms are added up in float64 at a time.
_NORM_ROWS = 2**16


@dataclass(frozen=True)
class Pieces:
    """How a row is cut: ``groups`` times ``main`` columns and a ``tail``, all powers of two.

    Only one group has a tail.
    """

    main: int
    tail: int
    groups: int

    @property
    def width(self) -> int:
        return self.main * self.groups + self.tail


def pieces(columns: int) -> Pieces:
    """The cut of rows of so many columns with little padding: 30 → 32, 130 → 128 + 16, 200 → 128 + 128, 300 → 3 · 128.

    The least piece is 16 columns, what a tensor core multiplies at once.
    """
    if columns > _HELD:
        return Pieces(128, 0, -(-columns // 128))
    main = 16
    while 2 * main <= min(columns, 128):
        main *= 2
    rest = columns - main
    if rest <= 0:
        return Pieces(main, 0, 1)
    tail = 16
    while tail < rest:
        tail *= 2
    return Pieces(main, tail, 1) if tail < main or main == 128 else Pieces(2 * main, 0, 1)


@dataclass(frozen=True)
class SplitRows:
    """A matrix (n, columns) as ``halves[0] + halves[1]``, padded with zeros to whole blocks and pieces."""

    # float16; the first rounded to nearest, the second what is left: 22 bits together
    halves: Float[Tensor, "2 rows width"]
    pieces: Pieces
    n: int
    columns: int

    @property
    def rows(self) -> int:
        return self.halves.shape[1]

    def half_norms(self) -> Float[Tensor, " n"]:
        """``|x|²/2`` in float64 of the split rows themselves.

        Distances are then those of two sets of points, however they were rounded.
        """
        norms = [rows.double().sum(dim=0).square().sum(dim=1) for rows in self.halves.split(_NORM_ROWS, dim=1)]
        return torch.cat(norms)[: self.n] / 2

    def pad(self, values: Float[Tensor, " n"], padding: float) -> Float[Tensor, " rows"]:
        """One number a row, continued over the padding."""
        padded = values.new_full((self.rows,), padding)
        padded[: self.n] = values
        return padded


def split_rows(values: Float[Tensor, "n c"], *, whole: bool = False) -> SplitRows:
    """float32 numbers of magnitude below 65504 as pairs of halves, the first a whole number if asked for.

    What is below 2^-25 is lost.
    """
    n, columns = values.shape
    cut = pieces(columns)
    halves = values.new_zeros(2, -(-n // ROW_BLOCK) * ROW_BLOCK, cut.width, dtype=torch.float16)
    halves[0, :n, :columns] = values.round() if whole else values
    halves[1, :n, :columns] = values - halves[0, :n, :columns]
    return SplitRows(halves, cut, n, columns)


@dataclass(frozen=True)
class SplitPoints:
    """Two sets of points about a common origin, in a unit in which sums of products are exact (triton_kernels)."""

    query: SplitRows
    reference: SplitRows
    scale: Float[Tensor, ""]  # coordinates are times this
    query_norm: Float[Tensor, " rows2"]  # |q|²/2, to whole numbers
    reference_norm: Float[Tensor, "2 rows1"]  # |r|²/2 likewise, infinite over the padding; and what was rounded off

    @staticmethod
    def of(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"], *, padding: float) -> "SplitPoints":
        """``padding`` is infinite, and its sign that of the squared distances to the rows that pad the reference.

        NaN and infinite query rows concern themselves only: neither the origin nor the unit feels them. Nor does the
        unit feel rows that are a few times farther out than the reference; for those that are more, all others pay with
        accuracy.
        """
        centre = reference.mean(dim=0)
        query, reference = query - centre, reference - centre
        query_size, reference_size = query.norm(dim=1), reference.norm(dim=1)
        query_size = torch.where(query_size.isfinite(), query_size, 0)
        scale = _RADIUS / nonzero(torch.maximum(reference_size.amax(), query_size.amax() / _FAR))
        rows2, rows1 = split_rows(query * scale, whole=True), split_rows(reference * scale, whole=True)
        query_norm, reference_norm = rows2.half_norms(), rows1.half_norms()
        parts = [reference_norm.round(), reference_norm - reference_norm.round()]
        stacked = torch.stack([rows1.pad(parts[0].float(), padding), rows1.pad(parts[1].float(), 0.0)])
        return SplitPoints(rows2, rows1, scale, rows2.pad(query_norm.round().float(), 0.0), stacked)


def nonzero(values: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """Values to divide by: 1 in place of 0."""
    return torch.where(values == 0, 1, values)
