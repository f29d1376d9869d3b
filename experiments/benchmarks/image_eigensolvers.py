"""How exact and how fast the three eigensolvers are on patch graphs: writes image_eigensolvers.json beside this file, prints a table.

    python experiments/benchmarks/image_eigensolvers.py

The reference is the dense solver in float64. "subspace" is the largest sine of an angle between the found space and the
reference's, for all k functions and for the first half: what a functional map feels, whatever happens inside repeated eigenvalues.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from pullback.geometry.eigenbasis import eigen_residual, solve_eigenproblem
from pullback.geometry.grid import grid_laplacian

OUTPUT = Path(__file__).with_suffix(".json")


def smooth_features(grid: tuple[int, int], channels: int = 64, cell: int = 4) -> torch.Tensor:
    """Seeded features (n, channels) of a photograph-like graph: a smooth part with edges of ``cell`` patches, and a little noise."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, channels, -(-grid[0] // cell), -(-grid[1] // cell), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=grid, mode="bicubic")[0].flatten(1).T
    return smooth + 0.1 * torch.randn(smooth.shape, generator=generator)


def subspace_error(evecs: np.ndarray, reference: np.ndarray) -> float:
    """The largest sine of an angle between two spaces of the same size, both orthonormalised."""
    outside = np.linalg.qr(evecs)[0]
    outside = outside - reference @ (reference.T @ outside)
    return float(np.linalg.norm(outside, 2))


def measure(grid: tuple[int, int], weights: str, k: int) -> list[dict]:
    n = grid[0] * grid[1]
    laplacian, mass = grid_laplacian(smooth_features(grid), grid, weights=weights), np.ones(n)
    rows, exact = [], None
    for solver in ("eigh", "eigsh", "lobpcg"):
        start = time.perf_counter()
        evals, evecs = solve_eigenproblem(laplacian, mass, k=k, solver=solver)
        seconds = time.perf_counter() - start
        exact = exact or (evals, evecs)
        rows.append(
            {
                "grid": list(grid),
                "weights": weights,
                "k": k,
                "solver": solver,
                "seconds": round(seconds, 2),
                "eval_error": float(np.abs(evals - exact[0]).max()),
                "residual": eigen_residual(laplacian, mass, evals, evecs),
                "orthonormality": float(np.abs(evecs.T @ evecs - np.eye(k)).max()),
                "subspace": subspace_error(evecs, exact[1]),
                "subspace_half": subspace_error(evecs[:, : k // 2], exact[1][:, : k // 2]),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=int, nargs=2, default=(60, 60), help="rows and columns of patches")
    parser.add_argument("--k", type=int, default=200, help="eigenfunctions")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch; BLAS has one inside the solvers")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with threadpool_limits(limits=1):
        rows = [row for weights in ("uniform", "exponential", "release") for row in measure(tuple(args.grid), weights, args.k)]
    result = {"machine": {"processor": platform.machine(), "threads": args.threads, "torch": torch.__version__}, "rows": rows}
    OUTPUT.write_text(json.dumps(result, indent=2) + "\n")
    columns = ("eval_error", "residual", "orthonormality", "subspace", "subspace_half")
    print("| weights | solver | seconds | " + " | ".join(columns) + " |\n|" + "---|" * (3 + len(columns)))
    for row in rows:
        figures = " | ".join(f"{row[column]:.1e}" for column in columns)
        print(f"| {row['weights']} | {row['solver']} | {row['seconds']:.2f} | {figures} |")


if __name__ == "__main__":
    main()
