"""Where the time of a training step and of an evaluation pair goes: loading, features, soft maps, refinement, losses.

    python -m experiments.benchmarks.parts                               recipe=fast at 2,000 and 5,000 vertices
    python -m experiments.benchmarks.parts --overrides recipe=paper      what train.py takes, instead

Two embedded bodies, prepared and in the cache, a pair after the other in this process; medians of the parts, their
share of the whole beside. A part ends where its kernels do. ``soft maps`` is the map between features with its
functional map, ``refinement`` all maps after it, ``nearest neighbours`` the point map that only an evaluation reads.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from experiments.benchmarks.conditions import arguments, start
from experiments.benchmarks.harness import Report, Row
from experiments.benchmarks.training_pair import ROOT, bodies
from hydra import compose, initialize_config_dir

from pullback.runtime.settings import instantiate, register_resolvers
from pullback.stages import Stage, StageClock, listening
from pullback.types import Match, ShapePair

SIZES, BRIEF_SIZES = (2_000, 5_000), (2_000,)
STEP, PAIR = "training step", "evaluation pair"
SOLVER_PARTS = {"initial map": "soft maps", "refinement": "refinement", "final point map": "refinement"}


class Watch:
    """Seconds by part of one step."""

    def __init__(self, device: str):
        self.device = torch.device(device)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.add(name, time.perf_counter() - begun)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def stages(self, stages: Sequence[Stage]) -> None:
        """The parts of a solver, which names its stages itself."""
        for stage in stages:
            kind = next((kind for kind in SOLVER_PARTS if stage.name.startswith(kind)), None)
            if stage.depth == 0 and kind is not None:
                self.add(SOLVER_PARTS[kind], stage.seconds)


def watched(once: Callable[[Watch], None], device: str, rounds: int) -> list[dict[str, float]]:
    """Seconds by part of so many rounds, after one to warm up."""
    watches = [Watch(device) for _ in range(rounds + 1)]
    for watch in watches:
        once(watch)
    return [watch.seconds for watch in watches[1:]]


def matched(
    load: Callable[[], ShapePair], backbone: Callable[..., Any], solver: Callable[..., Match], watch: Watch
) -> tuple[ShapePair, Match]:
    """A pair and its match, each part on the watch. On a GPU the solver's parts are those of its launches."""
    with watch.part("loading"):
        pair = load()
    with watch.part("features"):
        feats = [backbone(shape) for shape in (pair.shape1, pair.shape2)]
    with listening(StageClock()) as clock:
        match = solver(*feats, pair.shape1.basis, pair.shape2.basis)
    watch.stages(clock.stages)
    return pair, match


def step_parts(cfg: Any, load: Callable[[], ShapePair], device: str, rounds: int) -> list[dict[str, float]]:
    """Seconds by part of so many training steps."""
    torch.manual_seed(0)
    backbone, solver, terms = instantiate(cfg.backbone).to(device), instantiate(cfg.solver), instantiate(cfg.loss)
    optimizer = torch.optim.Adam(backbone.parameters())

    def step(watch: Watch) -> None:
        pair, match = matched(load, backbone, solver, watch)
        with watch.part("losses"):
            loss = torch.stack([term(match, pair) for term in terms.values()]).sum()
        with watch.part("backward"):
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
        with watch.part("optimiser"):
            optimizer.step()

    return watched(step, device, rounds)


@torch.no_grad()
def pair_parts(cfg: Any, load: Callable[[], ShapePair], device: str, rounds: int) -> list[dict[str, float]]:
    """Seconds by part of so many pairs of an evaluation whose shapes are met for the first time."""
    torch.manual_seed(0)
    backbone, solver = instantiate(cfg.backbone).to(device).eval(), instantiate(cfg.solver)

    def evaluate(watch: Watch) -> None:
        _, match = matched(load, backbone, solver, watch)
        with watch.part("nearest neighbours"):
            match.p2p21  # noqa: B018 - found when it is first read

    return watched(evaluate, device, rounds)


def rows_of(work: str, n: int, device: str, found: Sequence[dict[str, float]]) -> list[Row]:
    """A row for each part in their order, and one for the whole."""
    whole = statistics.median(sum(seconds.values()) for seconds in found)
    rows = [Row(work, {"vertices": n}, "all of it", device, whole, rounds=len(found), ours=True)]
    for name in found[0]:
        median = statistics.median(seconds[name] for seconds in found)
        share = {"share": f"{100 * median / whole:.0f} %"}
        rows.append(Row(work, {"vertices": n}, name, device, median, rounds=len(found), ours=True, figures=share))
    return rows


def main(command: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__, conditions=True)
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", help="vertices (default: 2,000 and 5,000)")
    parser.add_argument("--overrides", nargs="+", default=["recipe=fast"], help="of train.py (default: %(default)s)")
    options = start(parser, command)
    report = Report(__file__, options)
    register_resolvers()
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "configs")):
        cfg = compose("train", overrides=[*options.overrides, "paths.output_dir=unused"])
    with tempfile.TemporaryDirectory(prefix="pullback-") as folder:
        for n in options.sizes or (BRIEF_SIZES if options.brief else SIZES):

            def load(n: int = n) -> ShapePair:
                return bodies(n, Path(folder)).to(options.device)

            for work, parts in ((STEP, step_parts), (PAIR, pair_parts)):
                report.add(rows_of(work, n, options.device, parts(cfg, load, options.device, options.rounds)))
    report.finish()


if __name__ == "__main__":
    main()
