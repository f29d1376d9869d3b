"""Walking over the query points a few at a time, with the reference points that can matter to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

from pullback.mapping.clusters import LEAF, Clusters, compact_strips
from pullback.mapping.embeddings import row_strips
from pullback.mapping.parallel import each

# Rows or columns: a run of them, or their ids.
Ids = slice | Tensor

# Pairs of points from which strips of neighbouring query points pay for being found.
_MANY_PAIRS = 2**20
# Reference points from which bounds are cheaper than all products, if few enough points remain: for a search, whose
# products two threads share better than its bounds, and for soft maps.
_MANY_TO_SEARCH, _MANY_POINTS = 2**15, 2**14
_SHARE = 0.3
# Strips that decide whether that is so.
_TRIALS = 5
# Strips whose distances to all clusters are found at once, which reads the centres once.
_TOGETHER = 16
# Rows of a strip that has candidates, of a soft map and of a search, which has less to do with each.
_BOUNDED, _SEARCHED = LEAF, 2 * LEAF
# Rows that are compared with all of a small reference set: fewer, larger products, between which threads wait for each
# other less.
_LONG_STRIP = 256


Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Strips:
    """The rows of a query set, a few at a time, each few with the reference points that can matter to them."""

    rows: Sequence[Ids]  # every row once
    coordinates: Callable[[Ids], Tensor]
    clusters: Clusters | None
    margin: float

    @staticmethod
    def of(
        query: Float[Tensor, "n2 p"],
        near: Float[Tensor, "n1 d"],
        coordinates: Callable[[Ids], Tensor],
        *,
        margin: float = 0.0,
    ) -> "Strips":
        """``near`` and ``coordinates(rows)`` are homogeneous, in the same unit and about the same origin.

        On a CPU the rows of a strip are neighbours in the embedding, where that helps.
        """
        many = len(near) >= (_MANY_POINTS if margin > 0 else _MANY_TO_SEARCH)
        count = (_BOUNDED if margin > 0 else _SEARCHED) if many else _LONG_STRIP
        rows = _rows(query, len(near), count=count, compact=many or margin > 0)
        clusters = None
        if query.device.type == "cpu" and many:
            clusters = _clusters_that_pay(
                near, [coordinates(each) for each in rows[:: max(1, len(rows) // _TRIALS)]], margin
            )
        return Strips(rows, coordinates, clusters, margin)

    def each(self, work: Callable[[Ids, Float[Tensor, "b d"], Tensor | None], Result]) -> list[Result]:
        """``work(rows, their coordinates, candidates)`` for all strips, shared out to the threads of the task.

        The candidates are all columns of ``near`` whose squared distance to one of the rows exceeds that row's smallest
        by at most ``margin``, and more; None stands for all columns.
        """

        clusters = self.clusters
        if clusters is None:
            return each(lambda rows: work(rows, self.coordinates(rows), None), self.rows)

        def on(some: Sequence[Ids]) -> list[Result]:
            of_rows = [self.coordinates(rows) for rows in some]
            found = zip(some, of_rows, clusters.gaps(of_rows), strict=True)
            return [work(rows, x, clusters.candidates(x, margin=self.margin, gap=gap)) for rows, x, gap in found]

        together = [self.rows[i : i + _TOGETHER] for i in range(0, len(self.rows), _TOGETHER)]
        return [result for some in each(on, together) for result in some]


def _rows(query: Float[Tensor, "n2 p"], n1: int, *, count: int, compact: bool) -> Sequence[Ids]:
    # all products are needed: neighbouring rows gain nothing, long strips a little
    if query.device.type == "cpu" and not compact:
        return [slice(start, start + count) for start in range(0, len(query), count)]
    if query.device.type == "cpu" and len(query) * n1 >= _MANY_PAIRS:
        return compact_strips(query, rows=count)
    return list(row_strips(len(query), n1, query.device))


def _clusters_that_pay(near: Float[Tensor, "n1 d"], trials: list[Tensor], margin: float) -> Clusters | None:
    """None where the bounds rule out too little for some strips, as in unstructured embeddings or for a wide blur."""
    clusters = Clusters.of(near)
    found = [clusters.candidates(x, margin=margin) for x in trials]
    share = [1.0 if ids is None else len(ids) / len(near) for ids in found]
    return clusters if sum(share) <= _SHARE * len(share) else None
