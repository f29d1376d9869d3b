"""Where a map can begin: features, landmarks, positions, low eigenfunctions. Each start proposes maps of two probes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.energies import SampledMaps, nearest_point
from pullback.probe import Probe
from pullback.ranges import at_least


@dataclass(frozen=True)
class PairFeatures:
    """Features of the points of two probes that can be compared, and what they are called."""

    name: str
    feat1: Float[Tensor, "s1 c"]
    feat2: Float[Tensor, "s2 c"]


@dataclass(frozen=True)
class Proposal:
    """A first pair of point maps, and with how many eigenfunctions its refinement begins."""

    name: str
    maps: SampledMaps
    k_init: int
    features: str = ""  # the kind of features that it comes from


@runtime_checkable
class Start(Protocol):
    """Proposes maps of a pair."""

    def __call__(self, probe1: Probe, probe2: Probe, features: Sequence[PairFeatures]) -> Iterator[Proposal]: ...


@dataclass(frozen=True)
class FeatureStart:
    """Nearest neighbours of each kind of features at hand, refined from a few and from more eigenfunctions.

    ``only_first``: of the first kind alone, which is the backbone's.
    """

    k_init: Sequence[int] = (10, 30)
    only_first: bool = False

    def __post_init__(self) -> None:
        for k in self.k_init:
            at_least(1, k_init=k)

    def __call__(self, probe1: Probe, probe2: Probe, features: Sequence[PairFeatures]) -> Iterator[Proposal]:
        for each in features[:1] if self.only_first else features:
            maps = _both_ways(each.feat1, each.feat2)
            for k in self.k_init:
                yield Proposal(f"{each.name}, k_init {k}", maps, k, each.name)


@dataclass(frozen=True)
class PositionStart:
    """Nearest positions, of the shapes as they lie and with their principal axes turned to agree.

    Turned in the four ways that keep left and right (Besl & McKay 1992 begin so too).
    """

    k_init: int = 10
    as_they_lie: bool = True

    def __post_init__(self) -> None:
        at_least(1, k_init=self.k_init)

    def __call__(self, probe1: Probe, probe2: Probe, features: Sequence[PairFeatures]) -> Iterator[Proposal]:
        placed1, placed2 = (_centred(probe) for probe in (probe1, probe2))
        if self.as_they_lie:
            yield Proposal("positions as they lie", _both_ways(placed1, placed2), self.k_init)
        axes1, axes2 = (_axes(probe) for probe in (probe1, probe2))
        for i, signs in enumerate([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]):
            turned = placed2 @ axes2 @ torch.diag(torch.tensor(signs).to(placed2)) @ axes1.T
            yield Proposal(f"principal axes {i + 1}", _both_ways(placed1, turned), self.k_init)


@dataclass(frozen=True)
class SpectralStart:
    """The lowest eigenfunctions one by one, with every choice of their signs (as in MapTree, Ren et al. 2020).

    ``count`` signs are tried of the functions after the constant one: 2^count maps.
    """

    count: int = 3
    k_init: int = 5

    def __post_init__(self) -> None:
        at_least(1, count=self.count, k_init=self.k_init)

    def __call__(self, probe1: Probe, probe2: Probe, features: Sequence[PairFeatures]) -> Iterator[Proposal]:
        count = min(self.count, probe1.basis.k - 1, probe2.basis.k - 1)
        low1, low2 = (probe.basis.evecs[:, 1 : count + 1] / _scale(probe, count) for probe in (probe1, probe2))
        for signs in product((1, -1), repeat=count):
            maps = _both_ways(low1 * torch.tensor(signs).to(low1), low2)
            yield Proposal("spectrum " + "".join("+" if sign > 0 else "-" for sign in signs), maps, self.k_init)


def _scale(probe: Probe, count: int) -> Float[Tensor, " count"]:
    """What makes low eigenfunctions weigh more: the roots of their eigenvalues, zeros lifted."""
    return probe.basis.evals[1 : count + 1].clamp_min(1e-3 * float(probe.basis.evals[-1])).sqrt()


def _both_ways(feat1: Float[Tensor, "s1 c"], feat2: Float[Tensor, "s2 c"]) -> SampledMaps:
    return SampledMaps(nearest_point(feat2, feat1), nearest_point(feat1, feat2))


def _centred(probe: Probe) -> Float[Tensor, "s 3"]:
    mass = probe.basis.mass / probe.basis.mass.sum()
    return probe.verts - mass @ probe.verts


def _axes(probe: Probe) -> Float[Tensor, "3 3"]:
    """Principal axes as columns, right-handed, that of the largest extent first."""
    placed = _centred(probe)
    axes = torch.linalg.eigh(placed.T @ (placed * probe.basis.mass[:, None])).eigenvectors.flip(1)
    return axes * torch.tensor([1.0, 1.0, torch.linalg.det(axes.double()).sign()]).to(axes)
