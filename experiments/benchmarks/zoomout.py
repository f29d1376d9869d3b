"""ZoomOut from 30 to 130 eigenfunctions: pyFM (PyPI ``pyfmaps``) and ours, hard, sampled and differentiable.

    python -m experiments.benchmarks.zoomout                 5,000 vertices with pyFM, 20,000 without
    python -m experiments.benchmarks.zoomout --full          5,000, 50,000 and 100,000 vertices, pyFM everywhere
    python -m experiments.benchmarks.zoomout --device cuda   ours on the GPU beside pyFM on the CPU

Two embedded humans, simplified or subdivided to about as many vertices. All contenders start from the same features:
the points in the basis of shape 2, by a functional map of size 30 from the ground truth, with noise.
"""

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from experiments.benchmarks.conditions import arguments, start
from experiments.benchmarks.harness import Contender, Report, compare
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from pullback.data.mesh.io import read_mesh, read_vts, write_off
from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.geometry.coarsening import coarsen, nearest_vertices
from pullback.geometry.subdivision import subdivide
from pullback.losses import orthogonality
from pullback.mapping.fmap import spectral_embeddings
from pullback.solvers.sampled_zoomout import SampledZoomOut
from pullback.solvers.zoomout import DiffZoomOut, Refinement, ZoomOut
from pullback.types import Shape

HUMANS = Path(__file__).resolve().parents[2] / "data" / "humans"
BODIES = ("human_003", "human_005")  # two people
SIZES = {False: (5_000, 20_000), True: (5_000, 50_000, 100_000)}
# vertices up to which the eigenbasis is the exact one (ZoomOut does not care), pyFM takes seconds, and rounds are many
SMALL = 10_000
K, K_INIT, STEP = 130, 30, 10
NOISE = 0.02  # of the entries of the first functional map


@dataclass(frozen=True)
class Problem:
    """Two shapes and a start."""

    shape1: Shape
    shape2: Shape
    feat1: Float[Tensor, "n1 k"]
    feat2: Float[Tensor, "n2 k"]

    def to(self, *args) -> "Problem":
        return Problem(*(part.to(*args) for part in (self.shape1, self.shape2, self.feat1, self.feat2)))


@dataclass(frozen=True)
class Found:
    """A map, where its images lie on shape 1, and whether it has to be the same as pyFM's."""

    fmap12: Float[Tensor, "k k"]
    p2p21: Int[Tensor, " n2"]
    places: Float[Tensor, "n2 3"]
    exact: bool


def main() -> None:
    parser = arguments(__doc__, conditions=True)
    parser.add_argument("--device", default="cpu", help="of ours (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", help="vertices (default: 5,000 and 20,000)")
    options = start(parser)
    report = Report(__file__, options)
    with tempfile.TemporaryDirectory() as folder:
        for n in options.sizes or SIZES[options.full][: 1 if options.brief else None]:
            problem = problem_of(n, Path(folder))
            small = n <= SMALL
            found = {"pyFM": Contender(lambda p=problem: by_pyfm(p))} if small or options.full else {}
            found |= contenders(problem.to(options.device), double=small and not options.brief)
            report.add(
                compare(
                    f"ZoomOut {K_INIT} → {K}",
                    {"n1": problem.shape1.n, "n2": problem.shape2.n, "sample": len(problem.shape1.basis.sample.points)},
                    found,
                    ours="hard",
                    also_ours=[name for name in found if name not in ("pyFM", "hard")],
                    same=same,
                    rounds=options.rounds if small else 1,
                    device=options.device,
                )
            )
    report.finish()


def contenders(problem: Problem, *, double: bool) -> dict[str, Contender]:
    """All of ours on one problem, where it lies; ``double``: hard ZoomOut in float64 too."""
    sizes = {"k_init": K_INIT, "step": STEP, "n_steps": (K - K_INIT) // STEP}
    in_float64 = problem.to(torch.float64)
    exact = (
        {"hard float64": Contender(lambda: by_solver(ZoomOut(**sizes), in_float64, exact=True), rounds=1)}
        if double
        else {}
    )
    return exact | {
        "hard": Contender(lambda: by_solver(ZoomOut(**sizes), problem, exact=True)),
        "sampled": Contender(lambda: by_solver(SampledZoomOut(**sizes), problem)),
        "differentiable": Contender(lambda: by_solver(DiffZoomOut(**sizes), problem)),
        "differentiable + backward": Contender(lambda: by_solver(DiffZoomOut(**sizes), problem, backward=True)),
        "sampled, soft + backward": Contender(
            lambda: by_solver(SampledZoomOut(**sizes, blur=0.01), problem, backward=True)
        ),
    }


def by_solver(solver: Refinement, problem: Problem, *, exact: bool = False, backward: bool = False) -> Found:
    """One of ours, from features to the point map; the gradient is that of the final map's orthogonality."""
    with torch.set_grad_enabled(backward):
        feats = [feat.detach().requires_grad_(backward) for feat in (problem.feat1, problem.feat2)]
        match = solver(*feats, problem.shape1.basis, problem.shape2.basis)
        if backward:
            orthogonality(match.fmap12).backward()
            assert all(torch.isfinite(feat.grad).all() for feat in feats)
    p2p21 = match.p2p21
    return Found(match.fmap12.detach().cpu(), p2p21.cpu(), problem.shape1.verts[p2p21].cpu(), exact)


def by_pyfm(problem: Problem) -> Found:
    """pyFM in float64, as it works: nearest neighbours of the features, a functional map, ZoomOut with the masses.

    By as many jobs as there are threads.
    """
    from pyFM.refine.zoomout import zoomout_refine
    from pyFM.spectral.convert import p2p_to_FM
    from pyFM.spectral.nearest_neighbor import knn_query

    evecs1, evecs2 = (_double(shape.basis.evecs[:, :K]) for shape in (problem.shape1, problem.shape2))
    mass2 = _double(problem.shape2.basis.mass)
    jobs = torch.get_num_threads()
    first = knn_query(_double(problem.feat1), _double(problem.feat2), n_jobs=jobs)
    start = p2p_to_FM(first, evecs1[:, :K_INIT], evecs2[:, :K_INIT], A2=mass2)
    fmap12, p2p21 = zoomout_refine(
        start, evecs1, evecs2, nit=(K - K_INIT) // STEP, step=STEP, A2=mass2, return_p2p=True, n_jobs=jobs
    )
    p2p21 = torch.from_numpy(np.asarray(p2p21).astype(np.int64))
    return Found(torch.from_numpy(fmap12), p2p21, problem.shape1.verts[p2p21], exact=True)


def same(found: Found, reference: Found) -> None:
    """The exact ones agree except for ties within rounding.

    Approximations send points to within two edges of a mesh of 5,000 vertices.
    """
    apart = (found.places - reference.places).double().norm(dim=1)
    if not (found.exact and reference.exact):
        if apart.mean() > 0.03:
            raise AssertionError(f"points are sent {apart.mean():.3f} apart on average, in units of √area")
        return
    difference = (found.fmap12.double() - reference.fmap12.double()).abs().max()
    # Another neighbour among equals moves the functional map a little; in the same precision there are none.
    bound, share = (1e-9, 1.0) if found.fmap12.dtype == reference.fmap12.dtype == torch.float64 else (1e-3, 0.995)
    equal = (found.p2p21 == reference.p2p21).double().mean()
    if difference > bound or equal < share:
        raise AssertionError(
            f"functional maps differ by {difference:.1e} and {equal:.2%} of the points go to the same vertex"
        )


def problem_of(n: int, folder: Path) -> Problem:
    """The bodies with about n vertices each, prepared, and noisy features that match them."""
    (shape1, corr1), (shape2, corr2) = (_body(name, n, folder) for name in BODIES)
    basis1, basis2 = shape1.basis.first(K_INIT), shape2.basis.first(K_INIT)
    fmap12 = torch.linalg.lstsq(basis2.evecs[corr2], basis1.evecs[corr1]).solution
    fmap12 += NOISE * torch.randn(fmap12.shape, generator=torch.Generator().manual_seed(0))
    feat2, feat1 = spectral_embeddings(fmap12, basis1, basis2)
    return Problem(shape1, shape2, feat1, feat2)


def _body(name: str, n: int, folder: Path) -> tuple[Shape, Int[Tensor, " t"]]:
    verts, faces = read_mesh(HUMANS / "off" / f"{name}.off")
    corr = read_vts(HUMANS / "corres" / f"{name}.vts", n_vertices=len(verts))
    # Simplified first: a subdivided surface is flat in places, where simplification leaves slivers.
    levels = max(0, math.ceil(math.log(n / (1.05 * len(verts)), 4)))
    if n < 0.95 * len(verts) * 4**levels:
        coarse, faces, _ = coarsen(verts, faces, n // 4**levels)
        verts, corr = coarse, nearest_vertices(verts, coarse)[corr]
    for _ in range(levels):
        verts, faces = subdivide(verts, faces)
    path = folder / f"{name}_{n}.off"
    write_off(path, verts, faces)
    basis = "exact" if n <= SMALL else "sampled"
    shape = load_shape(path, PreparationSettings(k=K, basis=basis), folder / "cache").shape
    return replace(shape, basis=replace(shape.basis, evecs=shape.basis.evecs.contiguous())), torch.from_numpy(corr)


def _double(tensor: Tensor) -> Float[ndarray, "*shape"]:
    return tensor.double().numpy()


if __name__ == "__main__":
    main()
