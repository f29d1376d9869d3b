"""Which reference points can matter to a few query points: compact clusters and bounds that rule out most of the rest.

Nothing here decides a result. Callers compute exactly with the candidates; all others provably lie beyond the given
reach.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Points of a cluster, at most; also the query rows that are searched for together.
LEAF = 64
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
def leaf_order(points: Float[Tensor, "n p"]) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
    """``(order, count)``: an order in which each run of ``count[l]`` points, LEAF or fewer, is a compact cluster.

    All clusters are halved at once, level by level, at the median of the direction between two far points; neighbouring
    runs are neighbours in the tree. Deterministic; O(n log n).
    """
    n, levels = len(points), max(0, math.ceil(math.log2(len(points) / LEAF)))
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
    count = (slot.view(-1, size) < n).sum(dim=1)
    return slot[slot < n], count[count > 0]


def compact_strips(points: Float[Tensor, "n p"], *, rows: int = LEAF) -> list[Int[Tensor, " b"]]:
    """The rows of a set in runs of so many neighbours."""
    return list(leaf_order(points)[0].split(rows))


def _along(cluster: Float[Tensor, "g s c"]) -> Float[Tensor, "g s"]:
    """Coordinates on the line between two far points of each cluster."""
    each = torch.arange(len(cluster), device=cluster.device)
    first = cluster[each, _square(cluster - cluster.mean(dim=1, keepdim=True)).argmax(dim=1)]
    second = cluster[each, _square(cluster - first[:, None]).argmax(dim=1)]
    return torch.einsum("gsc,gc->gs", cluster, second - first)


def _square(difference: Float[Tensor, "*n c"]) -> Float[Tensor, "*n"]:
    return (difference**2).sum(dim=-1)


@dataclass(frozen=True, eq=False)
class Clusters:
    """A reference set in compact clusters. Columns are named by their ids in the set as it was given."""

    reference: Float[Tensor, "n1 d"]  # homogeneous
    order: Int[Tensor, " n1"]  # int32
    start: Int[Tensor, " m"]
    count: Int[Tensor, " m"]
    centre: Float[Tensor, "m d+2"]  # with the coordinates that make one product of rows and clusters a bound
    radius: Float[Tensor, " m"]
    coarse: Float[Tensor, "n1 e"] | None  # in cluster order; None where there are few columns
    largest: Float[Tensor, ""]  # squared norm of a reference row

    @staticmethod
    @torch.no_grad()
    def of(reference: Float[Tensor, "n1 d"]) -> "Clusters":
        """The clusters of a set in homogeneous coordinates."""
        points = reference[:, :-1]
        order, count = leaf_order(points)
        leaf = torch.arange(len(count), device=order.device).repeat_interleave(count)
        centre, radius = points.new_zeros(len(count), points.shape[1]), points.new_zeros(len(count))
        for part, ids in _parts(leaf, order):
            centre.index_add_(0, part, points.index_select(0, ids))
        centre /= count[:, None]
        for part, ids in _parts(leaf, order):
            dist = _square(points.index_select(0, ids).sub_(centre.index_select(0, part))).sqrt()
            radius.scatter_reduce_(0, part, dist, "amax")
        coarse = None
        if points.shape[1] >= 2 * _COARSE_COLUMNS:
            low = points[:, :_COARSE_COLUMNS].index_select(0, order)
            coarse = torch.cat([low, torch.ones_like(low[:, :1]), -0.5 * _square(low)[:, None]], dim=1)
        bound = torch.stack([radius, torch.ones_like(radius), 0.5 * (radius**2 - _square(centre))], dim=1)
        largest = -2 * reference[:, -1].min()
        return Clusters(
            reference,
            order.int(),
            count.cumsum(0) - count,
            count,
            torch.cat([centre, bound], dim=1),
            radius,
            coarse,
            largest,
        )

    @torch.no_grad()
    def candidates(self, rows: Float[Tensor, "b d"], *, margin: float = 0.0) -> Int[Tensor, " k"] | None:
        """All columns whose squared distance to a row is within ``margin`` of its smallest, and a few more.

        None where the bounds rule out less than half of the columns. NaN rules out nothing.
        """
        points = rows[:, :-1]
        square = _square(points)
        slack = (
            (_ROUNDING + _ROUNDING_OF_COLUMN * rows.shape[1])
            * torch.finfo(rows.dtype).eps
            * (self.largest + square.max())
        )
        middle, spread = points.mean(dim=0), (points - points.mean(dim=0)).norm(dim=1)
        gap = (self._centre_squares(middle)).sqrt()
        reach = self._reach(rows, square, gap.topk(min(_SEED_LEAVES, len(gap)), largest=False).indices, margin + slack)
        leaves = (~(gap - self.radius > (spread + reach).max())).nonzero()[:, 0]
        centre = self.centre.index_select(0, leaves)
        # The cluster with the nearest centre bounds each row's smallest distance better.
        width = points.shape[1]
        to_centre = torch.addmm(centre[:, -1] - 0.5 * centre[:, width] ** 2, points, centre[:, :width].T)
        reach = torch.minimum(
            reach, self._reach(rows, square, leaves[to_centre.argmax(dim=1).unique()], margin + slack)
        )
        # Half of (reach + radius)² less the squared distance to the centre.
        left = torch.stack([reach, 0.5 * (reach**2 - square), torch.ones_like(reach)], dim=1)
        bound = torch.cat([points, left], dim=1) @ centre.T
        leaves = leaves[~(bound.amax(dim=0) < 0)]
        if 2 * int(self.count[leaves].sum()) > len(self.order) and self.coarse is None:
            return None
        return self._columns_within(points, reach, self._positions(leaves))

    @torch.no_grad()
    def beyond(self, points: Float[Tensor, "b p"], distance: Float[Tensor, ""]) -> Int[Tensor, " k"] | None:
        """All columns at least ``distance`` away from some of the points, and a few more.

        None for more than half of them.
        """
        middle = points.mean(dim=0)
        farthest = self._centre_squares(middle).sqrt() + self.radius + (points - middle).norm(dim=1).max()
        slack = (_ROUNDING * torch.finfo(points.dtype).eps) ** 0.5
        positions = self._positions((~(farthest < distance * (1 - slack))).nonzero()[:, 0])
        return self.order.index_select(0, positions) if 2 * len(positions) <= len(self.order) else None

    def _centre_squares(self, point: Float[Tensor, " p"]) -> Float[Tensor, " m"]:
        """Squared distances of all centres to one point."""
        width = len(point)
        norm = self.radius**2 - 2 * self.centre[:, -1]
        return (norm - 2 * (self.centre[:, :width] @ point) + (point**2).sum()).clamp_min_(0)

    def _reach(
        self, rows: Float[Tensor, "b d"], square: Float[Tensor, " b"], leaves: Int[Tensor, " l"], margin: Tensor
    ) -> Tensor:
        """How far a column that matters can be from each row, from the distances to the points of some clusters."""
        ids = self.order.index_select(0, self._positions(leaves))
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
            left = torch.cat([low, 0.5 * (reach**2 - _square(low))[:, None], torch.ones_like(low[:, :1])], dim=1)
            kept = []
            for part in positions.split(_TILE):
                # Half of reach² less the squared distance in the leading columns.
                bound = left @ self.coarse.index_select(0, part).T
                kept.append(part[~(bound.amax(dim=0) < 0)])
            positions = torch.cat(kept)
        return self.order.index_select(0, positions) if 2 * len(positions) <= len(self.order) else None

    def _positions(self, leaves: Int[Tensor, " l"]) -> Int[Tensor, " k"]:
        """Where the points of some clusters stand in the order."""
        count = self.count[leaves]
        first = self.start[leaves] - (count.cumsum(0) - count)
        return first.repeat_interleave(count) + torch.arange(int(count.sum()), device=count.device)


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(tensor.split(_TILE) for tensor in tensors), strict=True)
