"""The nearest-neighbour map between two sets of embeddings, found when it is first asked for."""

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.embeddings import Embedded, check_embeddings
from pullback.mapping.hard_map import check_rows
from pullback.mapping.pointmap import nearest


@dataclass(frozen=True, eq=False)
class NearestMap(Embedded):
    """The hard point map 2 → 1 from each query row to the reference row nearest to it.

    The search, the most expensive part of a map between dense shapes, happens once, and not at all where nobody reads
    the map: training reads functional maps only. No gradient reaches the embeddings. Raises ValueError for embeddings
    that do not fit together.
    """

    def __post_init__(self) -> None:
        check_embeddings(self.query, self.reference)
        for name in ("query", "reference"):  # what is found later must not keep the graph of a training step alive
            object.__setattr__(self, name, getattr(self, name).detach())

    @cached_property
    def p2p21(self) -> Int[Tensor, " n2"]:
        """The map as indices: ``p2p21[i2] = i1``."""
        return nearest(self.query, self.reference)

    def nearest(self) -> Int[Tensor, " n2"]:
        return self.p2p21

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """``feat1[p2p21]``. Raises ValueError when feat1 has another number of points."""
        check_rows(feat1, self.n1)
        return feat1[self.p2p21]

    def reverse(self) -> "NearestMap":
        """The nearest-neighbour map 1 → 2 of the same embeddings."""
        return NearestMap(query=self.reference, reference=self.query)
