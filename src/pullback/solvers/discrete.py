"""Discrete optimisation of functional maps (Ren et al. 2021): both point maps of a pair refined together.

With a term that keeps to the features, for shapes that are far from isometric: there the low eigenfunctions lead away
from what the features know.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from pullback.mapping.fmap import fmap_from_softmap
from pullback.mapping.nearest_map import NearestMap
from pullback.ranges import at_least
from pullback.solvers.solver import GrowingSolver
from pullback.stages import stage
from pullback.types import Eigenbasis, Match, SoftMap


class DiscreteOptimisation(GrowingSolver):
    """Bijective, area-preserving ZoomOut: minimises an energy over the functional maps of point maps.

    With ``fmap12`` and ``fmap21`` the functional maps of the point maps Π21 and Π12, of sizes k that grow, Π21
    minimises, point by point,

    ``orthogonality ‖Φ2 - Π21 Φ1 fmap12ᵀ‖² + bijectivity ‖Φ2 - Π21 Φ1 fmap21‖² + coupling ‖Φ2 fmap12 - Π21 Φ1‖²
    + features k ‖F2 - Π21 F1‖²``

    and Π12 the same with 1 and 2 exchanged: nearest neighbours of stacked embeddings. Orthogonality alone is ZoomOut;
    bijectivity couples the directions; coupling is the relation that makes ``fmap12`` the functional map of Π21.
    F are the features, each vertex's of length 1; as a row of Φ has about the squared length k, ``features`` is their
    weight beside one of the other terms, whatever the size. It is not in the publication. Gradients reach nothing.
    """

    differentiable: ClassVar[bool] = False

    def __init__(
        self,
        *,
        k_init: int = 20,
        step: int = 5,
        n_steps: int = 20,
        orthogonality: float = 1.0,
        bijectivity: float = 1.0,
        coupling: float = 1.0,
        features: float = 0.0,
    ):
        super().__init__(k_init=k_init, step=step, n_steps=n_steps)
        at_least(0, orthogonality=orthogonality, bijectivity=bijectivity, coupling=coupling, features=features)
        if max(orthogonality, bijectivity, coupling, features) == 0:
            raise ValueError(
                f"{orthogonality=}, {bijectivity=}, {coupling=} and {features=} leave nothing to minimise; give one"
            )
        self.weights = (orthogonality, bijectivity, coupling)
        self.features = features

    @torch.no_grad()
    def __call__(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        """The match of a pair, in both directions. Raises ValueError when a basis is shorter than the last size."""
        with stage("initial map"):
            init: tuple[SoftMap, SoftMap] = (NearestMap(feat2, feat1), NearestMap(feat1, feat2))
            fmaps_init = self._fmaps(init, basis1, basis2, self.k_init)
        feats = normalize(feat1, dim=1), normalize(feat2, dim=1)
        fmaps, maps = fmaps_init, self._maps(*fmaps_init, basis1, basis2, *feats)
        for i, k in enumerate(self.sizes):
            with stage(f"refinement {i + 1} of {len(self.sizes)}: {k} × {k}"):
                fmaps = self._fmaps(maps, basis1, basis2, k)
                maps = self._maps(*fmaps, basis1, basis2, *feats)
        backward = Match(fmaps[1], maps[1], fmaps_init[1], init[1])
        return Match(fmaps[0], maps[0], fmaps_init[0], init[0], reverse=backward)

    def _fmaps(
        self, maps: tuple[SoftMap, SoftMap], basis1: Eigenbasis, basis2: Eigenbasis, k: int
    ) -> tuple[Float[Tensor, "k2 k1"], Float[Tensor, "k1 k2"]]:
        """``fmap12`` of the point map 2 → 1 and ``fmap21`` of the point map 1 → 2."""
        basis1, basis2 = basis1.first(k), basis2.first(k)
        return fmap_from_softmap(maps[0], basis1, basis2), fmap_from_softmap(maps[1], basis2, basis1)

    def _maps(
        self,
        fmap12: Float[Tensor, "k2 k1"],
        fmap21: Float[Tensor, "k1 k2"],
        basis1: Eigenbasis,
        basis2: Eigenbasis,
        feat1: Float[Tensor, "n1 c"],
        feat2: Float[Tensor, "n2 c"],
    ) -> tuple[SoftMap, SoftMap]:
        """The point maps 2 → 1 and 1 → 2 that minimise the energy for these functional maps."""
        k2, k1 = fmap12.shape
        side1, side2 = (basis1.first(k1).evecs, feat1), (basis2.first(k2).evecs, feat2)
        return self._nearest(side2, side1, fmap12, fmap21), self._nearest(side1, side2, fmap21, fmap12)

    def _nearest(
        self,
        side2: tuple[Float[Tensor, "n2 k2"], Float[Tensor, "n2 c"]],
        side1: tuple[Float[Tensor, "n1 k1"], Float[Tensor, "n1 c"]],
        fmap12: Float[Tensor, "k2 k1"],
        fmap21: Float[Tensor, "k1 k2"],
    ) -> NearestMap:
        (phi2, feat2), (phi1, feat1) = side2, side1
        pairs = ((phi2, phi1 @ fmap12.T), (phi2, phi1 @ fmap21), (phi2 @ fmap12, phi1), (feat2, feat1))
        weights = (*self.weights, self.features * phi1.shape[1])
        stacked = [
            (query * w**0.5, reference * w**0.5) for w, (query, reference) in zip(weights, pairs, strict=True) if w > 0
        ]
        return NearestMap(*(torch.cat(parts, dim=1) for parts in zip(*stacked, strict=True)))
