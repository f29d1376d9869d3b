"""The regularised solver (Donati et al. 2020): least squares on features, a penalty on non-commuting maps."""

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from pullback.mapping.fmap import MASKS, penalty_mask, regularised_fmap, spectral_embeddings
from pullback.mapping.nearest_map import NearestMap
from pullback.ranges import at_least
from pullback.solvers.solver import MeshSolver
from pullback.types import Eigenbasis, Match


@dataclass(frozen=True)
class Regulariser:
    """How the map is regularised: ``‖C A - B‖² + lam Σ mask C²``, with the features' coefficients A and B.

    ``mask``: ``"resolvent"`` with exponent ``gamma`` (Ren et al. 2019), ``"squared_difference"`` of the eigenvalues of
    unit-area shapes, or ``"none"``, a plain ridge. The features set the scale of ``lam``: when they double, it acts
    like a quarter.
    """

    lam: float = 100.0
    mask: str = "resolvent"
    gamma: float = 0.5

    def __post_init__(self) -> None:
        if self.mask not in MASKS:
            raise ValueError(f"mask={self.mask!r} is unknown; use one of {', '.join(MASKS)}")
        at_least(0, lam=self.lam, gamma=self.gamma)

    def fmap(
        self, coeffs1: Float[Tensor, "k1 c"], coeffs2: Float[Tensor, "k2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Float[Tensor, "k2 k1"]:
        """The functional map 1 → 2 from coefficients of features in the two bases."""
        mask = penalty_mask(self.mask, basis1.evals, basis2.evals, gamma=self.gamma)
        return regularised_fmap(coeffs1, coeffs2, self.lam * mask)


class RegularisedSolver(MeshSolver):
    """The regularised map of the features, and nothing beside: the match of GeomFmaps (Donati et al. 2020).

    Initial and final functional map are the same, of size ``k``; the point map is the nearest neighbours in the
    embeddings that it makes comparable. Gradients reach the features through the linear systems alone.
    """

    eigenfunctions: ClassVar[str] = "k"

    def __init__(
        self,
        *,
        k: int = 30,
        lam: float = 1e-3,
        mask: str = "squared_difference",
        gamma: float = 0.5,
        two_way: bool = False,
    ):
        at_least(1, k=k)
        self.k = k
        self.regulariser = Regulariser(lam, mask, gamma)
        self.two_way = two_way

    def __call__(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        """The match of a pair. Raises ValueError when a basis has fewer than ``k`` eigenfunctions."""
        basis1, basis2 = basis1.first(self.k), basis2.first(self.k)
        forward = self._one_way(feat1, feat2, basis1, basis2)
        return replace(forward, reverse=self._one_way(feat2, feat1, basis2, basis1)) if self.two_way else forward

    def _one_way(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        fmap12 = self.regulariser.fmap(basis1.project(feat1), basis2.project(feat2), basis1, basis2)
        map21 = NearestMap(*spectral_embeddings(fmap12, basis1, basis2))
        return Match(fmap12, map21, fmap12, NearestMap(feat2, feat1))
