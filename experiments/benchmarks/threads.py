"""One thread and two, on a quiet machine and beside busy processes; two also where OpenMP's threads wait asleep.

    python -m experiments.benchmarks.threads                 about five minutes on two quiet cores
    python -m experiments.benchmarks.threads --only "soft map" nearest --rounds 1

Each kind of threads is a process of its own, which gets its environment before it loads PyTorch; they take turns. Then
the same beside ``--busy`` processes of one thread each, which end with this one whatever happens. Two human bodies of
5,000 vertices, 130 columns; a step of training is that of the quickstart, on 2,000. Results must agree between all
kinds. "passive" stands for OMP_WAIT_POLICY=passive and GOMP_SPINCOUNT=0. Columns: ``speed-up`` over one thread beside
as many processes; ``slowdown`` against the same threads when quiet.
"""

import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import numpy as np
import torch
from experiments.benchmarks.conditions import arguments, busy, set_threads, start
from experiments.benchmarks.harness import Report, Row
from experiments.benchmarks.spectra import human
from experiments.benchmarks.spectral_embeddings import embeddings
from experiments.benchmarks.training_pair import Task, bodies, step_of
from torch import Tensor

from pullback.mapping import nearest, precise_map
from pullback.mapping.distances import largest_distance
from pullback.mapping.softmap_blocked import BlockedSoftMap
from pullback.solvers.zoomout import ZoomOut

MAPS = ("soft map", "soft map + backward", "nearest", "largest distance")
SHAPES = ("precise map", "ZoomOut", "spectrum")
STEPS = ("training step",)
N, K = 5_000, 130
N_TRAINING = 2_000
PASSIVE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
# A work that has taken so many seconds in one kind and state is not repeated.
ENOUGH = 20.0
TOLERANCE = 1e-3  # of the mean magnitude of results
Run = Callable[[], Tensor | float]


@dataclass(frozen=True)
class Kind:
    """A number of threads and what the environment says of their waiting."""

    name: str
    threads: int
    environment: Mapping[str, str]


def works(folder: str, threads: int, chosen: Sequence[str]) -> dict[str, Run]:
    """What is timed, by name; each gives a tensor or a number to compare."""
    found: dict[str, Run] = {}
    if set(chosen) & set(MAPS):
        found |= map_works()
    if set(chosen) & set(SHAPES):
        found |= shape_works(folder)
    if set(chosen) & set(STEPS):
        pair = bodies(N_TRAINING, folder, k=K)
        step = step_of(Task("blocked", N_TRAINING, 10, False, "cpu", threads, folder), ["experiment=quickstart"])
        found[STEPS[0]] = lambda: step(pair)[0]
    return {name: found[name] for name in chosen}


def map_works() -> dict[str, Run]:
    """Maps between two spectral embeddings."""
    query, reference = embeddings(N, K)
    values = torch.randn(N, K, generator=torch.Generator().manual_seed(0))
    sigma = 0.01 * largest_distance(query, reference)

    def forward() -> Tensor:
        return BlockedSoftMap(query, reference, sigma).pull_back(values)

    def backward() -> Tensor:
        inputs = [x.detach().requires_grad_() for x in (query, reference, values)]
        carried = BlockedSoftMap(*inputs[:2], sigma).pull_back(inputs[2])
        return torch.cat(torch.autograd.grad((carried * values).sum(), inputs))

    search, largest = lambda: nearest(query, reference), lambda: largest_distance(query, reference)
    return dict(zip(MAPS, (forward, backward, search, largest), strict=True))


def shape_works(folder: str) -> dict[str, Run]:
    """A map into triangles, ZoomOut from positions, and a spectrum."""
    pair, problem = bodies(N, folder, k=K), human(N, K)
    shape1, shape2 = pair.shape1, pair.shape2
    reference = shape1.basis.first(50).evecs
    query = reference + 0.05 * torch.randn(reference.shape, generator=torch.Generator().manual_seed(0))
    zoomout = ZoomOut(k_init=30, step=10, n_steps=10)
    runs: tuple[Run, ...] = (
        lambda: precise_map(query, reference, shape1.faces).pull_back(reference),
        lambda: zoomout(shape1.verts, shape2.verts, shape1.basis, shape2.basis).fmap12,
        lambda: torch.from_numpy(np.asarray(problem.ours().evals)),
    )
    return dict(zip(SHAPES, runs, strict=True))


class Measuring:
    """A process with threads of one kind that does a work when it is told to."""

    def __init__(self, kind: Kind, folder: str, chosen: Sequence[str]):
        self.kind = kind
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, kind.threads, folder, chosen), daemon=True)
        with environment({**kind.environment, "OMP_NUM_THREADS": str(kind.threads)}):
            self._process.start()
        theirs.close()

    def wait(self) -> None:
        """Until everything has run once."""
        self._connection.recv()

    def run(self, name: str) -> tuple[float, float]:
        """Seconds, and the mean magnitude of the result."""
        self._connection.send(name)
        return self._connection.recv()

    def close(self) -> None:
        self._connection.close()
        self._process.join(timeout=5)
        self._process.kill()


@contextlib.contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Variables that a process started inside begins with."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def serve(connection: Connection, threads: int, folder: str, chosen: Sequence[str]) -> None:
    """The other end of ``Measuring``."""
    set_threads(threads)
    runs = works(folder, threads, chosen)
    for run in runs.values():
        run()
    connection.send("ready")
    with contextlib.suppress(EOFError):
        while True:
            run = runs[connection.recv()]
            before = time.perf_counter()
            result = run()
            connection.send((time.perf_counter() - before, float(torch.as_tensor(result).double().abs().mean())))


def measure(work: str, processes: list[Measuring], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round by kind, in turn. Raises AssertionError where results differ."""
    seconds: dict[str, list[float]] = {process.kind.name: [] for process in processes}
    first: float | None = None
    for _ in range(rounds):
        for process in processes:
            mine = seconds[process.kind.name]
            if sum(mine) < ENOUGH:
                spent, result = process.run(work)
                mine.append(spent)
                first = result if first is None else first
                if not abs(result - first) <= TOLERANCE * abs(first):
                    raise AssertionError(f"{work}: {process.kind.name} gives {result}, not {first}")
    return seconds


def rows_of(
    work: str, n_busy: int, seconds: Mapping[str, list[float]], quiet: Mapping[tuple[str, str], float]
) -> list[Row]:
    """A row for each kind; ``quiet`` holds the medians of work and kind on the quiet machine, once they are known."""
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    rows = []
    for kind, median in medians.items():
        spread = (max(seconds[kind]) - min(seconds[kind])) / median if len(seconds[kind]) > 1 else None
        figures = {"speed-up": next(iter(medians.values())) / median}
        if (work, kind) in quiet:
            figures["slowdown"] = median / quiet[work, kind]
        row = Row(work, {"busy processes": n_busy}, kind, "cpu", median, spread, len(seconds[kind]), ours=True)
        rows.append(replace(row, figures=figures, threads=int(kind.split()[0]), busy=n_busy))
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--busy", type=int, default=4, help="processes that compute beside (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=(*MAPS, *SHAPES, *STEPS), help="these works and no others")
    options = start(parser)
    chosen = options.only or (*MAPS, *SHAPES, *STEPS)
    several = max(2, options.threads)
    kinds = [
        Kind("1 thread", 1, {}),
        Kind(f"{several} threads", several, {}),
        Kind(f"{several} threads, passive", several, PASSIVE),
    ]
    report, quiet = Report(__file__, options), dict[tuple[str, str], float]()
    with tempfile.TemporaryDirectory(prefix="pullback-") as folder:
        for n in (N, N_TRAINING) if set(chosen) - set(MAPS) else ():
            bodies(n, folder, k=K)  # prepared once, for all processes
        processes = [Measuring(kind, folder, chosen) for kind in kinds]
        try:
            for process in processes:
                process.wait()
            for n_busy in (0, options.busy):
                with busy(n_busy):
                    for name in chosen:
                        report.add(rows := rows_of(name, n_busy, measure(name, processes, options.rounds), quiet))
                        if n_busy == 0:
                            quiet |= {(row.work, row.backend): row.seconds for row in rows}
        finally:
            for process in processes:
                process.close()
    report.finish()


if __name__ == "__main__":
    main()
