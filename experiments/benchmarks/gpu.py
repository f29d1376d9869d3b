"""Fifteen minutes on a GPU: values first, then soft maps, searches, ZoomOut, training steps, and a training on FAUST.

    python -m experiments.benchmarks.gpu                     everything; exit code 2 where there is no CUDA device
    python -m experiments.benchmarks.gpu --parts check maps --minutes 5
    python -m experiments.benchmarks.gpu --device cpu --tiny a rehearsal on a CPU (with TRITON_INTERPRET=1 of the
    kernels as well)

The fused Triton kernels against KeOps, blocks and plain dense PyTorch; figures of the paper beside. Every part is a
process of its own with a time limit, and rows are written as they are measured: a part that fails, hangs or breaks the
device leaves a row that says so, and the others go on; so do the contenders of one that disagrees or fails. The
training gets what is left of the minutes; it needs FAUST_r (PULLBACK_DATA_DIR), and takes the embedded bodies where
that is not.
"""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from experiments.benchmarks import training_step, zoomout
from experiments.benchmarks.conditions import arguments, start
from experiments.benchmarks.gpu_maps import maps_and_searches
from experiments.benchmarks.harness import DISAGREES, FAILED, Report, Row, compare

from pullback.files import read_json

ROOT = Path(__file__).resolve().parents[2]
SIZES = (5_000, 20_000, 100_000)
# Table 3 of Magnet & Ovsjanikov 2024, seconds on their GPU by number of vertices: published figures, not measured here.
PAPER = {
    "hard": {5_000: 0.1, 100_000: 2.4},
    "differentiable": {5_000: 0.1, 100_000: 5.0},
    "sampled": {5_000: 0.1, 100_000: 0.4},
}
# Seconds of a training that are not optimisation: preparing 100 scans, testing 190 pairs.
AROUND_TRAINING = 180
TINY_BODY = 300  # vertices of a rehearsal
Run = Callable[[Report, argparse.Namespace], None]


@dataclass(frozen=True)
class Part:
    """A part of the benchmark and the seconds that it may take."""

    run: Run
    seconds: float


def check(report: Report, options: argparse.Namespace) -> None:
    """Values and gradients of every kernel against dense PyTorch, at a small size."""
    maps_and_searches(report, options, (1_000,), lenient=False)


def maps(report: Report, options: argparse.Namespace) -> None:
    """Soft maps forward and backward, nearest neighbours, the largest distance."""
    maps_and_searches(report, options, SIZES)


def keops(report: Report, options: argparse.Namespace) -> None:
    """The same with KeOps, which compiles first: after everything that does not."""
    maps_and_searches(report, options, SIZES, orders=("random",), with_keops=True)


def refinements(report: Report, options: argparse.Namespace) -> None:
    """ZoomOut from 30 to 130 eigenfunctions by the solvers of ``benchmarks.zoomout``, beside the paper's figures."""
    with tempfile.TemporaryDirectory() as folder:
        for n in (1_000,) if options.tiny else PAPER["hard"]:
            problem = zoomout.problem_of(n, Path(folder)).to(options.device)
            runs = zoomout.contenders(problem, double=n <= zoomout.SMALL)  # the reference, if there, is float64
            report.add(
                compare(
                    f"ZoomOut {zoomout.K_INIT} → {zoomout.K}",
                    {"n1": problem.shape1.n, "n2": problem.shape2.n},
                    runs,
                    ours="hard",
                    also_ours=tuple(set(runs) - {"hard"}),
                    same=zoomout.same,
                    rounds=options.rounds,
                    device=options.device,
                    figures={name: {"paper's seconds": seconds[n]} for name, seconds in PAPER.items() if n in seconds},
                    lenient=True,
                )
            )


def step(report: Report, options: argparse.Namespace) -> None:
    """A training step at 5,000 vertices, with gradients through the first map and through all."""
    training_steps(report, options, [TINY_BODY if options.tiny else 5_000], works=2)


def memory(report: Report, options: argparse.Namespace) -> None:
    """Figure 4: time and memory of a training step against the number of vertices."""
    training_steps(report, options, [TINY_BODY] if options.tiny else [2_000, 8_000, 20_000, 50_000], works=1)


def training_steps(report: Report, options: argparse.Namespace, sizes: Sequence[int], *, works: int) -> None:
    """So many of the works of ``benchmarks.training_step``, without KeOps, which compiles for minutes."""
    backends = ("dense", "blocked") if options.device == "cpu" else ("dense", "blocked", "triton")
    facts = {"sizes": sizes, "backends": backends, "largest": None, "memory": None, "brief": False}
    own = argparse.Namespace(**{**vars(options), **facts})
    training_step.measure_all(training_step.works(own)[:works], own, report)


def train(report: Report, options: argparse.Namespace) -> None:
    """``experiment=faust recipe=fast`` until the time is over, tested on FAUST; a row with seconds and errors."""
    experiment, output = experiment_here(), report.path.with_name(f"{report.path.stem}_training")
    command = ["train.py", *training_command(experiment, options, output)]
    begun = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
    spent = time.perf_counter() - begun
    results = read_json(output / "metrics.json")["results"]
    errors = {f"error on {entry['dataset']}": entry["metrics"]["geodesic_error_x100"] for entry in results}
    row = Row("training and test", {"experiment": experiment}, "recipe fast", options.device, spent)
    report.add([replace(row, ours=True, figures=errors)])


def experiment_here() -> str:
    """``faust`` where the scans are, else the embedded bodies."""
    faust = Path(os.environ.get("PULLBACK_DATA_DIR", ROOT / "data")) / "FAUST_r"
    return "faust" if faust.is_dir() else "quickstart"


def training_command(experiment: str, options: argparse.Namespace, output: Path) -> list[str]:
    """What ``train.py`` is asked for."""
    steps = time.strftime("00:%H:%M:%S", time.gmtime(max(60, options.minutes * 60 - AROUND_TRAINING)))
    tiny = [
        "trainer.max_steps=2",
        "trainer.val_check_interval=2",
        "data.test_pairs=1",
        "data.val_pairs=1",
        "data.k=130",
    ]
    return [
        f"experiment={experiment}",
        "recipe=fast",
        f"dataset@test=[{'faust' if experiment == 'faust' else 'humans'}]",
        f"trainer={'cpu' if options.device == 'cpu' else 'gpu'}",
        f"trainer.max_time='{steps}'",
        f"hydra.run.dir={output}",
        *(["run=[match,score]", *tiny] if options.tiny else []),
    ]


PARTS = {
    "check": Part(check, 100),
    "maps": Part(maps, 150),
    "zoomout": Part(refinements, 180),
    "step": Part(step, 100),
    "memory": Part(memory, 150),
    "keops": Part(keops, 150),
    "training": Part(train, float("inf")),
}


def main(command: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--device", default="cuda", help="where the maps are computed (default: %(default)s)")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal with a few points")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to run (default: all)")
    parser.add_argument("--minutes", type=float, default=14, help="for all parts together (default: %(default)s)")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    options = start(parser, command)
    if torch.device(options.device).type == "cuda" and not torch.cuda.is_available():
        print(
            "this benchmark needs a CUDA device, and PyTorch sees none (--device cpu --tiny rehearses it)",
            file=sys.stderr,
        )
        sys.exit(2)
    if options.part:
        report = Report(__file__, options)
        before = len(report.rows)
        PARTS[options.parts[0]].run(report, options)
        sys.exit(int(any(row.note.startswith((FAILED, DISAGREES)) for row in report.rows[before:])))
    else:
        sys.exit(run_parts(options, sys.argv[1:] if command is None else command))


def run_parts(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Each part in a process of its own while there is time. The exit code: 1 where one failed."""
    whole, begun, failed = shlex.join(["python", "-m", "experiments.benchmarks.gpu", *command]), time.monotonic(), False
    Report(__file__, options).path.unlink(missing_ok=True)  # of an earlier run: rows of two do not mix
    for i, name in enumerate(options.parts):
        left = options.minutes * 60 - (time.monotonic() - begun)
        own = ["--parts", name, "--minutes", f"{max(left, 0) / 60:.2f}", "--part", str(i), whole]
        wrong = "no time was left" if left <= 0 else outcome([*command, *own], min(PARTS[name].seconds, left))
        options.part = [str(i + 1), whole]
        report = Report(__file__, options)
        if wrong:
            failed = True
            report.add([Row(f"part {name}", {}, "–", options.device, None, rounds=0, note=wrong)])
    report.finish()
    return int(failed)


def outcome(command: Sequence[str], seconds: float) -> str:
    """Runs this script; in words what went wrong, or nothing. Whatever it started ends with it."""
    process = subprocess.Popen([sys.executable, "-m", "experiments.benchmarks.gpu", *command], start_new_session=True)
    try:
        code = process.wait(timeout=seconds)
        return "" if code == 0 else f"failed with exit code {code}; its rows stand"
    except subprocess.TimeoutExpired:
        return f"stopped after {seconds:.0f} s; the rows before it stand"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    main()
