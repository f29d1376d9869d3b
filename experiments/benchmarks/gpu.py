"""Soft maps, searches, ZoomOut and training steps on a GPU.

The fused Triton kernels against KeOps, blocks and plain dense PyTorch.

    python -m experiments.benchmarks.gpu                     5,000 to 100,000 points; exit code 2 where there is no CUDA
    device python -m experiments.benchmarks.gpu --device cpu --tiny a rehearsal on a CPU (with TRITON_INTERPRET=1 of the
    kernels as well)

Rows of soft maps say how much of the device's matrix product they reach: arithmetic is counted as one needs it at
least, four products with the embedding and three with the functions for a map and its gradients, over the rate of a
large TF32 product divided by three, the rate of products that are accurate to float32 in that format. Training steps
are measured by ``training_step --device cuda``.
"""

import argparse
import importlib.util
import math
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from experiments.benchmarks import training_step, zoomout
from experiments.benchmarks.harness import Contender, Report, Row, arguments, compare, start, timed
from jaxtyping import Float
from torch import Tensor

from pullback.mapping import BlockedSoftMap, DenseSoftMap, fused, nearest
from pullback.mapping.distances import largest_distance
from pullback.mapping.softmap_keops import KeopsSoftMap
from pullback.mapping.softmap_triton import TritonSoftMap

SIZES, TINY_SIZES = (5_000, 20_000, 100_000), (60,)
WIDTHS = ((32, 30), (130, 130))  # columns of the embedding, functions
BLUR, TINY_BLUR = 0.01, 0.1  # of a few points, each has none near at 1 %
DENSE_MOST = 20_000  # points of a dense map: a few matrices of 1.6 GB
ROUNDING = 2e-3  # of sharp maps in float32 by unlike sums
# Table 3 of Magnet & Ovsjanikov 2024, seconds on their GPU by number of vertices: published figures, not measured here.
PAPER = {
    "hard": {5_000: 0.1, 100_000: 2.4},
    "differentiable": {5_000: 0.1, 100_000: 5.0},
    "sampled": {5_000: 0.1, 100_000: 0.4},
}
Problem = tuple[Float[Tensor, "n p"], Float[Tensor, "n p"], Float[Tensor, "n q"], Float[Tensor, ""]]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--device", default="cuda", help="where the maps are computed (default: %(default)s)")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal with a few points")
    parser.add_argument(
        "--parts", nargs="+", default=("maps", "searches", "zoomout", "training"), help="what to run (default: all)"
    )
    options = start(parser)
    if torch.device(options.device).type == "cuda" and not torch.cuda.is_available():
        print(
            "this benchmark needs a CUDA device, and PyTorch sees none (--device cpu --tiny rehearses it)",
            file=sys.stderr,
        )
        sys.exit(2)
    report = Report(__file__, options)
    ceiling = product_rate(report, options)
    for n in TINY_SIZES if options.tiny else SIZES:
        for p, q in WIDTHS:
            for order in ("local", "random"):
                problem = problem_of(n, p, q, order=order, device=options.device)
                sizes = {"n": n, "p": p, "q": q, "order": order}
                if "maps" in options.parts:
                    soft_maps(report, problem, sizes, ceiling, options)
                if "searches" in options.parts and order == "random":
                    searches(report, problem, sizes, options)
    if "zoomout" in options.parts:
        refinements(report, options)
    report.finish()
    if "training" in options.parts and not options.tiny:
        training_step.main(
            ["--device", options.device, "--rounds", str(options.rounds), *(["--full"] if options.full else [])]
        )


def product_rate(report: Report, options: argparse.Namespace) -> float:
    """Operations a second of a large TF32 product on this device, divided by three.

    With a row for it and for half precision.
    """
    n = 256 if options.tiny else 8192
    a, b = (torch.randn(n, n, device=options.device) for _ in range(2))
    rates, before = {}, torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        for name, left, right in (("TF32", a, b), ("float16", a.half(), b.half())):
            runs = [timed(lambda left=left, right=right: left @ right, options.device)[0] for _ in range(10)]
            rates[name] = 2 * n**3 / sorted(runs[1:])[4], sorted(runs[1:])[4]
    finally:
        torch.set_float32_matmul_precision(before)
    report.add(
        [
            Row("matrix product", {"n": n}, name, options.device, seconds, rounds=9, figures={"TFLOP/s": rate / 1e12})
            for name, (rate, seconds) in rates.items()
        ]
    )
    return rates["TF32"][0] / 3


def problem_of(n: int, p: int, q: int, *, order: str, device: str) -> Problem:
    """Smooth functions of many frequencies on two spheres of n points each, and a blur of 1 %.

    They look like spectral embeddings.

    In local order points follow a spiral, much as vertices of a mesh have neighbours near; random order is the worst
    case.
    """
    generator = torch.Generator().manual_seed(0)
    frequency = torch.randn(3, p + q, generator=generator, dtype=torch.float64) * torch.linspace(0.3, 2, p + q)
    phase = torch.rand(p + q, generator=generator, dtype=torch.float64) * 2 * math.pi
    functions = [torch.cos(spiral(n, turn) @ frequency + phase) for turn in (0.0, 0.3)]
    if order == "random":
        functions = [values[torch.randperm(n, generator=generator)] for values in functions]
    query, reference = (values[:, :p].float().to(device) for values in functions)
    sigma = (BLUR if n > max(TINY_SIZES) else TINY_BLUR) * largest_distance(query, reference)
    return query, reference, functions[1][:, p:].float().to(device), sigma


def spiral(n: int, turn: float) -> Float[Tensor, "n 3"]:
    """Evenly spread points of the unit sphere (Fibonacci)."""
    i = torch.arange(n, dtype=torch.float64) + 0.5
    height, angle = 1 - 2 * i / n, turn + i * math.pi * (1 + math.sqrt(5))
    radius = (1 - height**2).sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin(), height], dim=1)


def soft_maps(report: Report, problem: Problem, sizes: dict, ceiling: float, options: argparse.Namespace) -> None:
    """A map and its gradients for both embeddings and the functions."""
    kinds = {"dense": DenseSoftMap, "blocked": BlockedSoftMap, "keops": KeopsSoftMap, "triton": TritonSoftMap}
    runs = {
        name: Contender(lambda kind=kind: pulled_back(kind, problem))
        for name, kind in kinds.items()
        if available(name, options)
    }
    if sizes["n"] > DENSE_MOST:
        runs.pop("dense")
    if "keops" in runs and sizes["n"] > 20_000:
        runs["keops"] = Contender(runs["keops"].run, rounds=1)
    ours = "triton" if "triton" in runs else "blocked"
    rows = compare(
        "soft map, forward + backward",
        sizes,
        runs,
        ours=ours,
        also_ours=("blocked",),
        same=same_tensors,
        rounds=options.rounds,
        device=options.device,
        figures={ours: accuracy(problem, kinds[ours])},
    )
    operations = 2 * sizes["n"] ** 2 * (4 * sizes["p"] + 3 * sizes["q"])
    report.add(
        [replace(row, figures={**row.figures, "share of ceiling": operations / row.seconds / ceiling}) for row in rows]
    )


def pulled_back(kind: type, problem: Problem) -> list[Tensor]:
    """The function, and the gradients of its square."""
    *inputs, sigma = problem
    query, reference, values = (x.detach().requires_grad_() for x in inputs)
    out = kind(query=query, reference=reference, sigma=sigma).pull_back(values)
    out.square().sum().backward()
    return [out.detach(), query.grad, reference.grad, values.grad]


def accuracy(problem: Problem, kind: type) -> dict[str, float]:
    """The relative error of the map of some points against the dense one in float64."""
    *points, values, sigma = problem
    query, reference = points[0][:200], points[1]
    exact = DenseSoftMap(query.double(), reference.double(), sigma.double()).pull_back(values.double())
    return {"error": float((kind(query, reference, sigma).pull_back(values) - exact).norm() / exact.norm())}


def same_tensors(mine: list[Tensor], theirs: list[Tensor]) -> None:
    """Values and gradients agree but for rounding."""
    for name, a, b in zip(("values", "grad query", "grad reference", "grad values"), mine, theirs, strict=True):
        error = float((a - b).norm() / b.norm())
        if not error < ROUNDING:
            raise AssertionError(f"{name} differ by {error:.1e}")


def searches(report: Report, problem: Problem, sizes: dict, options: argparse.Namespace) -> None:
    """Nearest neighbours and the largest distance."""
    query, reference = problem[:2]
    sizes = {"n": sizes["n"], "p": sizes["p"]}
    for work, ours, keops in (
        ("nearest", nearest, keops_nearest),
        ("largest distance", largest_distance, keops_largest),
    ):
        plain = plain_nearest if work == "nearest" else plain_largest
        runs = {"dense": Contender(lambda plain=plain: plain(query, reference))} if sizes["n"] <= DENSE_MOST else {}
        runs["blocked"] = Contender(lambda ours=ours: without_triton(ours, query, reference))
        if available("keops", options):
            runs["keops"] = Contender(
                lambda keops=keops: keops(query, reference), rounds=1 if sizes["n"] > 20_000 else None
            )
        if available("triton", options) and options.device != "cpu":
            runs["triton"] = Contender(lambda ours=ours: ours(query, reference))
        report.add(
            compare(
                work,
                sizes,
                runs,
                ours="triton" if "triton" in runs else "blocked",
                also_ours=("blocked",),
                same=lambda mine, theirs: same_search(mine, theirs, problem),
                rounds=options.rounds,
                device=options.device,
            )
        )


def without_triton(search: Callable[[Tensor, Tensor], Tensor], query: Tensor, reference: Tensor) -> Tensor:
    """A search by blocks of matrix products."""
    with mock.patch.object(fused, "has_triton", lambda: False):
        return search(query, reference)


def plain_nearest(query: Tensor, reference: Tensor) -> Tensor:
    return torch.cdist(query, reference).argmin(dim=1)


def plain_largest(query: Tensor, reference: Tensor) -> Tensor:
    return torch.cdist(query, reference).amax()


def keops_nearest(query: Tensor, reference: Tensor) -> Tensor:
    from pykeops.torch import LazyTensor

    return ((LazyTensor(query[:, None]) - LazyTensor(reference[None])) ** 2).sum(dim=2).argmin(dim=1)[:, 0]


def keops_largest(query: Tensor, reference: Tensor) -> Tensor:
    from pykeops.torch import LazyTensor

    return ((LazyTensor(query[:, None]) - LazyTensor(reference[None])) ** 2).sum(dim=2).max(dim=1).max().sqrt()


def same_search(mine: Tensor, theirs: Tensor, problem: Problem) -> None:
    """The same distance, and points as near: which of two that differ by a rounding is not asked."""
    query, reference = problem[:2]
    if mine.ndim == 0:
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=0)
    else:
        distances = [(query - reference[p2p21]).double().norm(dim=1) for p2p21 in (mine, theirs)]
        torch.testing.assert_close(*distances, rtol=1e-3, atol=1e-3 * float(problem[3]))


def refinements(report: Report, options: argparse.Namespace) -> None:
    """ZoomOut from 30 to 130 eigenfunctions by the solvers of ``benchmarks.zoomout``, beside the paper's figures."""
    with tempfile.TemporaryDirectory() as folder:
        for n in (1_000,) if options.tiny else PAPER["hard"]:
            problem = zoomout.problem_of(n, Path(folder)).to(options.device)
            runs = zoomout.contenders(problem, double=False)
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
                )
            )


def available(backend: str, options: argparse.Namespace) -> bool:
    """Whether a backend can run on the device; KeOps compiles for minutes on a CPU, which a rehearsal does without."""
    if backend == "triton":
        return fused.has_triton() and (options.device != "cpu" or os.environ.get("TRITON_INTERPRET") == "1")
    return backend != "keops" or (importlib.util.find_spec("pykeops") is not None and options.device != "cpu")


if __name__ == "__main__":
    main()
