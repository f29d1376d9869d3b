"""Several starts, one choice: every start's map is refined a little, and energies choose one.

The refinement runs between a few points of the shapes. No ground truth is seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.geometry.probing import compute_probe
from pullback.mapping.energies import (
    SampledMaps,
    feature_residual,
    map_distance,
    map_energies,
    nearest_point,
    sampled_fmap,
)
from pullback.mapping.fmap import spectral_embeddings
from pullback.probe import Probe
from pullback.ranges import at_least
from pullback.solvers.starts import PairFeatures, Proposal, Start
from pullback.stages import stage
from pullback.types import Eigenbasis, Shape

# What the features of a network are called that saw its input in another form: not the backbone's own, but as good.
SECOND_OPINION = "tilted"
_SAME = 0.03  # maps that differ by less, in units of √area, are the same: neighbouring points are that far apart


@runtime_checkable
class Expectation(Protocol):
    """Says from the energies of maps how wrong one is likely to be, and which is the best."""

    def expected_error(self, energies: Mapping[str, float]) -> float: ...

    def order(self, candidates: Sequence[Mapping[str, float]]) -> list[int]: ...


@dataclass(frozen=True)
class Candidate:
    """A refined proposal and what is thought of it."""

    name: str
    maps: SampledMaps
    energies: Mapping[str, float]
    expected_error: float  # in units of √area
    features: str = ""  # the kind of features that it began with
    k_init: int = 0


@dataclass(frozen=True)
class Choice:
    """The candidates of a pair, the best first."""

    probe1: Probe
    probe2: Probe
    features: tuple[PairFeatures, ...]  # at the points of the probes; the backbone's first
    opinions: tuple[SampledMaps, ...]  # the refined maps that come from the backbone's features
    candidates: tuple[Candidate, ...]

    @property
    def is_open(self) -> bool:
        """Whether there was more than one start, so that the solver has to be told which."""
        return len(self.candidates) > 1

    @property
    def best(self) -> Candidate:
        return self.candidates[0]

    @property
    def follows_features(self) -> bool:
        """Whether the backbone's features lead to the best map by themselves.

        A solver then reads it off them at full resolution.
        """
        own = [each for each in self.candidates if each.features == self.features[0].name]
        if not own:
            return False
        direct = max(own, key=lambda each: each.k_init)
        return map_distance(self.best.maps, direct.maps, self.probe1, self.probe2) < _SAME

    def energies(self, maps: SampledMaps) -> dict[str, float]:
        """The energies of maps between the probes.

        ``features_NAME`` says how badly they carry a kind of features. Where there are several opinions, ``dissent``
        says how far they are from these.
        """
        both = self.probe1, self.probe2
        residuals = {
            f"features_{each.name}": feature_residual(maps, each.feat1, each.feat2, *both) for each in self.features
        }
        if len(self.opinions) > 1:
            apart = [map_distance(maps, other, *both) for other in self.opinions]
            residuals["dissent"] = sum(apart) / len(apart)
        return map_energies(maps, *both) | residuals

    def embeddings(self, basis1: Eigenbasis, basis2: Eigenbasis) -> tuple[Float[Tensor, "n1 k"], Float[Tensor, "n2 k"]]:
        """Features of all vertices whose nearest neighbours are the chosen map: what a solver begins with."""
        k = self.probe1.basis.k
        fmap12 = sampled_fmap(self.best.maps.p2p21, self.probe1, self.probe2, k=k)
        query, reference = spectral_embeddings(fmap12, basis1, basis2)
        return reference, query


class BestOfStarts:
    """Tries several starts between a few points of each shape and keeps what ``judge`` expects to be least wrong.

    ``starts`` begin, ``points`` points of each shape take part, maps are refined to ``k`` eigenfunctions.
    """

    def __init__(self, *, starts: Sequence[Start], judge: Expectation, points: int = 700, k: int = 60):
        at_least(2, k=k, points=points)
        if points < k:
            raise ValueError(f"points={points} are fewer than k={k} eigenfunctions; use points=700")
        self.starts, self.judge, self.points, self.k = list(starts), judge, points, k

    def with_only(self, start: Start) -> "BestOfStarts":
        """The same with nothing to choose from."""
        return BestOfStarts(starts=[start], judge=self.judge, points=self.points, k=self.k)

    @torch.no_grad()
    def __call__(self, shape1: Shape, shape2: Shape, features: Mapping[str, tuple[Tensor, Tensor]]) -> Choice:
        """The candidates of a pair. ``features`` are those of all vertices of both shapes, by what they are called."""
        with stage("points of both shapes"):
            probe1, probe2 = (compute_probe(shape, count=self.points, k=self.k) for shape in (shape1, shape2))
        given = tuple(
            PairFeatures(name, feat1[probe1.points].float(), feat2[probe2.points].float())
            for name, (feat1, feat2) in features.items()
        )
        found: list[tuple[Proposal, SampledMaps]] = []
        for proposal in (each for start in self.starts for each in start(probe1, probe2, given)):
            with stage(f"start: {proposal.name}"):
                sizes = growing_sizes(proposal.k_init, self.k)
                found.append((proposal, refined(proposal.maps, probe1, probe2, sizes=sizes)))
        opinions = tuple(maps for proposal, maps in found if proposal.features in (given[0].name, SECOND_OPINION))
        choice = Choice(probe1, probe2, given, opinions, ())
        candidates = [self._candidate(proposal, maps, choice) for proposal, maps in found]
        order = self.judge.order([each.energies for each in candidates])
        return replace(choice, candidates=tuple(candidates[i] for i in order))

    def _candidate(self, proposal: Proposal, maps: SampledMaps, choice: Choice) -> Candidate:
        energies = choice.energies(maps)
        expected = self.judge.expected_error(energies)
        return Candidate(proposal.name, maps, energies, expected, proposal.features, proposal.k_init)


def growing_sizes(k_init: int, k_final: int) -> list[int]:
    """Sizes of functional maps from ``k_init`` to ``k_final``, each about half larger than the one before."""
    sizes = [min(k_init, k_final)]
    while sizes[-1] < k_final:
        sizes.append(min(k_final, sizes[-1] + max(2, sizes[-1] // 2)))
    return sizes


def refined(maps: SampledMaps, probe1: Probe, probe2: Probe, *, sizes: Sequence[int]) -> SampledMaps:
    """ZoomOut (Melzi et al. 2019) of both maps between the points of the probes, each on its own."""
    for k in sizes:
        maps = SampledMaps(_step(maps.p2p21, probe1, probe2, k), _step(maps.p2p12, probe2, probe1, k))
    return maps


def _step(p2p21: Int[Tensor, " s2"], probe1: Probe, probe2: Probe, k: int) -> Int[Tensor, " s2"]:
    fmap12 = sampled_fmap(p2p21, probe1, probe2, k=k)
    return nearest_point(*spectral_embeddings(fmap12, probe1.basis, probe2.basis))
