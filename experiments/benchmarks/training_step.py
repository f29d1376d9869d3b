"""Time and peak memory of one training pair against the number of vertices (Magnet & Ovsjanikov 2024, figure 4).

    python -m experiments.benchmarks.training_step [--device cuda] [--full]

A pair of ``recipe=paper``: WKS and DiffusionNet on two bodies, a soft map between features, soft maps of differentiable
ZoomOut, losses, backward. Backends: plain dense PyTorch, KeOps, blocked and, on CUDA, Triton, each in a process of its
own, in turn. Gradients of all parameters must agree before a size is timed (from 6,000 vertices on a CPU: before it is
reported). Writes training_step.json and training_step.png; with --device cuda training_step_cuda.json and .png.

KeOps compiles for minutes before maps of different widths run: on a CPU it takes part in --full only, with 1 + 2 maps
and 1 + 10.
"""

import argparse
import importlib.util
import math
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from experiments.benchmarks.conditions import arguments, start
from experiments.benchmarks.harness import Report, Row
from experiments.benchmarks.training_pair import K, Measured, Step, StepProcess, Task, available, bodies
from experiments.benchmarks.training_plot import save_plot

BRIEF = 2000  # vertices at most in a brief run
OURS = ("blocked", "triton")
TOLERANCE = 1e-3  # of the gradients, relative to their length: single precision through eleven sharp maps


@dataclass(frozen=True)
class Work:
    """A kind of step, the sizes it is measured at and the backends that take part."""

    name: str
    n_steps: int
    through: bool
    sizes: Sequence[int]
    backends: Sequence[str]
    made_by: Callable[[Task], Step] | None = None
    k: int = K


def works(options: argparse.Namespace) -> list[Work]:
    """What is measured on a device."""
    recipe, through = "pair, 1 + 10 maps", "pair, 1 + 10 maps, gradients through all"
    if options.device == "cpu":
        sizes, keops = (1000, 2000, 5000, 8000, 20000), ("keops",) if options.full else ()
        sizes = (*sizes, 32000, 50000) if options.full else sizes
        slow = [
            Work("pair, 1 + 2 maps", 2, False, (1000, 2000), ("dense", "keops", "blocked")),
            # subnormal numbers make dense maps take minutes here
            Work(through, 10, True, (2000, 5000), ("dense", "blocked")),
        ]
        return [Work(recipe, 10, False, sizes, ("dense", *keops, "blocked")), *(slow if options.full else [])]
    sizes = (2000, 5000, 8000, 20000, 50000, *((100000, 200000) if options.full else ()))
    return [
        Work(recipe, 10, False, sizes, ("dense", "keops", "blocked", "triton")),
        Work(through, 10, True, sizes, ("dense", "blocked", "triton")),
    ]


def measure(work: Work, n: int, options: argparse.Namespace, folder: str, expected: Mapping[str, int]) -> list[Row]:
    """A row for each backend. ``expected`` are bytes: a backend that would need more than there is does not begin."""
    pair, device = bodies(n, folder, k=work.k), options.device
    quick = device != "cpu" or n < 6_000
    allowed = allowed_bytes(options) if device == "cpu" else None
    refused = {
        name: missing(name) or too_large(name, n, expected, allowed)
        for name in work.backends
        if name in options.backends
    }
    facts = (work.n_steps, work.through, device, options.threads, folder, work.made_by, work.k, allowed)
    tasks = {name: Task(name, n, *facts) for name, reason in refused.items() if not reason}
    processes = {name: StepProcess(task) for name, task in tasks.items()}
    steps: dict[str, list[Measured]] = {name: [] for name in tasks}
    try:
        refused |= {name: process.wait() for name, process in processes.items()}
        for i in range(1 + options.rounds if quick else 1):
            for name in [
                name for name in tasks if not refused[name] and not (name == "keops" and device == "cpu" and i > 2)
            ]:
                step = processes[name].step()
                if isinstance(step, str):
                    refused[name] = step
                else:
                    steps[name].append(step)
            if i == 0:
                check(work.name, {name: taken[0] for name, taken in steps.items() if taken})
    finally:
        for process in processes.values():
            process.close()
    sizes = {"vertices": round((pair.shape1.n + pair.shape2.n) / 2)}
    rows = [row_of(work.name, sizes, name, device, steps.get(name, [])[quick:], refused[name]) for name in refused]
    return with_ratios(rows)


def check(work: str, first: Mapping[str, Measured]) -> None:
    """Raises AssertionError when gradients differ from those of the first backend."""
    names = list(first)
    for name in names[1:]:
        mine, theirs = (np.asarray(first[each].gradient, dtype=np.float64) for each in (name, names[0]))
        difference = np.linalg.norm(mine - theirs) / np.linalg.norm(theirs)
        if not difference < TOLERANCE:
            raise AssertionError(
                f"{work}: the gradient of {name} differs from that of {names[0]} by {difference:.1e}; nothing is timed"
            )


def row_of(work: str, sizes: Mapping[str, int], name: str, device: str, steps: Sequence[Measured], refused: str) -> Row:
    seconds = [step.seconds for step in steps]
    if refused or not seconds:
        return Row(work, sizes, name, device, None, rounds=0, ours=name in OURS, note=refused or "no step was timed")
    median = statistics.median(seconds)
    return Row(
        work,
        sizes,
        name,
        device,
        seconds=median,
        spread=(max(seconds) - min(seconds)) / median if len(seconds) > 1 else None,
        rounds=len(seconds),
        peak_bytes=max((step.peak_bytes for step in steps if step.peak_bytes is not None), default=None),
        peak_by=steps[0].peak_by,
        ours=name in OURS,
        figures={"loss": steps[0].loss},
    )


def with_ratios(rows: Sequence[Row]) -> list[Row]:
    """The rows, each with its ratio to the fastest peer, if there is one."""
    best = min((row.seconds for row in rows if row.seconds is not None and not row.ours), default=None)
    return [row if row.seconds is None or best is None else replace(row, ratio=best / row.seconds) for row in rows]


def missing(backend: str) -> str:
    """What a backend lacks here; empty where it can run."""
    package = {"keops": "pykeops", "triton": "triton"}.get(backend)
    return f"{package} is not installed" if package is not None and importlib.util.find_spec(package) is None else ""


def too_large(backend: str, n: int, expected: Mapping[str, float], allowed: int | None) -> str:
    """Why a backend is not tried with n vertices.

    What it took at a smaller size, extrapolated, is more bytes than it may take.
    """
    needed = expected.get(backend, 0) * n**2
    if backend != "dense" or allowed is None or needed < allowed:
        return ""
    return (
        f"out of memory at {n:,} vertices: {needed / 1e9:.0f} GB by extrapolation for its matrices alone, "
        f"{allowed / 1e9:.0f} GB allowed"
    )


def allowed_bytes(options: argparse.Namespace) -> int | None:
    """What a process may take: as asked for, else nine tenths of what is free; None where the system does not say."""
    if options.memory is not None:
        return int(options.memory * 2**30)
    free = available()
    return None if free is None else int(0.9 * free)


def options_of(description: str, command: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = arguments(description, conditions=True)
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--backends", nargs="+", default=("dense", "keops", "blocked", "triton"), help="leave some out")
    parser.add_argument("--largest", type=int, help="no size above this number of vertices")
    parser.add_argument("--sizes", type=int, nargs="+", help="these numbers of vertices instead of the usual ones")
    parser.add_argument(
        "--memory", type=float, help="GiB that a process may take on a CPU (default: nine tenths of what is free)"
    )
    return start(parser, command)


def bytes_of_matrices(rows: Sequence[Row]) -> dict[str, float]:
    """What the dense backend took for each pair of vertices: its peak above that of ours, which holds everything else.
    A lower bound.
    """
    peaks = {row.backend: row.peak_bytes for row in rows if row.peak_bytes}
    if not {"dense", "blocked"} <= peaks.keys():
        return {}
    return {"dense": max(peaks["dense"] - peaks["blocked"], 0) / rows[0].sizes["vertices"] ** 2}


def measure_all(all_works: Sequence[Work], options: argparse.Namespace, report: Report) -> None:
    """All sizes of all works, into the report."""
    with tempfile.TemporaryDirectory(prefix="pullback-") as folder:
        for work in all_works:
            expected: dict[str, float] = {}
            most = options.largest or (BRIEF if options.brief else math.inf)
            for n in (size for size in options.sizes or work.sizes if size <= most):
                rows = measure(work, n, options, folder, expected)
                expected |= bytes_of_matrices(rows)
                report.add(rows)
    report.finish()


def main(command: Sequence[str] | None = None) -> None:
    options = options_of(__doc__, command)
    if options.device != "cpu" and options.output is None:
        options.output = Path(__file__).with_name("training_step_cuda.json")
    report = Report(__file__, options)
    measure_all(works(options), options, report)
    print(f"drawn: {save_plot(report.rows, report.path.with_suffix('.png'))}")


if __name__ == "__main__":
    main()
