"""Loss terms of functional map learning: pure functions first, then the terms that carry a weight.

A term is called with a :class:`~pullback.types.Match` and its pair and returns a weighted scalar. ``scale="mean"``
multiplies the squared Frobenius norm by 100 over the number of entries, as the authors' released code does;
``scale="sum"`` is the plain norm of the papers. Weights of the two are not interchangeable.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from pullback.mapping.embedding_map import EmbeddingMap
from pullback.mapping.fmap import resolvent_mask
from pullback.ranges import at_least
from pullback.types import Eigenbasis, Match, ShapePair


def orthogonality(fmap: Float[Tensor, "k2 k1"]) -> Float[Tensor, ""]:
    """``‖fmapᵀ fmap - I‖²``: zero for a map that preserves areas (Roufosse et al. 2019)."""
    return squared_distance(fmap.T @ fmap, torch.eye(fmap.shape[1], dtype=fmap.dtype, device=fmap.device))


def bijectivity(fmap12: Float[Tensor, "k2 k1"], fmap21: Float[Tensor, "k1 k2"]) -> Float[Tensor, ""]:
    """``‖fmap21 fmap12 - I‖² + ‖fmap12 fmap21 - I‖²``: zero when the two maps undo each other."""
    eye1 = torch.eye(fmap12.shape[1], dtype=fmap12.dtype, device=fmap12.device)
    eye2 = torch.eye(fmap12.shape[0], dtype=fmap12.dtype, device=fmap12.device)
    return squared_distance(fmap21 @ fmap12, eye1) + squared_distance(fmap12 @ fmap21, eye2)


def commutativity(fmap12: Float[Tensor, "k2 k1"], mask: Float[Tensor, "k2 k1"]) -> Float[Tensor, ""]:
    """``‖fmap12 ⊙ mask‖²``: zero for a map that commutes with the Laplacians, if equal eigenvalues cost nothing."""
    return ((fmap12 * mask) ** 2).sum()


def squared_distance(a: Float[Tensor, "m n"], b: Float[Tensor, "m n"]) -> Float[Tensor, ""]:
    """Squared Frobenius norm of the difference."""
    return ((a - b) ** 2).sum()


def surprise(map21: EmbeddingMap, ids2: Int[Tensor, " t"], ids1: Int[Tensor, " t"]) -> Float[Tensor, ""]:
    """Mean of ``-log`` of the weight that a soft map 2 → 1 gives to the true vertices ``ids1`` in its rows ``ids2``.

    Zero where each of these rows is certain and right, ``log n1`` for a map that knows nothing (van den Oord et al.
    2018, with all vertices of shape 1 as the negatives).
    """
    distances = torch.cdist(map21.query[ids2], map21.reference) ** 2
    return cross_entropy(-distances / (2 * map21.sigma**2), ids1)


class Term(ABC):
    """A weighted loss term. ``weight`` is plain state: schedules change it between steps.

    The class attributes are read from the source of the class before anything is loaded (``pullback.declared``): they
    must be plain values there.
    """

    needs_truth: ClassVar[bool] = False  # ground truth of the training pairs
    needs_two_way: ClassVar[bool] = False  # a match with its reverse
    # Values of options with which it asks for gradients through the refined map.
    through_refined: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, weight: float = 1.0, *, scale: str = "sum"):
        if scale not in ("sum", "mean"):
            raise ValueError(f"scale={scale!r} is unknown; use sum (plain norm) or mean (100 / number of entries)")
        at_least(0, weight=weight)
        self.weight = float(weight)
        self.scale = scale

    def __call__(self, match: Match, pair: ShapePair) -> Float[Tensor, ""]:
        """The weighted term of one match."""
        return self.weight * self.value(match, pair)

    @abstractmethod
    def value(self, match: Match, pair: ShapePair) -> Float[Tensor, ""]:
        """The term without its weight."""

    def _scaled(self, value: Float[Tensor, ""], fmap: Float[Tensor, "k2 k1"]) -> Float[Tensor, ""]:
        return value if self.scale == "sum" else value * (100 / fmap.numel())


class DirectedTerm(Term):
    """A term of one functional map; both directions are added when the match holds its reverse."""

    def value(self, match: Match, pair: ShapePair) -> Float[Tensor, ""]:
        total = self.one_way(match, pair.shape1.basis, pair.shape2.basis)
        if match.reverse is not None:
            total = total + self.one_way(match.reverse, pair.shape2.basis, pair.shape1.basis)
        return total

    @abstractmethod
    def one_way(self, match: Match, basis1: Eigenbasis, basis2: Eigenbasis) -> Float[Tensor, ""]:
        """The term of the map 1 → 2, whatever the pair calls its shapes."""


class Orthogonality(DirectedTerm):
    """:func:`orthogonality` of the initial map or, with ``of="final"``, of the refined one."""

    through_refined: ClassVar[Mapping[str, Any]] = {"of": "final"}

    def __init__(self, weight: float = 1.0, *, of: str = "initial", scale: str = "sum"):
        super().__init__(weight, scale=scale)
        if of not in ("initial", "final"):
            raise ValueError(f"of={of!r} is unknown; use initial or final")
        self.of = of

    def one_way(self, match: Match, basis1: Eigenbasis, basis2: Eigenbasis) -> Float[Tensor, ""]:
        fmap = match.fmap12_init if self.of == "initial" else match.fmap12
        return self._scaled(orthogonality(fmap), fmap)


class Consistency(DirectedTerm):
    """``‖fmap12_init - fmap12[:k, :k]‖²``: the initial map against the same block of the refined one.

    Magnet & Ovsjanikov 2024, eq. 7.

    The block is itself the functional map of the refined point map at the smaller size. By default it is a fixed
    target; ``stop_gradient=False`` lets gradients flow through the refinement as well.
    """

    through_refined: ClassVar[Mapping[str, Any]] = {"stop_gradient": False}

    def __init__(self, weight: float = 1.0, *, stop_gradient: bool = True, scale: str = "sum"):
        super().__init__(weight, scale=scale)
        self.stop_gradient = stop_gradient

    def one_way(self, match: Match, basis1: Eigenbasis, basis2: Eigenbasis) -> Float[Tensor, ""]:
        k2, k1 = match.fmap12_init.shape
        target = match.fmap12[:k2, :k1]
        target = target.detach() if self.stop_gradient else target
        return self._scaled(squared_distance(match.fmap12_init, target), target)


class LaplacianCommutativity(DirectedTerm):
    """:func:`commutativity` of the initial map with the resolvent mask of Ren et al. 2019."""

    def __init__(self, weight: float = 1.0, *, gamma: float = 0.5, scale: str = "sum"):
        super().__init__(weight, scale=scale)
        at_least(0, gamma=gamma)
        self.gamma = gamma

    def one_way(self, match: Match, basis1: Eigenbasis, basis2: Eigenbasis) -> Float[Tensor, ""]:
        k2, k1 = match.fmap12_init.shape
        mask = resolvent_mask(basis1.evals[:k1], basis2.evals[:k2], gamma=self.gamma)
        return self._scaled(commutativity(match.fmap12_init, mask), mask)


class Bijectivity(Term):
    """:func:`bijectivity` of the two initial maps. Needs a two-way solver."""

    needs_two_way: ClassVar[bool] = True

    def value(self, match: Match, pair: ShapePair) -> Float[Tensor, ""]:
        if match.reverse is None:
            raise ValueError(
                "the bijectivity term needs maps in both directions; use solver.two_way=true or drop the term"
            )
        return self._scaled(bijectivity(match.fmap12_init, match.reverse.fmap12_init), match.fmap12_init)


class Supervised(Term):
    """``‖fmap12 - truth‖² + ‖fmap12_init - truth[:k, :k]‖²`` with the functional map of the ground-truth landmarks."""

    needs_truth: ClassVar[bool] = True

    def value(self, match: Match, pair: ShapePair) -> Float[Tensor, ""]:
        if pair.corr1 is None or pair.corr2 is None:
            raise ValueError(
                f"the supervised term needs ground truth, and pair {pair.name} "
                "has none; drop the term or add .vts files"
            )
        k2, k1 = match.fmap12.shape
        basis1, basis2 = pair.shape1.basis.first(k1), pair.shape2.basis.first(k2)
        truth = torch.linalg.lstsq(basis2.evecs[pair.corr2], basis1.evecs[pair.corr1]).solution
        k2_init, k1_init = match.fmap12_init.shape
        final = self._scaled(squared_distance(match.fmap12, truth), truth)
        initial_truth = truth[:k2_init, :k1_init]
        return final + self._scaled(squared_distance(match.fmap12_init, initial_truth), initial_truth)


class Likelihood(Term):
    """:func:`surprise` of the features' soft map at ``landmarks`` true correspondences of the pair, in both directions.

    Far cheaper than a refined map: needs no functional map at all (``solver.n_steps=0``). Unlike the losses of maps, it
    tells left from right, since the truth does.
    """

    needs_truth: ClassVar[bool] = True

    def __init__(self, weight: float = 1.0, *, landmarks: int = 512):
        super().__init__(weight)
        at_least(1, landmarks=landmarks)
        self.landmarks = landmarks

    def value(self, match: Match, pair: ShapePair) -> Float[Tensor, ""]:
        if pair.corr1 is None or pair.corr2 is None:
            raise ValueError(
                f"the likelihood term needs ground truth, and pair {pair.name} has none; "
                "drop the term or add .vts files"
            )
        if not isinstance(match.map21_init, EmbeddingMap):
            raise ValueError("the likelihood term needs soft maps of features; use solver=diff_zoomout or two_branch")
        drawn = torch.randperm(len(pair.corr1), device=pair.corr1.device)[: self.landmarks]
        ids1, ids2 = pair.corr1[drawn], pair.corr2[drawn]
        return surprise(match.map21_init, ids2, ids1) + surprise(match.map21_init.reverse(), ids1, ids2)
