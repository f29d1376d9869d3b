"""How smooth the features are that networks learned: Dirichlet energies, numbers and pictures.

Magnet & Ovsjanikov 2024, figure 5.

    python -m experiments.smoothness RUN/checkpoints/best.ckpt OTHER/checkpoints/best.ckpt dataset=faust --out DIR
        [--names "with consistency" "without"] [--untrained] [--shapes 20] [overrides of eval.py, such as data.k=…]

The energy of a channel is its Rayleigh quotient ``∫|∇f|² / ∫(f - f̄)²`` on a surface of unit area, with the cotangent
Laplacian: it does not depend on the channel's scale or mean, is λ₁ for the smoothest function there is and the larger
the rougher. Of all channels of a shape: their mean and median, and the energy of the whole, ``Σ∫|∇f|² / Σ∫(f - f̄)²``,
which does not change when channels are mixed by a rotation. Test shapes of each data set. Writes smoothness.json,
smoothness.md, a picture for each data set and a plot of all channels.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir

from pullback.comparison.records import labels
from pullback.comparison.run_files import RunError
from pullback.runtime.command_line import overrides
from pullback.runtime.doorway import telling
from pullback.runtime.hydra_errors import while_composing
from pullback.runtime.input_checks import check_early
from pullback.runtime.option_names import Vocabulary
from pullback.runtime.settings import register_resolvers

if TYPE_CHECKING:
    from experiments.smoothness.energies import Smoothness
    from omegaconf import DictConfig

ROOT = Path(__file__).resolve().parents[2]


def main(command: Sequence[str] | None = None) -> None:
    with telling(partial(while_composing, words=Vocabulary("eval", ROOT / "configs"))):
        options = parsed(command)
        register_resolvers()
        with tempfile.TemporaryDirectory(prefix="pullback-") as folder:
            cases = [(name, path, False) for name, path in zip(options.names, options.checkpoints, strict=True)]
            cases += [("untrained", options.checkpoints[0], True)] if options.untrained else []
            settings = {
                name: composed(path, options.overrides, Path(folder) / str(i), untrained=fresh)
                for i, (name, path, fresh) in enumerate(cases)
            }
            measure_and_draw(settings, options)


def composed(
    checkpoint: Path, changes: Sequence[str], folder: Path, *, untrained: bool
) -> tuple["DictConfig", list[str]]:
    """The configuration with which eval.py would run a checkpoint, and its overrides.

    It is looked over before the slow imports.
    """
    places = [f"ckpt={checkpoint}", f"paths.output_dir={folder}", f"untrained={str(untrained).lower()}"]
    typed = overrides([*places, *changes], "eval", ROOT / "configs")
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "configs")):
        cfg = compose("eval", overrides=typed)
    check_early(cfg)
    return cfg, typed


def parsed(command: Sequence[str] | None) -> argparse.Namespace:
    """The command line: checkpoints, and overrides of eval.py. Raises RunError."""
    parser = argparse.ArgumentParser(
        "python -m experiments.smoothness", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "checkpoints", nargs="+", metavar="CKPT|OVERRIDE", help="checkpoints of train.py, and overrides of eval.py"
    )
    parser.add_argument("--names", nargs="+", help="what to call the checkpoints (default: the end of their paths)")
    parser.add_argument(
        "--untrained", action="store_true", help="also the first network with fresh weights, for comparison"
    )
    parser.add_argument("--shapes", type=int, help="that many test shapes of each data set (default: all)")
    parser.add_argument(
        "--out", type=Path, default=Path("experiments/runs/smoothness"), help="folder (default: %(default)s)"
    )
    options = parser.parse_intermixed_args(command)
    options.overrides = [word for word in options.checkpoints if "=" in word and not Path(word).is_file()]
    options.checkpoints = [Path(word) for word in options.checkpoints if word not in options.overrides]
    missing = [path for path in options.checkpoints if not path.is_file()]
    if missing or not options.checkpoints:
        raise RunError(
            f"there is no checkpoint {missing[0]}"
            if missing
            else "give at least one checkpoint, RUN/checkpoints/best.ckpt"
        )
    if options.shapes is not None and options.shapes < 1:
        raise RunError(f"--shapes {options.shapes} leaves nothing to measure; give 1 or more")
    options.names = options.names or labels([path.parent.parent / path.stem for path in options.checkpoints])
    if len(options.names) != len(options.checkpoints):
        raise RunError(f"--names has {len(options.names)} names for {len(options.checkpoints)} checkpoints")
    return options


def measure_and_draw(settings: Mapping[str, tuple["DictConfig", list[str]]], options: argparse.Namespace) -> None:
    """What the command line asks for: figures, pictures and a table.
    ``settings`` are those of each network by its name.
    """
    from experiments.smoothness.energies import channels_of, measured, portrait, run_of
    from experiments.smoothness.figures import save_energies, save_features

    runs = {name: run_of(cfg, typed) for name, (cfg, typed) in settings.items()}
    results = [result for name, run in runs.items() for result in measured(name, run, most=options.shapes)]
    options.out.mkdir(parents=True, exist_ok=True)
    write(options.out, results)
    first = next(iter(runs.values())).data
    for i, (dataset, tested) in enumerate(zip(first.test_names, first.tested, strict=True)):
        portraits = {name: portrait(run, i) for name, run in runs.items()}
        print(
            "drawn:",
            save_features(portraits, options.out / f"smoothness_{dataset}.png", up=tested.up, front=tested.front),
        )
    print("drawn:", save_energies(channels_of(results), options.out / "smoothness_channels.png"))
    print(f"\n{table(results)}")


def table(results: Sequence["Smoothness"]) -> str:
    """Markdown: a line for each network and data set, with how many shapes it is smoother on than the first."""
    lines = [
        "| features | data set | shapes | mean of channels | median | all channels | λ₁ | smoother than the first on |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for result in results:
        first = next(other for other in results if other.dataset == result.dataset)
        pairs = zip(result.shapes, first.shapes, strict=True)
        wins = (
            "–"
            if result is first
            else f"{sum(mine.total < theirs.total for mine, theirs in pairs)} of {len(result.shapes)}"
        )
        figures = [f"{result.average(quantity):.1f}" for quantity in ("mean", "median", "total", "lowest")]
        lines.append(f"| {' | '.join([result.name, result.dataset, str(len(result.shapes)), *figures, wins])} |")
    return "\n".join(lines) + "\n"


def write(folder: Path, results: Sequence["Smoothness"]) -> None:
    """smoothness.json and smoothness.md."""
    from pullback.tasks.provenance import commit_of

    command = " ".join(["python -m experiments.smoothness", *map(shortened, sys.argv[1:])])
    content: Mapping[str, Any] = {
        "command": command,
        **commit_of(Path(__file__)),
        "results": [asdict(result) for result in results],
    }
    (folder / "smoothness.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "smoothness.md").write_text(table(results), encoding="utf-8")


def shortened(word: str) -> str:
    """A word of the command line as the next machine may read it: without the folders that lead to an absolute path."""
    key, equals, value = word.rpartition("=")
    place = Path(value)
    return f"{key}{equals}…/{'/'.join(place.parts[-3:])}" if place.is_absolute() else shlex.quote(word)


if __name__ == "__main__":
    main()
