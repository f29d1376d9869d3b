"""Nearest rows by matrix products, and a decision between close ones that depends on the rows alone.

A product rounds equal columns differently by their place, and differently on every processor. So it only nominates:
every column that rounding could have kept from being the best is a candidate, and candidates are compared by
``exact_squares``, the first of equal ones wins. Most rows have one candidate.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.embeddings import column_tiles, homogeneous_query, homogeneous_reference
from pullback.mapping.scratch import Scratch
from pullback.mapping.strips import Ids, Strips

# Of the error bound of a product, for what the bound itself leaves out: terms of second order.
_SAFETY = 1.25
# Candidates for each row of a strip up to which they are decided with those of all others, and from which it pays to
# thin them out.
_KEPT, _CROWD = 2, 16
# Entries of a matrix of differences, or of products in float64, that exist at a time.
_ELEMENTS = 2**20


@dataclass(frozen=True, eq=False)
class Search:
    """A query and a reference set, ready for products of rows and columns."""

    query: Float[Tensor, "n2 p"]
    reference: Float[Tensor, "n1 p"]
    centre: Float[Tensor, " p"]
    near: Float[Tensor, "n1 d"]  # the reference in homogeneous coordinates about the centre
    scratch: Scratch

    @staticmethod
    def of(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> "Search":
        centre = reference.mean(dim=0)
        return Search(query, reference, centre, homogeneous_reference(reference - centre), Scratch())

    def nearest(self) -> Int[Tensor, " n2"]:
        """The nearest column of each row. Strips nominate, and what they leave open is decided for all rows at once."""

        def work(rows: Ids, x: Float[Tensor, "b d"], columns: Int[Tensor, " m"] | None) -> tuple[Tensor, Tensor]:
            row, column = self._nominated(x, columns)
            if len(row) > _KEPT * len(x):
                row, column = torch.arange(len(x), device=x.device), self._decide(self.query[rows], row, column)
            return (row + rows.start if isinstance(rows, slice) else rows[row]), column

        parts = Strips.of(self.query, self.near, self.coordinates).each(work)
        return self._decide(self.query, *(torch.cat(ids) for ids in zip(*parts, strict=True)))

    def coordinates(self, rows: Ids) -> Float[Tensor, "b d"]:
        """Query rows in homogeneous coordinates about the centre."""
        query = self.query[rows] if isinstance(rows, slice) else self.query.index_select(0, rows)
        return homogeneous_query(query - self.centre)

    def best_of_products(self, rows: Ids, x: Float[Tensor, "b d"], product: Float[Tensor, "b n1"]) -> Int[Tensor, " b"]:
        """The nearest column of each row, from ``x @ near.T``."""
        candidates = _Candidates(x)
        candidates.see(product, slice(0, product.shape[1]))
        return self._decide(self.query[rows], *candidates.kept())

    def _nominated(
        self, x: Float[Tensor, "b d"], columns: Int[Tensor, " m"] | None
    ) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
        """Pairs (row, column) of which one is the nearest of each row of a strip, among all columns or some of them."""
        ids = None if columns is None else columns.long().sort().values
        candidates = _Candidates(x)
        for tile in column_tiles(len(self.near) if ids is None else len(ids), x.device):
            block = tile if ids is None else ids[tile]
            near = self.near[block] if isinstance(block, slice) else self.near.index_select(0, block)
            candidates.see(self.scratch.product(x, near), block)
        return candidates.kept()

    def _decide(
        self, points: Float[Tensor, "b p"], row: Int[Tensor, " k"], column: Int[Tensor, " k"]
    ) -> Int[Tensor, " b"]:
        """Of the columns nominated for each point the nearest, of equally near ones the first."""
        found = torch.zeros(len(points), dtype=torch.long, device=row.device)
        close = torch.bincount(row, minlength=len(found))[row] > 1
        found[row[~close]] = column[~close]
        row, column = row[close], column[close]
        if len(row) > 0:
            if len(row) > _CROWD * len(found):
                row, column = self._thinned(points, row, column)
            first_of_nearest(found, row, column, self._squares(points, row, column))
        return found

    def _squares(
        self, points: Float[Tensor, "b p"], row: Int[Tensor, " m"], column: Int[Tensor, " m"]
    ) -> Float[Tensor, " m"]:
        step = max(1, _ELEMENTS // points.shape[1])
        parts = zip(row.split(step), column.split(step), strict=True)
        return torch.cat([exact_squares(points[r], self.reference[c]) for r, c in parts])

    def _thinned(
        self, points: Float[Tensor, "b p"], row: Tensor, column: Tensor
    ) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
        """Fewer candidates of the same rows, by equal columns and by centred products in float64."""
        columns, rows = self._first_equal[column].unique(), row.unique()
        reference = self.reference[columns].double()
        centre = points.double().mean(dim=0)
        near, found = homogeneous_reference(reference - centre), []
        for part in rows.split(max(1, _ELEMENTS // len(columns))):
            x = homogeneous_query(points[part].double() - centre)
            candidates = _Candidates(x)
            candidates.see(x @ near.T, slice(0, len(columns)))
            at, which = candidates.kept()
            found.append((part[at], columns[which]))
        kept_rows, kept_columns = zip(*found, strict=True)
        return torch.cat(kept_rows), torch.cat(kept_columns)

    @cached_property
    def _first_equal(self) -> Int[Tensor, " n1"]:
        return first_equal_rows(self.reference)


class _Candidates:
    """Columns that can be the nearest of each row, as far as products tell. A row with a NaN has none."""

    def __init__(self, x: Float[Tensor, "b d"]):
        """``x``: the rows in the homogeneous coordinates of the products."""
        self.n_rows, self._columns = x.shape
        self._square = torch.linalg.vecdot(x[:, :-1], x[:, :-1])
        # A product over d columns is off by d u |x||y| at most, u half of eps; so is the last coordinate of y. Two of a
        # row are compared.
        self._unit = _SAFETY * (self._columns + 2) * torch.finfo(x.dtype).eps
        self._best = x.new_full((self.n_rows,), -torch.inf)
        self._least = self._best  # the threshold, once something was seen
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def see(self, product: Float[Tensor, "b m"], block: Ids) -> None:
        """Takes in the products with a block of columns."""
        largest, at = _first_largest(product)
        self._best = torch.maximum(self._best, largest)
        self._least = threshold = self._threshold()
        self._keep(torch.arange(self.n_rows, device=product.device), at, largest, block)
        product.scatter_(1, at[:, None], -torch.inf)
        close = (product.amax(dim=1) >= threshold).nonzero()[:, 0]
        if len(close) > 0:
            crowded = product[close]
            row, column = (crowded >= threshold[close, None]).nonzero().unbind(dim=1)
            self._keep(close[row], column, crowded[row, column], block)
        product.scatter_(1, at[:, None], largest[:, None])

    def kept(self) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
        """Pairs (row, column)."""
        row, column, value = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        kept = value >= self._least[row]
        return row[kept], column[kept]

    def _threshold(self) -> Float[Tensor, " b"]:
        """What a product must reach for its column to be nearest, or equally near, by exact arithmetic.

        A column y that can be nearest lies within the distance of the best one: ``|y|`` is at most ``|x|`` and this
        distance.
        """
        norm = self._square.sqrt()
        largest = norm + (self._square - 2 * self._best).clamp_min(0).sqrt()
        return self._best - self._unit * largest * (norm + largest)

    def _keep(self, row: Int[Tensor, " m"], at: Int[Tensor, " m"], value: Float[Tensor, " m"], block: Ids) -> None:
        self._seen.append((row, at + block.start if isinstance(block, slice) else block[at], value))


def _first_largest(product: Float[Tensor, "b m"]) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"]]:
    """The largest entry of each row and its column; NaN counts as the largest."""
    if product.device.type != "cpu":
        largest, at = product.max(dim=1)
        return largest, at
    at = torch.from_numpy(product.numpy().argmax(axis=1))  # vectorised, which PyTorch's is not: 20 times faster
    return product.gather(1, at[:, None])[:, 0], at


def exact_squares(points: Float[Tensor, "m p"], others: Float[Tensor, "m p"]) -> Float[Tensor, " m"]:
    """Squared distances of rows in float64: squared differences, added in an order that only p decides.

    Single operations, each rounded as IEEE 754 says: the same bits wherever the rows stand and on every processor.
    """
    square = (points.double() - others.double()) ** 2
    while square.shape[1] > 1:
        half = square.shape[1] // 2
        added = square[:, :half] + square[:, half : 2 * half]
        if square.shape[1] % 2 == 1:
            added[:, 0] += square[:, -1]
        square = added
    return square[:, 0]


def first_of_nearest(
    found: Int[Tensor, " b"], row: Int[Tensor, " m"], column: Int[Tensor, " m"], square: Float[Tensor, " m"]
) -> None:
    """Writes each row's column of the smallest square, of equal ones the first, in place.

    Rows that are not named stay.
    """
    least = square.new_full((len(found),), torch.inf).scatter_reduce_(0, row, square, "amin")
    winner = square == least[row]
    found[row] = torch.iinfo(found.dtype).max
    found.scatter_reduce_(0, row[winner], column[winner], "amin")


def first_equal_rows(points: Float[Tensor, "n p"]) -> Int[Tensor, " n"]:
    """For each row the first that is equal to it: of equal hashes, which are compared.

    Sums of integers, exact in any order.
    """
    bits = torch.int32 if points.dtype == torch.float32 else torch.int64
    generator = torch.Generator().manual_seed(0)
    odd = torch.randint(-(2**62), 2**62, (points.shape[1],), generator=generator).to(points.device) * 2 + 1
    step = max(1, _ELEMENTS // points.shape[1])
    # Adding zero makes -0 and 0 the same.
    hashes = torch.cat([((part + 0.0).contiguous().view(bits).long() * odd).sum(dim=1) for part in points.split(step)])
    _, group = hashes.unique(return_inverse=True)
    each = torch.arange(len(points), device=points.device)
    first = torch.full_like(each, len(points)).scatter_reduce_(0, group, each, "amin")[group]
    equal = torch.cat([(points[i] == points[first[i]]).all(dim=1) for i in each.split(step)])
    return torch.where(equal, first, each)
