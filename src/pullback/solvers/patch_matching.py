"""Matches of photographs: an optimiser for the functional map, if any, its refinement, if any, and a read-out."""

from collections.abc import Sequence
from dataclasses import replace

from pullback.mapping.readout import Readout
from pullback.solvers.closed_form import ClosedForm
from pullback.solvers.pair_solver import PairFmap, PairSolver
from pullback.solvers.patch_refinement import SoftMapRefinement
from pullback.solvers.solver import ImageSolver
from pullback.types import PatchMatch, PatchPair


class PatchMatching(ImageSolver):
    """Patches of image 2 to patches of image 1; without an optimiser, a baseline on raw features.

    ``two_way`` solves the other direction as well and keeps it in ``reverse``. Raises ValueError for a refinement or a
    read-out that needs a functional map where nothing gives one, and for an optimiser whose map nothing reads.
    """

    def __init__(
        self,
        readout: Readout,
        optimiser: PairSolver | None = None,
        refinement: SoftMapRefinement | None = None,
        *,
        two_way: bool = False,
    ):
        self.readout, self.optimiser, self.refinement, self.two_way = readout, optimiser, refinement, two_way
        reader = readout if refinement is None else refinement  # of the optimiser's map
        if reader.needs_fmap and optimiser is None:
            raise ValueError(
                f"embedding={reader.embedding} needs a functional map: give an optimiser, or choose basis or "
                "descriptors"
            )
        if optimiser is not None and not reader.needs_fmap:
            raise ValueError(
                f"embedding={reader.embedding} reads no functional map: drop the optimiser, or add spectral to it"
            )
        if refinement is not None and not readout.needs_fmap:
            raise ValueError(
                f"embedding={readout.embedding} reads no functional map: drop the refinement, or choose adjoint"
            )

    @property
    def mode(self) -> str:
        """What makes the functional map: closed_form, paper or release; raw where no optimiser does."""
        return "raw" if self.optimiser is None else self.optimiser.mode

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of ``PatchMatch.losses``."""
        return () if self.optimiser is None else self.optimiser.terms

    def describe(self) -> str:
        """Mode, refinement and read-out in a line, for the protocol of results."""
        parts = [part.describe() for part in (self.refinement, self.readout) if part is not None]
        return f"{self.mode}: {'; '.join(parts)}{'; both directions' if self.two_way else ''}"

    def __call__(self, pairs: Sequence[PatchPair]) -> list[PatchMatch]:
        """One match for each pair; a pair's result does not depend on its neighbours."""
        matches = self._one_way(pairs)
        if not self.two_way:
            return matches
        back = self._one_way([pair.swapped() for pair in pairs])
        return [replace(match, reverse=reverse) for match, reverse in zip(matches, back, strict=True)]

    def _one_way(self, pairs: Sequence[PatchPair]) -> list[PatchMatch]:
        found = [None] * len(pairs) if self.optimiser is None else self.optimiser(pairs)
        return [self._read(pair, fmap) for pair, fmap in zip(pairs, found, strict=True)]

    def _read(self, pair: PatchPair, found: PairFmap | None) -> PatchMatch:
        fmap12 = None if found is None else found.fmap12
        if self.refinement is not None:
            fmap12 = self.refinement(pair, fmap12)
        match = PatchMatch(*self.readout(pair, fmap12), fmap12=fmap12)
        if found is None or fmap12 is None:
            return match
        k2, k1 = fmap12.shape
        return replace(match, fmap12_init=found.fmap12_init[:k2, :k1], losses=found.losses)


def closed_form() -> PatchMatching:
    """The solver of ``solver=closed_form``, for whoever needs a quick map beside another one."""
    readout = Readout(
        embedding=("spectral", "adjoint"), normalise="patch", position="window_soft_argmax", window=3, temperature=0.1
    )
    return PatchMatching(readout, ClosedForm(), SoftMapRefinement())
