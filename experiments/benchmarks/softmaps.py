"""Soft maps and nearest neighbours on the CPU against those of others.

Dense PyTorch, KeOps, densemaps and sklearn against the blocked map and nearest.

    python -m experiments.benchmarks.softmaps [--full]

Forward and backward for both embeddings and the functions, float32, a blur of 1 % of the largest distance. Embeddings:
eigenfunctions of two bodies of data/humans and a functional map (see spectral_embeddings.py), or random ones, without
structure. Values and gradients must agree with dense PyTorch before anything is timed. KeOps and densemaps, which is
made of it, run once; at 20,000 points KeOps carries 500 rows, and densemaps takes part at (32, 30) only. In --full they
do all of it, beside brute force at 100,000 points, the KD-tree that pyFM uses from 20,000 and a search among a million.
KeOps compiles for minutes when these widths meet it first, untimed.
"""

import importlib.util
import shutil
from collections.abc import Callable, Sequence

import torch
from experiments.benchmarks.conditions import arguments, start
from experiments.benchmarks.harness import Contender, Report, compare
from experiments.benchmarks.spectral_embeddings import embeddings
from torch import Tensor

from pullback.mapping import nearest, soft_map
from pullback.mapping.distances import largest_distance
from pullback.mapping.softmap_blocked import BlockedSoftMap
from pullback.mapping.softmap_keops import KeopsSoftMap

SIZES = ((32, 30), (130, 130))
# Points up to which KeOps takes a minute at most; and rows of a larger map that it is compared by, its time growing
# with the rows.
SMALL, PART = 5_000, 500
# Relative to the largest entry: logits of -5000 in single precision.
TOLERANCE = 2e-3

Tensors = tuple[Tensor, Tensor, Tensor, Tensor]
Map = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def dense(query: Tensor, reference: Tensor, feat1: Tensor, sigma: Tensor) -> Tensor:
    """What one writes first: distances by a product, a softmax, a product, and autograd."""
    square = (query**2).sum(dim=1)[:, None] + (reference**2).sum(dim=1) - 2 * query @ reference.T
    return torch.softmax(square / (-2 * sigma**2), dim=1) @ feat1


def blocked(query: Tensor, reference: Tensor, feat1: Tensor, sigma: Tensor) -> Tensor:
    return BlockedSoftMap(query, reference, sigma).pull_back(feat1)


def keops(query: Tensor, reference: Tensor, feat1: Tensor, sigma: Tensor) -> Tensor:
    return KeopsSoftMap(query, reference, sigma).pull_back(feat1)


def densemaps(query: Tensor, reference: Tensor, feat1: Tensor, sigma: Tensor) -> Tensor:
    from densemaps.torch.maps import KernelDistMap

    return KernelDistMap(reference, query, blur=sigma).pull_back(feat1)


def step(kind: Map, tensors: Tensors) -> Callable[[], list[Tensor]]:
    """Forward and backward with one backend: the function carried over and the three gradients."""
    query, reference, feat1, sigma = tensors
    direction = torch.randn(len(query), feat1.shape[1], generator=torch.Generator().manual_seed(1))

    def run() -> list[Tensor]:
        inputs = [x.detach().requires_grad_() for x in (query, reference, feat1)]
        feat2 = kind(*inputs, sigma)
        return [feat2.detach(), *torch.autograd.grad((feat2 * direction).sum(), inputs)]

    return run


def same_tensors(mine: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    for name, x, y in zip(("feat2", "grad_query", "grad_reference", "grad_feat1"), mine, theirs, strict=True):
        error = float((x - y).abs().max() / y.abs().max())
        assert error <= TOLERANCE, f"{name}: {error:.1e} of the largest entry, more than {TOLERANCE:.0e}"


def problem(n: int, p: int, q: int, kind: str) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    pair = embeddings(n, p) if kind == "spectral" else tuple(torch.randn(n, p, generator=generator) for _ in range(2))
    return *pair, torch.randn(n, q, generator=generator), 0.01 * largest_distance(*pair)


def soft_maps(report: Report, n: int, p: int, q: int, kind: str, *, rounds: int, full: bool, with_keops: bool) -> None:
    """A row each for what exists here and fits into the time."""
    tensors = problem(n, p, q, kind)
    contenders: dict[str, Callable | Contender] = {"dense": step(dense, tensors), "blocked": step(blocked, tensors)}
    with_keops = with_keops and has_keops()
    if with_keops and (full or n <= SMALL):
        contenders["keops"] = Contender(step(keops, tensors), rounds=1)
    if "keops" in contenders and (full or p < 100) and importlib.util.find_spec("densemaps") is not None:
        contenders["densemaps"] = Contender(step(densemaps, tensors), rounds=1)
    sizes = {"n": n, "embedding": p, "functions": q, "points": kind}
    report.add(
        compare("soft map, forward + backward", sizes, contenders, ours="blocked", same=same_tensors, rounds=rounds)
    )
    if with_keops and "keops" not in contenders:
        part = (tensors[0][:: n // PART].contiguous(), *tensors[1:])
        kinds = {"dense": dense, "blocked": blocked, "keops": keops}
        some = {name: Contender(step(run, part), rounds=1 if name == "keops" else None) for name, run in kinds.items()}
        sizes = {"n2": len(part[0]), "n1": n, "embedding": p, "functions": q, "points": kind}
        report.add(
            compare(
                "soft map of some rows, forward + backward",
                sizes,
                some,
                ours="blocked",
                same=same_tensors,
                rounds=rounds,
            )
        )


def large_soft_map(report: Report, n: int) -> None:
    """Time and peak memory, with the search for the largest distance."""
    query, reference, feat1, _ = problem(n, 130, 130, "spectral")

    def whole(query: Tensor, reference: Tensor, feat1: Tensor, _: Tensor) -> Tensor:
        return soft_map(query, reference, blur=0.01, backend="blocked").pull_back(feat1)

    run = step(whole, (query, reference, feat1, torch.tensor(0.0)))
    held = 4 * 4 * n * 130
    note = f"of the peak {held / 1e6:.0f} MB are the result and the gradients, {held / 4e6:.0f} MB or more the scalar's"
    sizes = {"n": n, "embedding": 130, "functions": 130, "points": "spectral"}
    work = "soft map with largest distance"
    report.add(
        compare(work, sizes, {"blocked": Contender(run, rounds=1)}, ours="blocked", same=None, notes={"blocked": note})
    )


def searches(report: Report, n: int, p: int, kind: str, *, rounds: int, full: bool) -> None:
    """The hard map, exact in all contenders."""
    query, reference, *_ = problem(n, p, 1, kind)
    contenders: dict[str, Callable | Contender] = {}
    if full or n < 100_000:
        contenders["brute force"] = Contender(lambda: brute_force(query, reference), rounds=None if n < 100_000 else 1)
    contenders["nearest"] = Contender(lambda: nearest(query, reference), rounds=None if n < 100_000 else 1)
    if (full and n < 100_000) or n < 20_000:
        contenders["sklearn"] = Contender(lambda: kd_tree(query, reference), rounds=1)

    def same(mine: Tensor, theirs: Tensor) -> None:
        square = [((query - reference[p2p21]) ** 2).sum(dim=1) for p2p21 in (mine, theirs)]
        assert float((square[0] - square[1]).abs().max()) <= 1e-5 * float(largest_distance(query, reference)) ** 2

    sizes = {"n": n, "embedding": p, "points": kind}
    report.add(compare("nearest neighbours", sizes, contenders, ours="nearest", same=same, rounds=rounds))


def brute_force(query: Tensor, reference: Tensor) -> Tensor:
    """All distances, a panel of rows at a time."""
    norm = (reference**2).sum(dim=1)
    return torch.cat([(norm - 2 * rows @ reference.T).argmin(dim=1) for rows in query.split(512)])


def kd_tree(query: Tensor, reference: Tensor) -> Tensor:
    """What pyFM does, by as many jobs as there are threads."""
    from sklearn.neighbors import NearestNeighbors

    jobs = torch.get_num_threads()
    tree = NearestNeighbors(n_neighbors=1, leaf_size=40, algorithm="kd_tree", n_jobs=jobs).fit(reference.numpy())
    return torch.from_numpy(tree.kneighbors(query.numpy(), return_distance=False)[:, 0])


def has_keops() -> bool:
    return importlib.util.find_spec("pykeops") is not None and shutil.which("g++") is not None


def main(command: Sequence[str] | None = None) -> None:
    options = start(arguments(__doc__, conditions=True), command)
    report, brief = Report(__file__, options), options.brief
    for n in (SMALL,) if brief else (SMALL, 20_000):
        for p, q in SIZES:
            rounds = options.rounds if n < 20_000 else min(2, options.rounds)
            soft_maps(report, n, p, q, "spectral", rounds=rounds, full=options.full, with_keops=not brief)
    soft_maps(report, SMALL, 130, 130, "random", rounds=options.rounds, full=options.full, with_keops=False)
    for n in (SMALL,) if brief else (SMALL, 20_000, 100_000, *((1_000_000,) if options.full else ())):
        searches(report, n, 130, "spectral", rounds=options.rounds, full=options.full and n < 1_000_000)
    if not brief:
        searches(report, 20_000, 130, "random", rounds=1, full=False)
        large_soft_map(report, 100_000)
    report.finish()


if __name__ == "__main__":
    main()
