"""One training pair of ``recipe=paper`` for the benchmark of that name.

Bodies of many sizes, and the step in a process of its own.
"""

import contextlib
import math
import multiprocessing
import os
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from experiments.benchmarks.conditions import set_threads
from experiments.benchmarks.harness import timed
from hydra import compose, initialize_config_dir
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pullback.data.mesh.io import read_mesh, write_off
from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.geometry.coarsening import coarsen
from pullback.geometry.subdivision import subdivide
from pullback.mapping.softmap import DenseSoftMap
from pullback.runtime.settings import instantiate, register_resolvers
from pullback.solvers.zoomout import DiffZoomOut
from pullback.types import ShapePair, SoftMap

ROOT = Path(__file__).resolve().parents[2]
BODIES = ("human_003", "human_005")  # two people of the embedded data, about 2,000 vertices each
K = 130  # eigenfunctions: what the last of the refinement's maps takes
Step = Callable[[ShapePair], tuple[float, Tensor]]  # pair → loss and gradient


@dataclass(frozen=True)
class Task:
    """A step that a process measures."""

    backend: str
    n: int
    n_steps: int  # of the refinement; with the map between features that makes 1 + n_steps soft maps
    # whether gradients flow through the refinement, or through the map between features only (as the recipe has it)
    through: bool
    device: str
    threads: int
    folder: str  # of the prepared shapes
    made_by: Callable[["Task"], Step] | None = None  # what makes the step; None: `training_step`
    k: int = K  # eigenfunctions that it takes
    memory: int | None = None  # bytes that a CPU process may take; None: nine tenths of what is free when it begins


@dataclass(frozen=True)
class Measured:
    """One step: time, memory, and what proves that backends did the same work."""

    seconds: float
    peak_bytes: int | None
    peak_by: str | None
    loss: float
    gradient: Float[ndarray, " parameters"]  # with respect to all parameters of the network


@dataclass(frozen=True, eq=False)
class PlainDenseMap(DenseSoftMap):
    """The map as one writes it down in PyTorch: distances by matrix product, gradients by autograd.
    The peer called dense.
    """

    def weights(self) -> Float[Tensor, "n2 n1"]:
        return torch.softmax(-((torch.cdist(self.query, self.reference) / self.sigma) ** 2) / 2, dim=1)


class PlainDenseZoomOut(DiffZoomOut):
    """The same refinement with plain dense maps."""

    def initial_map(self, query: Float[Tensor, "n2 c"], reference: Float[Tensor, "n1 c"]) -> SoftMap:
        return PlainDenseMap(query, reference, super().initial_map(query, reference).sigma)

    def refined_map(self, query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> SoftMap:
        return PlainDenseMap(query, reference, super().refined_map(query, reference).sigma)


def bodies(n: int, folder: str | Path, *, k: int = K) -> ShapePair:
    """Two embedded bodies with about n vertices each; prepared once and cached in the folder.

    Simplified first and subdivided then: simplification of a subdivided, hence piecewise flat, surface would leave
    slivers.
    """
    folder, shapes = Path(folder), []
    for name in BODIES:
        path = folder / f"{name}_{n}.off"
        if not path.is_file():
            verts, faces = read_mesh(ROOT / "data" / "humans" / "off" / f"{name}.off")
            levels = max(0, math.ceil(math.log(n / (1.05 * len(verts)), 4)))
            if n / 4**levels < 0.95 * len(verts):
                verts, faces, _ = coarsen(verts, faces, n // 4**levels)
            for _ in range(levels):
                verts, faces = subdivide(verts, faces)
            write_off(path, verts, faces)
        shapes.append(load_shape(path, PreparationSettings(k=k), folder / "cache").shape)
    return ShapePair(*shapes)


def training_step(task: Task) -> Step:
    """Features, 1 + n_steps soft maps, losses and backward, built from the configuration: pair → loss and gradient."""
    kind = (
        f"solver._target_={__name__}.PlainDenseZoomOut" if task.backend == "dense" else f"solver.backend={task.backend}"
    )
    changes = ["recipe=paper", f"solver.n_steps={task.n_steps}", f"loss.consistency.stop_gradient={not task.through}"]
    return step_of(task, [*changes, kind])


def step_of(task: Task, overrides: Sequence[str]) -> Step:
    """A step of ``python train.py`` with these overrides.

    Every step draws the same random numbers, of dropout for one.
    """
    register_resolvers()
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "configs")):
        cfg = compose("train", overrides=[*overrides, "paths.output_dir=unused"])
    torch.manual_seed(0)
    backbone = instantiate(cfg.backbone).to(task.device)
    solver, terms = instantiate(cfg.solver), instantiate(cfg.loss)

    def step(pair: ShapePair) -> tuple[float, Tensor]:
        torch.manual_seed(1)
        backbone.zero_grad(set_to_none=True)
        match = solver(backbone(pair.shape1), backbone(pair.shape2), pair.shape1.basis, pair.shape2.basis)
        loss = torch.stack([term(match, pair) for term in terms.values()]).sum()
        loss.backward()
        gradients = [parameter.grad.flatten() for parameter in backbone.parameters() if parameter.grad is not None]
        return loss.item(), torch.cat(gradients)

    return step


class StepProcess:
    """A process that takes steps when it is told to.

    Several can thus be measured in turn, each with memory of its own.
    """

    def __init__(self, task: Task):
        self.task = task
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, task), daemon=True)
        self._process.start()
        theirs.close()

    def wait(self) -> str:
        """Waits until everything is loaded, compiled and prepared. Empty, or in words why there will be no step."""
        return self._answer()

    def step(self) -> Measured | str:
        """One step, or in words why there is none. After a failure the process is gone."""
        with contextlib.suppress(OSError):  # the process is gone: there will be no answer either
            self._connection.send("step")
        return self._answer()

    def _answer(self) -> Measured | str:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            return "the process ended by itself or was killed, perhaps for want of memory"

    def close(self) -> None:
        self._connection.close()
        self._process.join(timeout=10)
        self._process.kill()


def _serve(connection: Connection, task: Task) -> None:
    try:
        set_threads(task.threads)
        step = (task.made_by or training_step)(task)
        step(bodies(WARM_UP, task.folder, k=task.k).to(task.device))  # loads libraries, compiles kernels
        pair = bodies(task.n, task.folder, k=task.k).to(task.device)
        if task.device == "cpu":
            limit_memory(task.memory)
        connection.send("")
        while connection.recv() == "step":
            connection.send(_measured(step, pair, task.device))
    except (MemoryError, RuntimeError, ImportError) as error:
        memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        connection.send(
            f"out of memory at {task.n:,} vertices"
            if memory
            else f"{type(error).__name__}: {str(error).splitlines()[0]}"
        )
    except EOFError:
        return


def _measured(step: Callable[[ShapePair], tuple[float, Tensor]], pair: ShapePair, device: str) -> Measured:
    found = []
    seconds, peak = timed(lambda: found.append(step(pair)), device)
    loss, gradient = found[0]
    return Measured(seconds, peak.bytes, peak.method, loss, gradient.cpu().numpy())


WARM_UP = 1000  # vertices


def limit_memory(most: int | None = None, *, share: float = 0.9) -> None:
    """Forbids this process to take more than ``most`` bytes, or a share of the memory that is free now.

    The process fails then, and not the machine.
    """
    free = available()
    if free is not None:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + int(share * free if most is None else most),) * 2)


def available() -> int | None:
    """Bytes of memory that could be used without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
