"""Which region of a whole a part matches: regions are proposed, cut out and matched as shapes of their own, and those
whose energies speak for them are moved and resized until nothing is gained. No ground truth is seen.

A region that is cut out of the whole has the part's boundary, area and vibrations, so what is made for two whole shapes
holds for the two: features, ZoomOut, energies. Partial functional maps (Rodolà et al. 2017) estimate region and map
together instead; between bodies in other poses that was measured to be less exact than this (experiments/README.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn

from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import bare_shape
from pullback.geometry.cleaning import MeshError
from pullback.geometry.regions import cut_out, image_density, largest_share, overlap, tidied
from pullback.mapping.energies import sampled_fmap
from pullback.mapping.fmap import spectral_embeddings
from pullback.mapping.pointmap import nearest
from pullback.nn.backbone import LandmarkFeatures
from pullback.nn.common_units import CommonUnits
from pullback.solvers.best_of_starts import BestOfStarts, Expectation
from pullback.solvers.starts import FeatureStart, PositionStart, SpectralStart, Start
from pullback.stages import stage
from pullback.tasks.mesh.judging import plain_features, together
from pullback.tasks.mesh.partial.sides import COARSE, CoarseSide
from pullback.types import Shape

_RESIZED = (0.85, 1.0, 1.18)  # sizes of a region that are tried, as multiples of what it was
_UNITS = (0.6, 0.8, 1.0, 1.25, 1.6)  # the same, where regions come from features in common units
_TIPS = 10  # around which regions are proposed
_SAME = 0.97  # regions that overlap by more are one
_ALIKE = 0.9  # and proposals before they are matched
_LARGE = 0.6  # share from which a part is much like the whole
_LARGEST = 0.98  # share of the whole that a part may have
_FEWEST = 60  # vertices of a region that is worth a try
_REACH = 0.3  # √area: distances to landmarks count on this scale, so that what a cut changes far away does not


@dataclass(frozen=True)
class Guess:
    """A region of the whole, and how the part matches it."""

    kept: Bool[ndarray, " c"]  # vertices of the whole's coarse copy
    share: float  # of the whole's area that was asked for
    images: Int[ndarray, " m"]  # for each vertex of the part's copy one of the whole's
    energies: Mapping[str, float]
    expected_error: float  # in units of √area of the part


@dataclass
class RegionSearch:
    """The search for one pair. ``shares`` are guesses of the part's share of the whole's area, the likeliest first."""

    part: CoarseSide
    whole: CoarseSide
    backbone: nn.Module
    judge: Expectation
    shares: Sequence[float]
    landmarks: tuple[Int[ndarray, " t"], Int[ndarray, " t"]] | None = None  # vertices of the copies: part, whole
    beam: int = 4  # regions that are improved at a time
    rounds: int = 4
    tried: list[Bool[ndarray, " c"]] = field(default_factory=list)

    def __post_init__(self) -> None:
        starts: list[Start] = [FeatureStart(k_init=(10, 30)), PositionStart(), SpectralStart()]
        self.full = BestOfStarts(starts=starts, judge=self.judge, points=300, k=30)
        self.warm = BestOfStarts(starts=starts[:1], judge=self.judge, points=300, k=30)
        self.own = self._own(self.part.shape)
        learned = not isinstance(self.backbone, LandmarkFeatures)
        self.units = CommonUnits.of(self.backbone if learned else nn.Identity(), self.whole.shape)
        self.in_units = lru_cache(maxsize=64)(lambda share: self.units.of_part(self.part.shape, share))

    @torch.no_grad()
    def run(self) -> list[Guess]:
        """Guesses, the best first; none where no region can be matched."""
        with stage("regions of the whole"):
            guesses = [guess for kept, share in self._distinct() if (guess := self._matched(kept, share))]
            # From a map of all of the whole all that is missing is left out at once, several limbs too.
            guesses += [better for guess in guesses if guess.kept.all() for better in self._moved(guess)]
            guesses = [guess for guess in guesses if not guess.kept.all()] or guesses  # for no part is all of it
        for i in range(self.rounds):
            guesses = self._ordered(guesses)
            with stage(f"better regions, round {i + 1}"):
                found = [better for guess in guesses[: self.beam] for better in self._moved(guess)]
            guesses += found
            if not found:
                break
        return self._ordered(guesses)

    def _ordered(self, guesses: list[Guess]) -> list[Guess]:
        return [guesses[i] for i in self.judge.order([guess.energies for guess in guesses])] if guesses else []

    def _moved(self, guess: Guess) -> Iterator[Guess]:
        """The guess with the region where the images of the part lie, in several sizes."""
        for factor in _RESIZED:
            share = min(guess.share * factor, _LARGEST)
            found = self._matched(self._region(torch.from_numpy(guess.images), share), share, before=guess.images)
            if found is not None:
                yield found

    def _distinct(self) -> Iterator[tuple[Bool[ndarray, " c"], float]]:
        seen: list[Bool[ndarray, " c"]] = []
        for kept, share in self._proposals():
            if all(overlap(kept, other, self.whole.mass) < _ALIKE for other in seen):
                seen.append(kept)
                yield kept, share

    def _proposals(self) -> Iterator[tuple[Bool[ndarray, " c"], float]]:
        """Regions from landmarks; from features in common units; around and opposite to the ends of limbs; and for a
        large part all of the whole, and where its own features lie.
        """
        whole = self.whole
        if self.landmarks is not None:
            for share in self.shares:
                near1, near2 = self._near_landmarks(share)
                yield self._region(nearest(near2, near1), share), share
            return
        for share in dict.fromkeys(min(share * unit, _LARGEST) for share in self.shares for unit in _UNITS):
            yield self._region(nearest(self.in_units(share), self.units.feat), share), share
        for share in (share for share in self.shares if share > _LARGE):
            name = next(iter(self.own))
            alone = nearest(self.own[name], self._own(whole.shape)[name])
            yield self._region(alone, share), share
            yield np.ones(whole.n, dtype=bool), share
        tips = whole.tips(_TIPS)
        for share in (min(share, _LARGEST) for share in self.shares):
            for row in tips:
                yield tidied(largest_share(-row, whole.mass, share), whole.graph, whole.mass), share
                if share > 0.35:
                    yield tidied(largest_share(row, whole.mass, share), whole.graph, whole.mass), share

    def _region(self, images: Int[Tensor, " m"], share: float) -> Bool[ndarray, " c"]:
        """Where the images of the part's points lie most densely: this share of the whole's area."""
        whole = self.whole
        density = image_density(images, self.part.shape.basis.mass, whole.shape.basis)
        return tidied(largest_share(density.numpy(), whole.mass, share), whole.graph, whole.mass)

    def _matched(
        self, kept: Bool[ndarray, " c"], share: float, *, before: Int[ndarray, " m"] | None = None
    ) -> Guess | None:
        """The match of the part with a region; None for one that was tried, or is too small."""
        whole, part = self.whole, self.part.shape
        if any(overlap(kept, other, whole.mass) > _SAME for other in self.tried):
            return None
        self.tried.append(kept)
        cut = cut_out(whole.verts, whole.faces, kept)
        if cut is None or len(cut[0]) < _FEWEST:
            return None
        ids, faces = cut
        try:
            region = bare_shape(FileMesh(whole.verts[ids], faces), COARSE, name="region")
        except MeshError:  # torn to pieces by the cut
            return None
        if region.relabel.dropped.any() or region.shape.n != len(ids):
            return None  # pinched by the cut: a slightly other one will do
        features = together(self._own(region.shape), self.own) | self._shared(ids, share, before)
        choice = (self.full if before is None else self.warm)(region.shape, part, features)
        probe1, probe2, maps = choice.probe1, choice.probe2, choice.best.maps
        fmap12 = sampled_fmap(maps.p2p21, probe1, probe2, k=probe1.basis.k)
        images = nearest(*spectral_embeddings(fmap12, region.shape.basis, part.basis)).numpy()
        cut_kept = np.zeros(whole.n, dtype=bool)
        cut_kept[ids] = True
        best = choice.best
        return Guess(cut_kept, share, ids[images], best.energies, best.expected_error)

    def _own(self, shape: Shape) -> Mapping[str, Tensor]:
        """Features of a shape as if it were alone."""
        return plain_features(self.backbone, shape)

    def _shared(
        self, ids: Int[ndarray, " r"], share: float, before: Int[ndarray, " m"] | None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Features of a region (vertices of the whole) and of the part that say where in the whole they lie."""
        shared = {"common units": (self.units.feat[ids], self.in_units(share))}
        if self.landmarks is not None:
            near1, near2 = self._near_landmarks(share)
            shared = {"landmarks": (near1[ids], near2)}
        if before is not None:
            shared["before"] = (self.whole.shape.verts[ids], self.whole.shape.verts[before])
        return shared

    def _near_landmarks(self, share: float) -> tuple[Float[Tensor, "c t"], Float[Tensor, "m t"]]:
        """Nearness to each landmark, of the whole and of the part, in units of √area of the whole."""
        assert self.landmarks is not None
        rows = (self.whole.distances(self.landmarks[1]), self.part.distances(self.landmarks[0]) * share**0.5)
        near1, near2 = (torch.from_numpy(np.exp(-row.T / _REACH)).float() for row in rows)
        return near1, near2
