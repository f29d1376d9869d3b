"""Point maps 2 → 1 as operators: the counterpart of soft maps with one weight in each row."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from pullback.types import Movable


@dataclass(frozen=True, eq=False)
class HardMap(Movable):
    """A point map given by its indices: each point of shape 2 takes the value of one point of shape 1."""

    p2p21: Int[Tensor, " n2"]
    n1: int

    def __post_init__(self) -> None:
        outside = (self.p2p21 < 0) | (self.p2p21 >= self.n1)
        if outside.any():
            raise ValueError(
                f"p2p21 holds {int(self.p2p21[outside][0])}, but shape 1 has the points 0 to {self.n1 - 1}"
            )

    @property
    def n2(self) -> int:
        return self.p2p21.shape[0]

    def nearest(self) -> Int[Tensor, " n2"]:
        return self.p2p21

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """``feat1[p2p21]``. Raises ValueError when feat1 has another number of points."""
        check_rows(feat1, self.n1)
        return feat1[self.p2p21]

    def reverse(self) -> "HardMap":
        """Raises ValueError: point maps are neither injective nor onto, so indices alone define no map back."""
        raise ValueError(
            "a hard map cannot be reversed: keep the embeddings and call nearest(query=reference, reference=query), "
            "or use a soft map, whose reverse() is defined"
        )


def check_rows(feat1: Tensor, n1: int) -> None:
    """Raises ValueError unless there is a row for each of the ``n1`` points that a map starts from."""
    if feat1.shape[0] != n1:
        raise ValueError(f"feat1 has {feat1.shape[0]} rows but the map starts from {n1} points")
