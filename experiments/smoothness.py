"""How smooth the features are that networks learned (Magnet & Ovsjanikov 2024, figure 5): Dirichlet energies, numbers and pictures.

    python -m experiments.smoothness RUN/checkpoints/best.ckpt OTHER/checkpoints/best.ckpt dataset=faust --out DIR
        [--names "with consistency" "without"] [--untrained] [--shapes 20] [overrides of eval.py, such as data.k=…]

The energy of a channel is its Rayleigh quotient ``∫|∇f|² / ∫(f - f̄)²`` on a surface of unit area, with the cotangent Laplacian: it does not
depend on the channel's scale or mean, is λ₁ for the smoothest function there is and the larger the rougher. Of all channels of a shape:
their mean and median, and the energy of the whole, ``Σ∫|∇f|² / Σ∫(f - f̄)²``, which does not change when channels are mixed by a rotation.
Test shapes of each data set. Writes smoothness.json, smoothness.md, a picture for each data set and a plot of all channels.
"""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from experiments.records import labels
from experiments.smoothness_figures import Portrait, save_energies, save_features
from hydra import compose, initialize_config_dir
from jaxtyping import Float
from numpy import ndarray
from rich.progress import track

from pullback.geometry.mesh import cotangent_stiffness, lumped_mass
from pullback.runtime.build import Run, build
from pullback.runtime.checks import check
from pullback.runtime.command_line import overrides
from pullback.runtime.doorway import telling
from pullback.runtime.hydra_errors import while_composing
from pullback.runtime.option_names import Vocabulary
from pullback.runtime.origin import with_origin
from pullback.runtime.settings import register_resolvers
from pullback.tasks.provenance import commit_of
from pullback.types import Shape

ROOT = Path(__file__).resolve().parents[1]


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
    """The energy of each channel, NaN where it is constant, and that of all channels together. ValueError when all are constant."""
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


def run_of(checkpoint: Path, changes: Sequence[str], folder: Path, *, untrained: bool = False) -> Run:
    """What eval.py would run with this checkpoint."""
    typed = overrides([f"ckpt={checkpoint}", f"untrained={str(untrained).lower()}", *changes], "eval", ROOT / "configs")
    register_resolvers(ROOT)
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "configs")):
        cfg = compose("eval", overrides=[*typed, *overrides([f"paths.output_dir={folder}"], "eval", ROOT / "configs")])
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


def table(results: Sequence[Smoothness]) -> str:
    """Markdown: a line for each network and data set, with how many shapes it is smoother on than the first."""
    lines = ["| features | data set | shapes | mean of channels | median | all channels | λ₁ | smoother than the first on |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for result in results:
        first = next(other for other in results if other.dataset == result.dataset)
        pairs = zip(result.shapes, first.shapes, strict=True)
        wins = "–" if result is first else f"{sum(mine.total < theirs.total for mine, theirs in pairs)} of {len(result.shapes)}"
        figures = [f"{result.average(quantity):.1f}" for quantity in ("mean", "median", "total", "lowest")]
        lines.append(f"| {' | '.join([result.name, result.dataset, str(len(result.shapes)), *figures, wins])} |")
    return "\n".join(lines) + "\n"


def parsed(command: Sequence[str] | None) -> argparse.Namespace:
    """The command line: checkpoints are what is a file, overrides of eval.py the rest."""
    parser = argparse.ArgumentParser(
        "python -m experiments.smoothness", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+", metavar="CKPT|OVERRIDE", help="checkpoints of train.py, and overrides of eval.py")
    parser.add_argument("--names", nargs="+", help="what to call the checkpoints (default: the end of their paths)")
    parser.add_argument("--untrained", action="store_true", help="also the first network with fresh weights, for comparison")
    parser.add_argument("--shapes", type=int, help="that many test shapes of each data set (default: all)")
    parser.add_argument("--out", type=Path, default=Path("experiments/runs/smoothness"), help="folder (default: %(default)s)")
    options = parser.parse_intermixed_args(command)
    options.overrides = [word for word in options.checkpoints if "=" in word and not Path(word).is_file()]
    options.checkpoints = [Path(word) for word in options.checkpoints if word not in options.overrides]
    missing = [path for path in options.checkpoints if not path.is_file()]
    if missing or not options.checkpoints:
        parser.error(f"there is no checkpoint {missing[0]}" if missing else "give at least one checkpoint, RUN/checkpoints/best.ckpt")
    options.names = options.names or labels([path.parent.parent / path.stem for path in options.checkpoints])
    if len(options.names) != len(options.checkpoints):
        parser.error(f"--names has {len(options.names)} names for {len(options.checkpoints)} checkpoints")
    return options


def main(command: Sequence[str] | None = None) -> None:
    options = parsed(command)
    with telling(partial(while_composing, words=Vocabulary("eval", ROOT / "configs"))):
        measure_and_draw(options)


def measure_and_draw(options: argparse.Namespace) -> None:
    """What the command line asks for: figures, pictures and a table."""
    with tempfile.TemporaryDirectory(prefix="pullback-") as folder:
        cases = list(zip(options.names, options.checkpoints, [False] * len(options.names), strict=True))
        cases += [("untrained", options.checkpoints[0], True)] if options.untrained else []
        runs = {
            name: run_of(path, options.overrides, Path(folder) / str(i), untrained=fresh) for i, (name, path, fresh) in enumerate(cases)
        }
        results = [result for name, run in runs.items() for result in measured(name, run, most=options.shapes)]
        options.out.mkdir(parents=True, exist_ok=True)
        write(options.out, results)
        for i, dataset in enumerate(next(iter(runs.values())).data.test_names):
            portraits = {name: portrait(run, i) for name, run in runs.items()}
            tested = next(iter(runs.values())).data.tested[i]
            print("drawn:", save_features(portraits, options.out / f"smoothness_{dataset}.png", up=tested.up, front=tested.front))
    print("drawn:", save_energies(channels_of(results), options.out / "smoothness_channels.png"))
    print(f"\n{table(results)}")


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


def write(folder: Path, results: Sequence[Smoothness]) -> None:
    """smoothness.json and smoothness.md."""
    command = " ".join(["python -m experiments.smoothness", *map(shortened, sys.argv[1:])])
    content: Mapping[str, Any] = {"command": command, **commit_of(Path(__file__)), "results": [asdict(result) for result in results]}
    (folder / "smoothness.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "smoothness.md").write_text(table(results), encoding="utf-8")


def shortened(word: str) -> str:
    """A word of the command line as the next machine may read it: without the folders that lead to an absolute path."""
    key, equals, value = word.rpartition("=")
    place = Path(value)
    return f"{key}{equals}…/{'/'.join(place.parts[-3:])}" if place.is_absolute() else shlex.quote(word)


if __name__ == "__main__":
    main()
