"""Two-branch learning (Cao et al. 2023; Sun et al. 2023): a regularised solver beside a soft map.

Both branches give a functional map of one size; the losses make each proper and the two agree. The soft map is an
operator that is never stored, which is what lets such a network train on meshes of 50,000 vertices.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from pullback.mapping.fmap import fmap_from_pointmap, fmap_from_softmap, spectral_embeddings
from pullback.mapping.nearest_map import NearestMap
from pullback.mapping.pointmap import nearest
from pullback.mapping.softmap import Backend, soft_map
from pullback.ranges import above, at_least
from pullback.solvers.regularised import Regulariser
from pullback.solvers.solver import MeshSolver
from pullback.types import Eigenbasis, Match, SoftMap

EMBEDDINGS = ("unit_rows", "projected", "features")
READ_OUTS = ("spectral", "soft_spectral", "regularised", "features")


class Side(NamedTuple):
    """One shape of a pair, as both branches see it."""

    basis: Eigenbasis
    coeffs: Float[Tensor, "k c"]  # of the features as they are: what the regularised solver aligns
    points: Float[Tensor, "n c"]  # embedding of the vertices: what the soft map compares


class TwoBranch(MeshSolver):
    """The regularised map as ``fmap12_init``, the map of the soft map as ``fmap12``, both of size ``k``.

    ``init_blur`` is the σ of the soft map in units of its embedding: ``"unit_rows"`` puts each vertex's feature on the
    unit sphere, where ``softmax(cos / τ)`` is ``σ = √τ``; ``"projected"`` takes the features' projection to the first k
    eigenfunctions; ``"features"`` takes them as they are. Plain state, which a schedule may change between steps.

    ``read_out`` says what the point map 2 → 1 is, found when somebody reads it: the nearest neighbours of
    ``"features"``, as embedded; or those in the spectral embeddings of a functional map: ``"spectral"``: the one of the
    features' neighbours; ``"soft_spectral"``: the soft map's; ``"regularised"``.
    """

    eigenfunctions: ClassVar[str] = "k"

    def __init__(
        self,
        *,
        k: int = 200,
        lam: float = 100.0,
        mask: str = "resolvent",
        gamma: float = 0.5,
        init_blur: float = 0.07**0.5,
        embedding: str = "unit_rows",
        read_out: str = "spectral",
        two_way: bool = True,
        backend: Backend = "auto",
    ):
        for name, value, known in (("embedding", embedding, EMBEDDINGS), ("read_out", read_out, READ_OUTS)):
            if value not in known:
                raise ValueError(f"{name}={value!r} is unknown; use one of {', '.join(known)}")
        at_least(1, k=k)
        above(0, init_blur=init_blur)
        self.k = k
        self.regulariser = Regulariser(lam, mask, gamma)
        self.init_blur = init_blur
        self.embedding = embedding
        self.read_out = read_out
        self.two_way = two_way
        self.backend = backend

    def __call__(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        """The match of a pair. Raises ValueError when a basis has fewer than ``k`` eigenfunctions."""
        side1, side2 = self._side(feat1, basis1), self._side(feat2, basis2)
        forward = self._one_way(side1, side2)
        return replace(forward, reverse=self._one_way(side2, side1)) if self.two_way else forward

    def matched(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        """The match in one direction, with the functional map of the read-out as ``fmap12``.

        The soft map, which takes every pair of vertices, is used only where it is read. Raises ValueError as a call.
        """
        side1, side2 = self._side(feat1, basis1), self._side(feat2, basis2)
        if self.read_out == "soft_spectral":
            return self._one_way(side1, side2)
        regularised = self.regulariser.fmap(side1.coeffs, side2.coeffs, side1.basis, side2.basis)
        map21 = self._read(side1, side2, regularised)
        if self.read_out == "regularised":
            fmap12 = regularised
        elif isinstance(map21, SpectralMap):
            fmap12 = map21.fmap12
        else:
            fmap12 = fmap_from_pointmap(map21.nearest(), side1.basis, side2.basis)
        return Match(fmap12, map21, regularised, self.initial_map(side2.points, side1.points))

    def _side(self, feat: Float[Tensor, "n c"], basis: Eigenbasis) -> Side:
        basis = basis.first(self.k)
        coeffs = basis.project(feat)
        if self.embedding == "unit_rows":
            return Side(basis, coeffs, normalize(feat, dim=1))
        return Side(basis, coeffs, basis.synthesise(coeffs) if self.embedding == "projected" else feat)

    def initial_map(self, query: Float[Tensor, "n2 c"], reference: Float[Tensor, "n1 c"]) -> SoftMap:
        """The soft map 2 → 1 of embedded features."""
        return soft_map(query, reference, blur=self.init_blur, relative=False, backend=self.backend)

    def _one_way(self, side1: Side, side2: Side) -> Match:
        regularised = self.regulariser.fmap(side1.coeffs, side2.coeffs, side1.basis, side2.basis)
        soft = self.initial_map(side2.points, side1.points)
        fmap12 = fmap_from_softmap(soft, side1.basis, side2.basis)
        chosen = fmap12 if self.read_out == "soft_spectral" else regularised
        return Match(fmap12, self._read(side1, side2, chosen), regularised, soft)

    def _read(self, side1: Side, side2: Side, chosen: Float[Tensor, "k2 k1"]) -> SoftMap:
        """The read-out; ``chosen`` is the branch's functional map where it is read off one."""
        if self.read_out == "features":
            return NearestMap(side2.points, side1.points)
        if self.read_out == "spectral":
            return SpectralMap(side2.points, side1.points, side1.basis, side2.basis)
        return NearestMap(*spectral_embeddings(chosen, side1.basis, side2.basis))


@dataclass(frozen=True, eq=False)
class SpectralMap(NearestMap):
    """Nearest neighbours, made smooth: their functional map, and the point map 2 → 1 read off it.

    Found when it is first asked for.
    """

    basis1: Eigenbasis
    basis2: Eigenbasis

    @cached_property
    def fmap12(self) -> Float[Tensor, "k2 k1"]:
        """The functional map of the neighbours."""
        with torch.no_grad():
            return fmap_from_pointmap(nearest(self.query, self.reference), self.basis1, self.basis2)

    @cached_property
    def p2p21(self) -> Int[Tensor, " n2"]:
        """The map as indices, with both searches behind it."""
        with torch.no_grad():
            return nearest(*spectral_embeddings(self.fmap12, self.basis1, self.basis2))

    def reverse(self) -> "SpectralMap":
        """The map 1 → 2 of the same features and bases."""
        return SpectralMap(self.reference, self.query, self.basis2, self.basis1)
