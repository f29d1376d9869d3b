"""Time and peak memory of one training pair of a two-branch network (Cao et al. 2023).

Against the number of vertices, up to 50,000.

    python -m experiments.benchmarks.two_branch [--full] [--memory 16] [--device cuda]

A pair of ``method=ulrssm``: features of two bodies, regularised functional maps of 200 eigenfunctions and soft maps of
the same features, both ways, losses, backward. Dense is the soft map as that method writes it, ``softmax(cosine /
0.07)`` of all pairs of vertices, in plain PyTorch; blocked (on CUDA also Triton) is ours, the same numbers without the
matrix. Each runs in a process of its own; gradients of all parameters must agree before a size is timed (from 6,000
vertices on a CPU: before it is reported). What would not fit into the memory is not tried, and the row says how much it
would take. Writes two_branch.json and two_branch.png, with --device cuda two_branch_cuda.*.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from experiments.benchmarks.harness import Report
from experiments.benchmarks.training_pair import Step, Task, step_of
from experiments.benchmarks.training_plot import save_plot
from experiments.benchmarks.training_step import Work, measure_all, options_of
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.softmap import DenseSoftMap
from pullback.solvers.two_branch import TwoBranch
from pullback.types import SoftMap

K = 200  # eigenfunctions of the functional maps
WORK = "pair, two branches both ways"


@dataclass(frozen=True, eq=False)
class PlainCosineMap(DenseSoftMap):
    """The soft map of unit rows as the method's authors define it; σ² is their temperature."""

    def weights(self) -> Float[Tensor, "n2 n1"]:
        return torch.softmax(self.query @ self.reference.T / self.sigma**2, dim=1)


class PlainDenseTwoBranch(TwoBranch):
    """The same network with plain dense maps."""

    def initial_map(self, query: Float[Tensor, "n2 c"], reference: Float[Tensor, "n1 c"]) -> SoftMap:
        return PlainCosineMap(query, reference, super().initial_map(query, reference).sigma)


def two_branch_step(task: Task) -> Step:
    """A step of ``method=ulrssm``."""
    kind = "solver._target_=experiments.benchmarks.two_branch.PlainDenseTwoBranch"
    return step_of(
        task,
        ["method=ulrssm", f"solver.k={task.k}", kind if task.backend == "dense" else f"solver.backend={task.backend}"],
    )


def works(options: argparse.Namespace) -> list[Work]:
    """What is measured on a device."""
    sizes = (2000, 5000, 10000, 20000, 50000) if options.full or options.device != "cpu" else (2000, 5000, 10000)
    return [
        Work(
            WORK,
            0,
            True,
            sizes,
            ("dense", "blocked", *(() if options.device == "cpu" else ("triton",))),
            two_branch_step,
            K,
        )
    ]


def main(command: Sequence[str] | None = None) -> None:
    options = options_of(__doc__, command)
    if options.device != "cpu" and options.output is None:
        options.output = Path(__file__).with_name("two_branch_cuda.json")
    report = Report(__file__, options)
    measure_all(works(options), options, report)
    print(f"drawn: {save_plot(report.rows, report.path.with_suffix('.png'))}")


if __name__ == "__main__":
    main()
