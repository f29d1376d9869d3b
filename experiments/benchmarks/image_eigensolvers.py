"""How exact and how fast the eigensolvers are on patch graphs, block Lanczos (the default) and its peers.

    python -m experiments.benchmarks.image_eigensolvers

The reference is the dense solver in float64. "subspace" is the largest sine of an angle between the found space and the
reference's, for all k functions and for the first half: what a functional map feels, whatever happens inside repeated
eigenvalues. BLAS has one thread inside of all but block Lanczos.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from experiments.benchmarks.conditions import arguments, start
from experiments.benchmarks.harness import Contender, Report, Row, compare
from threadpoolctl import threadpool_limits

from pullback.geometry.eigenbasis import eigen_residual, solve_eigenproblem
from pullback.geometry.grid import grid_laplacian

SOLVERS = ("eigh", "lanczos", "eigsh", "lobpcg")
Pairs = tuple[np.ndarray, np.ndarray]  # eigenvalues, eigenvectors


def smooth_features(grid: tuple[int, int], channels: int = 64, cell: int = 4) -> torch.Tensor:
    """Seeded features (n, channels) of a photograph-like graph.

    A smooth part with edges of ``cell`` patches, and a little noise.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, channels, -(-grid[0] // cell), -(-grid[1] // cell), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=grid, mode="bicubic")[0].flatten(1).T
    return smooth + 0.1 * torch.randn(smooth.shape, generator=generator)


def subspace_error(evecs: np.ndarray, reference: np.ndarray) -> float:
    """The largest sine of an angle between two spaces of the same size, both orthonormalised."""
    outside = np.linalg.qr(evecs)[0]
    outside = outside - reference @ (reference.T @ outside)
    return float(np.linalg.norm(outside, 2))


def same_eigenvalues(result: Pairs, expected: Pairs) -> None:
    np.testing.assert_allclose(result[0], expected[0], atol=1e-3)


def measure(grid: tuple[int, int], weights: str, k: int, rounds: int) -> list[Row]:
    """A row for each solver on one kind of graph, with its errors."""
    n = grid[0] * grid[1]
    laplacian, mass = grid_laplacian(smooth_features(grid), grid, weights=weights), np.ones(n)
    found: dict[str, Pairs] = {}

    def solve(solver: str) -> Pairs:
        found[solver] = solve_eigenproblem(laplacian, mass, k=k, solver=solver)
        return found[solver]

    contenders = {
        name: Contender(lambda name=name: solve(name), rounds=1 if name == "eigh" else rounds) for name in SOLVERS
    }
    sizes = {"grid": f"{grid[0]} × {grid[1]}", "k": k}
    rows = compare(f"{weights} weights", sizes, contenders, ours="lanczos", same=same_eigenvalues)
    exact = found["eigh"]

    def errors(evals: np.ndarray, evecs: np.ndarray) -> dict[str, float]:
        return {
            "eval_error": float(np.abs(evals - exact[0]).max()),
            "residual": eigen_residual(laplacian, mass, evals, evecs),
            "orthonormality": float(np.abs(evecs.T @ evecs - np.eye(k)).max()),
            "subspace": subspace_error(evecs, exact[1]),
            "subspace_half": subspace_error(evecs[:, : k // 2], exact[1][:, : k // 2]),
        }

    return [replace(row, figures=errors(*found[row.backend])) for row in rows]


def main(command: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--grid", type=int, nargs=2, default=(60, 60), help="rows and columns of patches")
    parser.add_argument("--k", type=int, default=200, help="eigenfunctions")
    options = start(parser, command)
    report = Report(__file__, options)
    with threadpool_limits(limits=1):
        for weights in ("uniform", "exponential", "release"):
            report.add(measure(tuple(options.grid), weights, options.k, options.rounds))
    report.finish()


if __name__ == "__main__":
    main()
