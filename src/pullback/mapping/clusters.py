"""Which reference points can matter to a few query points: compact clusters and bounds that rule out most of the rest.

Nothing here decides a result. Callers compute exactly with the candidates; all others provably lie beyond the given
reach.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Points of a cluster, at most; also the query rows that are searched for together. And the parts of a cluster.
LEAF, _PARTS = 64, 4
# The leading columns of an embedding, those of low frequency in a spectral one, form compact clusters and already tell
# most points apart.
_COARSE_COLUMNS = 32
# Clusters nearest to the middle of the query rows, whose points give the first upper bounds of their smallest
# distances.
_SEED_LEAVES = 4
# Columns examined at a time, which bounds the memory of a panel.
_TILE = 2**15
# Of rounding, in units of eps times the squares of the norms; and for each column, over which products are summed.
_ROUNDING, _ROUNDING_OF_COLUMN = 64, 4


@torch.no_grad()
def leaf_order(points: Float[Tensor, "n p"], *, leaf: int = LEAF) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
    """``(order, count)``: an order in which each run of ``count[l]`` points, at most ``leaf``, is a compact cluster.

    All clusters are halved at once, level by level, at the median of the direction between two far points; neighbouring
    runs are neighbours in the tree, and few of the counts are zero. Deterministic; O(n log n).
    """
    n, levels = len(points), max(0, math.ceil(math.log2(len(points) / leaf)))
    size = math.ceil(n / 2**levels)
    n_copies = size * 2**levels - n
    # Copies of some points make all clusters equal while they are split; they are dropped at the end.
    slot = torch.arange(n + n_copies, device=points.device)
    source = torch.where(slot < n, slot, (slot - n) * n // max(n_copies, 1))
    coarse = points[:, :_COARSE_COLUMNS].index_select(0, source)
    for level in range(levels):
        cluster = coarse.view(2**level, -1, coarse.shape[1])
        rank = _along(cluster).argsort(dim=1, stable=True)
        rank += cluster.shape[1] * torch.arange(2**level, device=points.device)[:, None]
        coarse, slot = coarse.index_select(0, rank.flatten()), slot.index_select(0, rank.flatten())
    return slot[slot < n], (slot.view(-1, size) < n).sum(dim=1)


def compact_strips(points: Float[Tensor, "n p"], *, rows: int = LEAF) -> list[Int[Tensor, " b"]]:
    """The rows of a set in runs of so many neighbours."""
    return list(leaf_order(points)[0].split(rows))


def _along(cluster: Float[Tensor, "g s c"]) -> Float[Tensor, "g s"]:
    """Coordinates on the line between two far points of each cluster."""
    each = torch.arange(len(cluster), device=cluster.device)
    half = 0.5 * torch.linalg.vecdot(cluster, cluster)
    first = cluster[each, (half - _products(cluster, cluster.mean(dim=1))).argmax(dim=1)]
    to_first = _products(cluster, first)
    second = cluster[each, (half - to_first).argmax(dim=1)]
    return _products(cluster, second) - to_first


def _products(cluster: Float[Tensor, "g s c"], direction: Float[Tensor, "g c"]) -> Float[Tensor, "g s"]:
    return (cluster @ direction[:, :, None])[:, :, 0]


@dataclass(frozen=True, eq=False)
class _Balls:
    """Runs of points, none of them empty, each within a ball about its mean."""

    centre: Float[Tensor, "m p"]
    half_square: Float[Tensor, " m"]  # half of the squared norm of each centre
    radius: Float[Tensor, " m"]
    start: Int[Tensor, " m"]
    count: Int[Tensor, " m"]

    @staticmethod
    def of(points: Float[Tensor, "n p"], order: Int[Tensor, " n"], count: Int[Tensor, " m"]) -> "_Balls":
        ball = torch.arange(len(count), device=order.device).repeat_interleave(count)
        centre, radius = points.new_zeros(len(count), points.shape[1]), points.new_zeros(len(count))
        for part, ids in _tiles(ball, order):
            centre.index_add_(0, part, points.index_select(0, ids))
        centre /= count[:, None]
        for part, ids in _tiles(ball, order):
            apart = points.index_select(0, ids).sub_(centre.index_select(0, part))
            radius.scatter_reduce_(0, part, torch.linalg.vecdot(apart, apart).sqrt(), "amax")
        return _Balls(centre, 0.5 * torch.linalg.vecdot(centre, centre), radius, count.cumsum(0) - count, count)

    def distances(self, points: Float[Tensor, "b p"]) -> Float[Tensor, "b m"]:
        """Of all centres from a few points."""
        square = torch.linalg.vecdot(points, points)[:, None] - 2 * (points @ self.centre.T - self.half_square)
        return square.clamp_min_(0).sqrt_()

    def products(self, points: Float[Tensor, "b p"], balls: Int[Tensor, " k"]) -> Float[Tensor, "b k"]:
        """Products with some centres less half of their squares: the larger, the nearer."""
        return torch.addmm(-self.half_square[balls], points, self.centre.index_select(0, balls).T)

    def within(
        self, balls: Int[Tensor, " k"], product: Float[Tensor, "b k"], left: Float[Tensor, "b 2"]
    ) -> Int[Tensor, " j"]:
        """Those of some balls that a row reaches; NaN reaches everything. ``product`` is written over.

        ``left``: the reach r of each row x, and half of r² - |x|². Half of (r + radius)² less the squared distance to
        the centre is at least 0 where the row reaches the ball.
        """
        radius = self.radius[balls]
        row = torch.cat([left, torch.ones_like(left[:, :1])], dim=1)
        product.addmm_(row, torch.stack([radius, torch.ones_like(radius), 0.5 * radius**2]))
        return balls[~(product.amax(dim=0) < 0)]

    def positions(self, balls: Int[Tensor, " k"]) -> Int[Tensor, " j"]:
        """Where the points of some balls stand in the order."""
        return _runs(self.start[balls], self.count[balls])


@dataclass(frozen=True, eq=False)
class Clusters:
    """A reference set in compact clusters. Columns are named by their ids in the set as it was given."""

    reference: Float[Tensor, "n1 d"]  # homogeneous
    order: Int[Tensor, " n1"]  # int32
    leaves: _Balls
    parts: _Balls  # of the leaves
    first_part: Int[Tensor, " m"]  # of each leaf
    part_count: Int[Tensor, " m"]
    coarse: Float[Tensor, "n1 e"] | None  # in cluster order; None where there are few columns
    largest: Float[Tensor, ""]  # squared norm of a reference row

    @staticmethod
    @torch.no_grad()
    def of(reference: Float[Tensor, "n1 d"]) -> "Clusters":
        """The clusters of a set in homogeneous coordinates."""
        points = reference[:, :-1]
        order, count = leaf_order(points, leaf=LEAF // _PARTS)
        leaf, count = (torch.arange(len(count), device=order.device) // _PARTS)[count > 0], count[count > 0]
        leaf, part_count = leaf.unique_consecutive(return_inverse=True, return_counts=True)[1:]
        in_leaf = torch.zeros_like(part_count).index_add_(0, leaf, count)
        coarse = None
        if points.shape[1] >= 2 * _COARSE_COLUMNS:
            low = points[:, :_COARSE_COLUMNS].index_select(0, order)
            square = torch.linalg.vecdot(low, low)[:, None]
            coarse = torch.cat([low, torch.ones_like(square), -0.5 * square], dim=1)
        return Clusters(
            reference,
            order.int(),
            _Balls.of(points, order, in_leaf),
            _Balls.of(points, order, count),
            part_count.cumsum(0) - part_count,
            part_count,
            coarse,
            -2 * reference[:, -1].min(),
        )

    @torch.no_grad()
    def gaps(self, strips: Sequence[Float[Tensor, "_ d"]]) -> Float[Tensor, "s m"]:
        """Distances between the middles of a few strips of rows and the centres: one product for all of them."""
        return self.leaves.distances(torch.stack([rows[:, :-1].mean(dim=0) for rows in strips]))

    @torch.no_grad()
    def candidates(
        self, rows: Float[Tensor, "b d"], *, margin: float = 0.0, gap: Float[Tensor, " m"] | None = None
    ) -> Int[Tensor, " k"] | None:
        """All columns whose squared distance to a row is within ``margin`` of its smallest, and a few more.

        None where the bounds rule out less than half of the columns. NaN rules out nothing. ``gap`` is the row of these
        rows in ``gaps``, where that was asked.
        """
        points = rows[:, :-1]
        square = torch.linalg.vecdot(points, points)
        slack = (
            (_ROUNDING + _ROUNDING_OF_COLUMN * rows.shape[1])
            * torch.finfo(rows.dtype).eps
            * (self.largest + square.max())
        )
        gap = self.gaps([rows])[0] if gap is None else gap
        seeds = gap.topk(min(_SEED_LEAVES, len(gap)), largest=False).indices
        reach = self._reach(rows, square, seeds, margin + slack)
        spread = (points - points.mean(dim=0)).norm(dim=1)
        leaves = (~(gap - self.leaves.radius > (spread + reach).max())).nonzero()[:, 0]
        product = self.leaves.products(points, leaves)
        # The cluster with the nearest centre bounds each row's smallest distance better.
        nearest = leaves[product.argmax(dim=1).unique()]
        reach = torch.minimum(reach, self._reach(rows, square, nearest, margin + slack))
        left = torch.stack([reach, 0.5 * (reach**2 - square)], dim=1)
        leaves = self.leaves.within(leaves, product, left)
        if self.coarse is None and 2 * int(self.leaves.count[leaves].sum()) > len(self.order):
            return None
        parts = _runs(self.first_part[leaves], self.part_count[leaves])
        parts = self.parts.within(parts, self.parts.products(points, parts), left)
        return self._columns_within(points, reach, self.parts.positions(parts))

    @torch.no_grad()
    def beyond(self, points: Float[Tensor, "b p"], distance: Float[Tensor, ""]) -> Int[Tensor, " k"] | None:
        """All columns at least ``distance`` away from some of the points, and a few more.

        None for more than half of them.
        """
        middle = points.mean(dim=0)
        farthest = self.leaves.distances(middle[None])[0] + self.leaves.radius + (points - middle).norm(dim=1).max()
        slack = (_ROUNDING * torch.finfo(points.dtype).eps) ** 0.5
        positions = self.leaves.positions((~(farthest < distance * (1 - slack))).nonzero()[:, 0])
        return self.order.index_select(0, positions) if 2 * len(positions) <= len(self.order) else None

    def _reach(
        self, rows: Float[Tensor, "b d"], square: Float[Tensor, " b"], leaves: Int[Tensor, " l"], margin: Tensor
    ) -> Tensor:
        """How far a column that matters can be from each row, from the distances to the points of some clusters."""
        ids = self.order.index_select(0, self.leaves.positions(leaves))
        nearest = square - 2 * (rows @ self.reference.index_select(0, ids).T).amax(dim=1)
        return (nearest.clamp_min_(0) + margin).sqrt()

    def _columns_within(
        self, points: Float[Tensor, "b p"], reach: Float[Tensor, " b"], positions: Int[Tensor, " k"]
    ) -> Tensor | None:
        """Of the columns at some positions those that the leading coordinates do not rule out.

        None for more than half.
        """
        if self.coarse is not None:
            low = points[:, :_COARSE_COLUMNS]
            left = torch.cat(
                [low, 0.5 * (reach**2 - torch.linalg.vecdot(low, low))[:, None], torch.ones_like(low[:, :1])], dim=1
            )
            kept = []
            for part in positions.split(_TILE):
                # Half of reach² less the squared distance in the leading columns.
                bound = left @ self.coarse.index_select(0, part).T
                kept.append(part[~(bound.amax(dim=0) < 0)])
            positions = torch.cat(kept)
        return self.order.index_select(0, positions) if 2 * len(positions) <= len(self.order) else None


def _runs(start: Int[Tensor, " k"], count: Int[Tensor, " k"]) -> Int[Tensor, " j"]:
    """``start[0] … start[0] + count[0] - 1, start[1] …``."""
    first = start - (count.cumsum(0) - count)
    return first.repeat_interleave(count) + torch.arange(int(count.sum()), device=count.device)


def _tiles(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(tensor.split(_TILE) for tensor in tensors), strict=True)
