"""Soft maps and searches on a GPU, for the benchmark of that name.

Rows of soft maps say how much of the device's matrix product they reach: arithmetic is counted as one needs it at
least, four products with the embedding and three with the functions for a map and its gradients, over the rate of a
large TF32 product divided by three, the rate of products that are accurate to float32 in that format.
"""

import argparse
import importlib.util
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from unittest import mock

import torch
from experiments.benchmarks.harness import Contender, Report, Row, compare, timed
from jaxtyping import Float
from torch import Tensor

from pullback.mapping import BlockedSoftMap, DenseSoftMap, fused, nearest
from pullback.mapping.distances import largest_distance
from pullback.mapping.softmap_keops import KeopsSoftMap
from pullback.mapping.softmap_triton import TritonSoftMap

TINY_SIZES = (60,)
WIDTHS = ((32, 30), (130, 130))  # columns of the embedding, functions
BLUR, TINY_BLUR = 0.01, 0.1  # of a few points, each has none near at 1 %
DENSE_MOST = 20_000  # points of a dense map: a few matrices of 1.6 GB
ROUNDING = 2e-3  # of sharp maps in float32 by unlike sums
Problem = tuple[Float[Tensor, "n p"], Float[Tensor, "n p"], Float[Tensor, "n q"], Float[Tensor, ""]]


def maps_and_searches(
    report: Report,
    options: argparse.Namespace,
    sizes: Sequence[int],
    *,
    orders: Sequence[str] = ("local", "random"),
    with_keops: bool = False,
    lenient: bool = True,
) -> None:
    """Rows of all sizes and widths; every contender must agree with the first before it is timed.

    One that does not, or fails, costs the others nothing unless ``lenient`` is false.
    """
    ceiling = product_rate(report, options)
    for n in TINY_SIZES if options.tiny else sizes:
        for p, q in WIDTHS:
            for order in orders:
                problem = problem_of(n, p, q, order=order, device=options.device)
                names = [name for name in ("dense", "blocked", "triton") if available(name, options)]
                names += ["keops"] if with_keops and available("keops", options) else []
                sizes_of_maps = {"n": n, "p": p, "q": q, "order": order}
                soft_maps(report, problem, sizes_of_maps, ceiling, names, options, lenient=lenient)
                if order == "random":
                    searches(report, problem, {"n": n, "p": p}, names, options, lenient=lenient)


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


def soft_maps(
    report: Report,
    problem: Problem,
    sizes: dict,
    ceiling: float,
    names: Sequence[str],
    options: argparse.Namespace,
    *,
    lenient: bool,
) -> None:
    """A map and its gradients for both embeddings and the functions."""
    kinds = {"dense": DenseSoftMap, "blocked": BlockedSoftMap, "keops": KeopsSoftMap, "triton": TritonSoftMap}
    runs = {name: Contender(lambda kind=kinds[name]: pulled_back(kind, problem)) for name in names}
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
        lenient=lenient,
    )
    operations = 2 * sizes["n"] ** 2 * (4 * sizes["p"] + 3 * sizes["q"])

    def figures(row: Row) -> dict[str, float]:
        if row.seconds is None:
            return {}
        exact = accuracy(problem, kinds[ours]) if row.backend == ours else {}
        return exact | {"share of ceiling": operations / row.seconds / ceiling}

    report.add([replace(row, figures=figures(row)) for row in rows])


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


def searches(
    report: Report, problem: Problem, sizes: dict, names: Sequence[str], options: argparse.Namespace, *, lenient: bool
) -> None:
    """Nearest neighbours and the largest distance."""
    query, reference = problem[:2]
    for work, ours, keops in (
        ("nearest", nearest, keops_nearest),
        ("largest distance", largest_distance, keops_largest),
    ):
        plain = plain_nearest if work == "nearest" else plain_largest
        runs = {"dense": Contender(lambda plain=plain: plain(query, reference))} if sizes["n"] <= DENSE_MOST else {}
        runs["blocked"] = Contender(lambda ours=ours: without_triton(ours, query, reference))
        if "keops" in names:
            runs["keops"] = Contender(
                lambda keops=keops: keops(query, reference), rounds=1 if sizes["n"] > 20_000 else None
            )
        if "triton" in names and options.device != "cpu":
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
                lenient=lenient,
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


def available(backend: str, options: argparse.Namespace) -> bool:
    """Whether a backend can run on the device; KeOps compiles for minutes on a CPU, which a rehearsal does without."""
    if backend == "triton":
        return fused.has_triton() and (options.device != "cpu" or os.environ.get("TRITON_INTERPRET") == "1")
    return backend != "keops" or (importlib.util.find_spec("pykeops") is not None and options.device != "cpu")
