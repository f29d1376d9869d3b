"""The 200 smallest eigenpairs of the cotangent Laplacian: ours against shift-invert ARPACK.

ARPACK as scipy has it, called with its defaults. Both have one thread, whatever ``--threads`` says: ours takes no more,
and ARPACK is slower with more.

    python -m experiments.benchmarks.spectra                 5,000 to 200,000 vertices; about six minutes
    python -m experiments.benchmarks.spectra --full          a million vertices too, of which ours only (scipy: half an
    hour and more)
    python -m experiments.benchmarks.spectra --sizes 5000 --k 100

An embedded human, simplified and subdivided to about as many vertices, and a real scan of SHREC'19 where
PULLBACK_DATA_DIR is set. The residual is relative to the largest eigenvalue; the angle is that between the spaces of
eigenfunctions, up to the widest gap in the upper half of the spectrum. Beyond 20,000 vertices everything runs once, and
a disagreement is found after the run instead of before.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg
from experiments.benchmarks.conditions import arguments, set_threads, start
from experiments.benchmarks.harness import Report, Row, compare, timed
from jaxtyping import Float
from numpy import ndarray
from threadpoolctl import threadpool_limits

from pullback.data.mesh.io import read_mesh
from pullback.geometry.coarsening import coarsen
from pullback.geometry.eigenbasis import accuracy, solve_eigenproblem
from pullback.geometry.mesh import cotangent_stiffness, lumped_mass, normalise_area
from pullback.geometry.subdivision import subdivide

HUMAN = Path(__file__).resolve().parents[2] / "data" / "humans" / "off" / "human_000.off"
SHREC19 = Path(os.environ.get("PULLBACK_DATA_DIR", "data")) / "SHREC19_subset" / "off" / "28.off"
SIZES = {False: (5_000, 20_000, 50_000, 200_000), True: (5_000, 20_000, 50_000, 200_000, 1_000_000)}
REPEATED, PEER_UP_TO = 20_000, 300_000  # vertices
OURS, PEER = "block Lanczos", "scipy eigsh"


@dataclass(frozen=True)
class Problem:
    """The generalised eigenproblem of a mesh of area 1, and what its solutions were like."""

    name: str
    stiffness: sp.csr_matrix
    mass: Float[ndarray, " n"]
    k: int
    figures: dict[str, dict[str, float | str]] = field(default_factory=dict)

    def ours(self) -> "Solution":
        return Solution(OURS, *solve_eigenproblem(self.stiffness, self.mass, k=self.k, solver="lanczos"))

    def peer(self) -> "Solution":
        with threadpool_limits(limits=1, user_api="blas"):  # more of them make ARPACK slower
            mass = sp.diags(self.mass).tocsc()
            return Solution(PEER, *scipy.sparse.linalg.eigsh(self.stiffness.tocsc(), k=self.k, M=mass, sigma=-1e-2))


@dataclass(frozen=True)
class Solution:
    solver: str
    evals: Float[ndarray, " k"]
    evecs: Float[ndarray, "n k"]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--k", type=int, default=200, help="eigenfunctions (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", help="vertices of the human (default: 5,000 to 200,000)")
    options = start(parser)
    set_threads(1)
    report = Report(__file__, options)
    for make in problems(options.sizes or SIZES[options.full], options.k):
        report.add(measured(make(), options.rounds))
    report.finish()


def problems(sizes: list[int] | tuple[int, ...], k: int) -> list[Callable[[], Problem]]:
    """One function for each problem, because all at once would fill the memory."""
    makers = [lambda n=n: human(n, k) for n in sizes]
    if SHREC19.is_file():
        makers.insert(1, lambda: problem_of("SHREC'19 28", *read_mesh(SHREC19)[:2], k))
    return makers


def human(n: int, k: int) -> Problem:
    """An embedded human with about n vertices."""
    verts, faces = read_mesh(HUMAN)[:2]
    levels = max(0, math.ceil(math.log(n / (1.05 * len(verts)), 4)))
    # first, for a subdivided surface is flat in places and simplifies to slivers
    verts, faces, _ = coarsen(verts, faces, n // 4**levels)
    for _ in range(levels):
        verts, faces = subdivide(verts, faces)
    return problem_of("human", verts, faces, k)


def problem_of(name: str, verts: Float[ndarray, "n 3"], faces: ndarray, k: int) -> Problem:
    verts = normalise_area(np.asarray(verts, dtype=np.float64), faces)
    mass = lumped_mass(verts, faces)
    mass += 1e-8 * mass.mean()
    return Problem(name, cotangent_stiffness(verts, faces), mass / mass.sum(), k)


def measured(problem: Problem, rounds: int) -> list[Row]:
    n = len(problem.mass)
    sizes = {"n": n, "k": problem.k, "mesh": problem.name}

    def same(solution: Solution, reference: Solution) -> None:
        describe(problem, reference)
        describe(problem, solution, reference)

    if n <= REPEATED:
        runs = {PEER: problem.peer, OURS: problem.ours}
        return compare("eigenpairs", sizes, runs, ours=OURS, same=same, rounds=rounds, figures=problem.figures)
    runs, rows, solutions = {OURS: problem.ours} | ({PEER: problem.peer} if n <= PEER_UP_TO else {}), [], {}
    for name, run in runs.items():
        seconds, peak = timed(lambda name=name, run=run: solutions.update({name: run()}))
        figures = problem.figures.setdefault(name, {})
        rows.append(
            Row(
                "eigenpairs",
                sizes,
                name,
                "cpu",
                seconds,
                peak_bytes=peak.bytes,
                peak_by=peak.method,
                ours=name == OURS,
                figures=figures,
            )
        )
    if PEER in solutions:
        same(solutions[OURS], solutions[PEER])
        return [Row(**{**vars(row), "ratio": rows[-1].seconds / row.seconds}) for row in rows]
    describe(problem, solutions[OURS])
    return rows


def describe(problem: Problem, solution: Solution, reference: Solution | None = None) -> None:
    """Notes how accurate a solution is; raises AssertionError where it is another one than the reference."""
    reached = accuracy(problem.stiffness, problem.mass, solution.evals, solution.evecs)
    figures = problem.figures.setdefault(solution.solver, {})
    figures |= {"residual": f"{reached.residual:.0e}", "orthogonality": f"{reached.orthogonality:.0e}"}
    if reference is not None:
        apart = float(np.abs(solution.evals - reference.evals).max() / reference.evals[-1])
        between = angle(problem.mass, solution, reference)
        figures |= {"eigenvalues apart": f"{apart:.0e}", "angle": f"{between:.0e}"}
        assert apart <= 1e-8, f"the eigenvalues are {apart:.1e} apart, of the largest"
        assert between <= 1e-4, f"the eigenspaces are {between:.1e} radians apart"


def angle(mass: Float[ndarray, " n"], one: Solution, other: Solution) -> float:
    """The largest angle between the spans of the first eigenfunctions, in radians (small ones: a sine serves)."""
    half = len(one.evals) // 2
    few = half + 1 + int(np.diff(other.evals[half:]).argmax())
    basis = other.evecs[:, :few]
    gram = np.zeros((few, few))
    inside = basis.T @ (mass[:, None] * one.evecs[:, :few])
    for rows in np.array_split(np.arange(len(mass)), max(1, len(mass) // 20_000)):
        outside = one.evecs[rows, :few] - basis[rows] @ inside
        gram += outside.T @ (mass[rows, None] * outside)
    return float(np.sqrt(np.linalg.eigvalsh(gram)[-1]))


if __name__ == "__main__":
    main()
