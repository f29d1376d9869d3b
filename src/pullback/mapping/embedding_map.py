"""What the soft maps of all backends share: two sets of embeddings and a blur."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.distances import largest_distance
from pullback.mapping.embeddings import Embedded, check_same_kind
from pullback.mapping.pointmap import nearest


@dataclass(frozen=True, eq=False)
class EmbeddingMap(Embedded, ABC):
    """Soft point map 2 → 1 with weights ``softmax_j(-|query_i - reference_j|² / (2 sigma²))``.

    ``soft_map`` makes checked ones.
    """

    sigma: Float[Tensor, ""]  # in units of the embedding; never differentiated

    @abstractmethod
    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """Functions on shape 1, carried to shape 2. Raises ValueError for values that do not fit the map."""

    def nearest(self) -> Int[Tensor, " n2"]:
        """The hard point map ``p2p21``: the nearest reference point, which has the largest weight whatever the blur."""
        return nearest(self.query, self.reference)

    def reverse(self) -> "EmbeddingMap":
        """The soft map 1 → 2 of the same embeddings and blur (row-stochastic again; not the transpose)."""
        return type(self)(query=self.reference, reference=self.query, sigma=self.sigma)

    def largest_distance(self) -> Float[Tensor, ""]:
        """``max_ij |query_i - reference_j|``, what a relative blur is relative to."""
        return largest_distance(self.query, self.reference)

    def check_function(self, feat1: Tensor) -> None:
        """Raises ValueError unless feat1 holds values at the points of shape 1 that this map can carry."""
        if feat1.ndim != 2 or feat1.shape[0] != self.n1:
            raise ValueError(
                f"feat1 has shape {tuple(feat1.shape)} but the map starts from "
                f"{self.n1} points: pass ({self.n1}, channels)"
            )
        check_same_kind(feat1, self.reference, names=("feat1", "the embeddings"))
