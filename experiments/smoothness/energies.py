"""Dirichlet energies of the features of networks, the figures of `smoothness`."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from experiments.smoothness.figures import Portrait
from jaxtyping import Float
from numpy import ndarray
from omegaconf import DictConfig
from rich.progress import track

from pullback.geometry.mesh import cotangent_stiffness, lumped_mass
from pullback.runtime.build import Run, build
from pullback.runtime.checks import check
from pullback.runtime.origin import with_origin
from pullback.types import Shape


@dataclass(frozen=True)
class ShapeEnergy:
    """The energies of a network's features on one shape."""

    shape: str
    channels: list[float]  # Rayleigh quotients
    total: float  # of all channels together
    lowest: float  # λ₁: what no function with mean zero stays below

    @property
    def mean(self) -> float:
        return statistics.fmean(self.channels)

    @property
    def median(self) -> float:
        return statistics.median(self.channels)


@dataclass(frozen=True)
class Smoothness:
    """A network on the test shapes of a data set."""

    name: str
    weights: str  # where they come from
    dataset: str
    shapes: list[ShapeEnergy] = field(default_factory=list)

    def average(self, quantity: str) -> float:
        """The mean of a quantity over the shapes."""
        return statistics.fmean(getattr(energy, quantity) for energy in self.shapes)


def rayleigh_quotients(shape: Shape, features: Float[ndarray, "n c"]) -> tuple[Float[ndarray, " c"], float]:
    """The energy of each channel, NaN where it is constant, and that of all channels together.
    ValueError when all are constant.
    """
    verts, faces = shape.verts.double().cpu().numpy(), shape.faces.cpu().numpy()
    stiffness, mass = cotangent_stiffness(verts, faces), lumped_mass(verts, faces)
    values = features.astype(np.float64)
    centred = values - mass @ values / mass.sum()
    energy, variance = np.einsum("nc,nc->c", centred, stiffness @ centred), mass @ centred**2
    varies = variance > 1e-12 * (mass @ values**2).max()
    if not varies.any():
        raise ValueError(f"all features on {shape.name} are constant: they have no energy to compare")
    return np.where(varies, energy / np.where(varies, variance, 1), np.nan), float(energy.sum() / variance.sum())


def energies(shape: Shape, features: Float[ndarray, "n c"]) -> ShapeEnergy:
    """The energies of features on a shape, without constant channels."""
    quotients, total = rayleigh_quotients(shape, features)
    lowest = next(float(value) for value in shape.basis.evals if value > 1e-5)
    return ShapeEnergy(shape.name, quotients[np.isfinite(quotients)].tolist(), total, lowest)


def run_of(cfg: DictConfig, typed: Sequence[str]) -> Run:
    """What eval.py would run with a configuration, of which ``typed`` are the overrides."""
    cfg, loaded = with_origin(cfg, typed)
    check(cfg)
    return build(cfg, loaded)


def features_on(run: Run, shape: Shape) -> Float[ndarray, "n c"]:
    """The features of the run's network."""
    return run.module.features(shape).double().numpy()


def measured(name: str, run: Run, *, most: int | None = None) -> Iterator[Smoothness]:
    """The network on the first ``most`` test shapes (null: all) of each data set."""
    for dataset, pairs in zip(run.data.test_names, run.data.test_sets, strict=True):
        found = Smoothness(name, run.weights, dataset)
        for files in track(pairs.used()[:most], f"{name}: {dataset}", transient=True):
            shape = pairs.library.load(files).shape
            found.shapes.append(energies(shape, features_on(run, shape)))
        yield found


def portrait(run: Run, i: int) -> Portrait:
    """The features on the first test shape of the i-th data set."""
    pairs = run.data.test_sets[i]
    shape = pairs.library.load(pairs.used()[0]).shape
    features = features_on(run, shape)
    return Portrait(shape, features, *rayleigh_quotients(shape, features))


def channels_of(results: Sequence[Smoothness]) -> dict[str, dict[str, list[list[float]]]]:
    """Energies of the channels of each shape by data set and network."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for result in results:
        found.setdefault(result.dataset, {})[result.name] = [energy.channels for energy in result.shapes]
    return found
