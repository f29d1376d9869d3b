"""ZoomOut (Melzi et al. 2019) and its differentiable form (Magnet & Ovsjanikov 2024): one loop, two converters.

A map is refined by going to the point map and back while the number of eigenfunctions grows. The converter decides what
"the point map" means: nearest neighbours, or a soft map through which gradients flow.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from pullback.mapping.fmap import fmap_from_softmap, spectral_embeddings
from pullback.mapping.hard_map import HardMap
from pullback.mapping.pointmap import nearest
from pullback.mapping.softmap import Backend, soft_map
from pullback.ranges import above
from pullback.solvers.solver import GrowingSolver
from pullback.stages import stage
from pullback.types import Eigenbasis, Match, SoftMap

REFINEMENTS = ("soft", "soft_target", "hard")
Converter = Callable[[Float[Tensor, "n2 p"], Float[Tensor, "n1 p"]], SoftMap]


def zoomout(
    fmap12: Float[Tensor, "k2 k1"], basis1: Eigenbasis, basis2: Eigenbasis, *, sizes: list[int], convert: Converter
) -> tuple[Float[Tensor, "final2 final1"], SoftMap]:
    """Refine a functional map 1 → 2 to the sizes ``k × k`` one after the other.

    Returns the last map and its point map 2 → 1.

    For each size K: ``map21 = convert(Φ2, Φ1 fmap12ᵀ)`` in the coordinates of the map at hand, then ``fmap12 = Φ2ᵀ A2
    map21 Φ1`` with K eigenfunctions of either shape (all of a shape that has fewer vertices).
    """
    fmap12 = refine(fmap12, basis1, basis2, sizes=sizes, convert=convert)
    with stage("final point map"):
        return fmap12, convert(*spectral_embeddings(fmap12, basis1, basis2))


def refine(
    fmap12: Float[Tensor, "k2 k1"], basis1: Eigenbasis, basis2: Eigenbasis, *, sizes: list[int], convert: Converter
) -> Float[Tensor, "final2 final1"]:
    """The functional map of :func:`zoomout` without its point map."""
    for i, k in enumerate(sizes):
        with stage(f"refinement {i + 1} of {len(sizes)}: {k} × {k}"):
            map21 = convert(*spectral_embeddings(fmap12, basis1, basis2))
            fmap12 = fmap_from_softmap(map21, basis1.first(k), basis2.first(k))
    return fmap12


class Refinement(GrowingSolver):
    """Features → initial point map → functional map of size k_init → refined map.

    Subclasses choose the kinds of point map.
    """

    def __init__(self, *, k_init: int, step: int, n_steps: int, two_way: bool):
        super().__init__(k_init=k_init, step=step, n_steps=n_steps)
        self.two_way = two_way

    @property
    def k_final(self) -> int:
        """Number of eigenfunctions of both shapes that the refined map takes."""
        return self.sizes[-1] if self.sizes else self.k_init

    def __call__(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        """The match of a pair from features of its points.

        Raises ValueError when a basis is shorter than ``k_final``.
        """
        forward = self._one_way(feat1, feat2, basis1, basis2)
        return replace(forward, reverse=self._one_way(feat2, feat1, basis2, basis1)) if self.two_way else forward

    def _one_way(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        with stage("initial map"):
            map21_init = self.initial_map(feat2, feat1)
            fmap12_init = fmap_from_softmap(map21_init, basis1.first(self.k_init), basis2.first(self.k_init))
        fmap12, map21 = zoomout(fmap12_init, basis1, basis2, sizes=self.sizes, convert=self.refined_map)
        return Match(fmap12, map21, fmap12_init, map21_init)

    @abstractmethod
    def initial_map(self, query: Float[Tensor, "n2 c"], reference: Float[Tensor, "n1 c"]) -> SoftMap:
        """The point map 2 → 1 from features."""

    @abstractmethod
    def refined_map(self, query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> SoftMap:
        """The point map 2 → 1 from spectral embeddings."""


class ZoomOut(Refinement):
    """Classical ZoomOut (Melzi et al. 2019): nearest neighbours all the way. Gradients reach nothing."""

    differentiable: ClassVar[bool] = False

    def __init__(self, *, k_init: int = 30, step: int = 10, n_steps: int = 10, two_way: bool = False):
        super().__init__(k_init=k_init, step=step, n_steps=n_steps, two_way=two_way)

    def initial_map(self, query: Float[Tensor, "n2 c"], reference: Float[Tensor, "n1 c"]) -> SoftMap:
        return hard_map(query, reference)

    def refined_map(self, query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> SoftMap:
        return hard_map(query, reference)


def hard_map(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> HardMap:
    """The nearest-neighbour map 2 → 1. No gradient reaches the embeddings."""
    return HardMap(nearest(query.detach(), reference.detach()), n1=len(reference))


class DiffZoomOut(Refinement):
    """Differentiable ZoomOut (Magnet & Ovsjanikov 2024, section 4.2): soft maps, so that gradients reach the features.

    ``blur`` is the σ of the refinement's soft maps, relative to the largest embedding distance of the pair.
    ``init_blur`` is that of the feature map (None: the same), relative too unless ``init_relative`` is off; plain
    state, which a schedule may change between steps.

    ``refinement`` names the maps inside the loop and what passes through them: ``"soft"`` lets gradients through all of
    it (whether a loss uses them is its own affair, see :class:`pullback.losses.Consistency`); ``"soft_target"`` gives
    the same values as constants, for less memory and time; ``"hard"`` refines by nearest neighbours: a constant target
    too, sharper and cheaper still.
    """

    refined_gradients_need: ClassVar[Mapping[str, Any]] = {"refinement": "soft"}

    def __init__(
        self,
        *,
        k_init: int = 30,
        step: int = 10,
        n_steps: int = 10,
        blur: float = 1e-2,
        init_blur: float | None = None,
        init_relative: bool = True,
        refinement: str = "soft",
        two_way: bool = False,
        backend: Backend = "auto",
    ):
        super().__init__(k_init=k_init, step=step, n_steps=n_steps, two_way=two_way)
        if refinement not in REFINEMENTS:
            raise ValueError(f"refinement={refinement!r} is unknown; use one of {', '.join(REFINEMENTS)}")
        above(0, blur=blur, init_blur=init_blur)
        self.blur = blur
        self.init_blur = blur if init_blur is None else init_blur
        self.init_relative = init_relative
        self.refinement = refinement
        self.backend = backend

    def initial_map(self, query: Float[Tensor, "n2 c"], reference: Float[Tensor, "n1 c"]) -> SoftMap:
        return soft_map(query, reference, blur=self.init_blur, relative=self.init_relative, backend=self.backend)

    def refined_map(self, query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> SoftMap:
        if self.refinement == "hard":
            return hard_map(query, reference)
        if self.refinement == "soft_target":
            query, reference = query.detach(), reference.detach()
        return soft_map(query, reference, blur=self.blur, relative=True, backend=self.backend)
