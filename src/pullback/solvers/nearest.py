"""Nearest neighbours of features: the match without any refinement, the plainest baseline."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from pullback.mapping.fmap import fmap_from_softmap
from pullback.ranges import at_least
from pullback.solvers.solver import MeshSolver
from pullback.solvers.zoomout import hard_map
from pullback.types import Eigenbasis, Match


class FeatureNearest(MeshSolver):
    """Each point of shape 2 goes to the point of shape 1 with the nearest feature.

    ``k`` is the size of the functional map shown of it.
    """

    differentiable: ClassVar[bool] = False
    eigenfunctions: ClassVar[str] = "k"

    def __init__(self, *, k: int = 30):
        at_least(1, k=k)
        self.k = k

    def __call__(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        """The match of a pair; its initial and its final map are the same. No gradients."""
        map21 = hard_map(feat2, feat1)
        fmap12 = fmap_from_softmap(map21, basis1.first(self.k), basis2.first(self.k))
        return Match(fmap12, map21, fmap12, map21)
