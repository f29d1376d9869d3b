"""What the three ways to a functional map between photographs share: result, batches, units."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.ranges import at_least
from pullback.types import Movable, PatchPair


@dataclass(frozen=True)
class PairFmap(Movable):
    """The functional map found for a pair of photographs."""

    fmap12: Float[Tensor, "k2 k1"]
    fmap12_init: Float[Tensor, "k2 k1"]  # before regularisation, refinement or optimisation
    losses: Float[Tensor, " terms"] | None = None  # weighted, at the end, in the order of the solver's ``terms``


class PairSolver(ABC):
    """Functional maps 1 → 2 of pairs of photographs; pairs with bases and features of equal size are solved together.

    A pair's map depends on that pair, the options and the seed, not on the pairs it is solved with. ``max_pairs`` is
    how many are solved at once: memory against speed on a GPU. May be called in inference mode, which is left for the
    time of the call.
    """

    mode: ClassVar[str]  # the name that every result carries
    terms: ClassVar[tuple[str, ...]]  # the names of ``PairFmap.losses``

    def __init__(self, *, max_pairs: int = 8):
        at_least(1, max_pairs=max_pairs)
        self.max_pairs = max_pairs

    def __call__(self, pairs: Sequence[PatchPair]) -> list[PairFmap]:
        """One functional map for each pair, in their order.

        Raises ValueError naming a pair whose features or map are not finite.
        """
        for pair in pairs:
            _check_features(pair)
        found: dict[int, PairFmap] = {}
        with torch.inference_mode(False):
            for places in self._batches(pairs):
                found |= zip(places, self.solve([pairs[i] for i in places]), strict=True)
        for place, pair in enumerate(pairs):
            _check_result(found[place], pair)
        return [found[place] for place in range(len(pairs))]

    def _batches(self, pairs: Sequence[PatchPair]) -> Iterator[list[int]]:
        alike: dict[tuple[object, ...], list[int]] = {}
        for place, pair in enumerate(pairs):
            one, two = pair.image1, pair.image2
            key = (
                one.basis.k,
                two.basis.k,
                one.feat.shape[1],
                one.basis_feat.shape[1],
                one.feat.device,
                one.feat.dtype,
            )
            alike.setdefault(key, []).append(place)
        for places in alike.values():
            yield from (places[i : i + self.max_pairs] for i in range(0, len(places), self.max_pairs))

    @abstractmethod
    def solve(self, pairs: Sequence[PatchPair]) -> list[PairFmap]:
        """The maps of pairs whose bases and features have equal sizes."""


def _check_features(pair: PatchPair) -> None:
    for image in (pair.image1, pair.image2):
        if not (torch.isfinite(image.feat).all() and torch.isfinite(image.basis_feat).all()):
            raise ValueError(
                f"pair {pair.name}: the features of {image.name} hold NaN or infinite values; try precision=float32"
            )


def _check_result(result: PairFmap, pair: PatchPair) -> None:
    if not torch.isfinite(result.fmap12).all():
        raise ValueError(
            f"the functional map of pair {pair.name} is not finite; lower the learning rates or use precision=float32"
        )


def projector(pair: PatchPair, side: int) -> Float[Tensor, "k n"]:
    """Values at the patches → coefficients in the basis scaled to unit area, ``Φᵀ diag(mass) / √area``.

    Patches have mass 1, so that a map between grids of n1 and n2 patches is √(n2 / n1) times an orthogonal one. In
    units of area 1 it is orthogonal itself, and the coefficients of a photograph do not grow with its resolution.
    """
    basis = (pair.image1, pair.image2)[side - 1].basis
    return (basis.evecs * basis.mass[:, None]).T / basis.mass.sum().sqrt()


def natural_scale(pair: PatchPair) -> Float[Tensor, ""]:
    """√(area2 / area1): turns a map 1 → 2 between unit-area bases into one between the pair's own bases."""
    return (pair.image2.basis.mass.sum() / pair.image1.basis.mass.sum()).sqrt()
