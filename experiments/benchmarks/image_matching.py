"""Seconds to match two photographs once their features are there: writes image_matching.json beside this file, prints a table.

    python experiments/benchmarks/image_matching.py

The eigenbasis is that of one photograph. The parts of ``solver=closed_form`` as configured, and the released optimisation by Gram
matrices and literally, on seeded features; the two must give the same map before they are timed.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from image_eigensolvers import smooth_features

from pullback.geometry.grid import grid_basis
from pullback.mapping.readout import Readout
from pullback.nn.refiner import Refiner
from pullback.solvers.closed_form import ClosedForm
from pullback.solvers.pair_release import ReleaseOptimiser
from pullback.solvers.patch_refinement import SoftMapRefinement
from pullback.types import PatchImage, PatchPair

OUTPUT = Path(__file__).with_suffix(".json")


def photograph(grid: tuple[int, int], k: int, *, flipped: bool) -> PatchImage:
    """Seeded features of 384 channels in both branches; the second photograph is the mirror image of the first."""
    feats = [smooth_features(grid, channels=384, cell=cell).unflatten(0, grid) for cell in (4, 5)]
    feats = [(feat.flip(1) if flipped else feat).flatten(0, 1).contiguous() for feat in feats]
    basis = grid_basis(feats[0], grid, k=k, weights="release", normalisation="none")
    patches = torch.arange(grid[0] * grid[1])
    return PatchImage("photo", grid, (14 * grid[0], 14 * grid[1]), patches, basis, feats[0], feats[1])


def timed(part: Callable[[], object], repeats: int) -> dict[str, float]:
    part()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        part()
        seconds.append(time.perf_counter() - start)
    return {"seconds": round(statistics.median(seconds), 3), "fastest": round(min(seconds), 3), "slowest": round(max(seconds), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=int, nargs=2, default=(60, 60), help="rows and columns of patches")
    parser.add_argument("--k", type=int, default=200, help="eigenfunctions")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    grid = tuple(args.grid)
    pair = PatchPair("pair", photograph(grid, args.k, flipped=False), photograph(grid, args.k, flipped=True))
    closed, refinement = ClosedForm(), SoftMapRefinement()
    readout = Readout(embedding=["spectral", "adjoint"], normalise="patch", position="window_soft_argmax", window=3, temperature=0.1)
    start = closed([pair])[0].fmap12
    fmap12 = refinement(pair, start)
    gram, literal = (
        ReleaseOptimiser(Refiner(hidden=64, layers=1, encoding="raster", skip=False), steps=200, gram=gram) for gram in (True, False)
    )
    torch.testing.assert_close(gram([pair])[0].fmap12, literal([pair])[0].fmap12, rtol=1e-3, atol=1e-4)
    feat = pair.image1.basis_feat
    parts = {
        "eigenbasis of one photograph": lambda: grid_basis(feat, grid, k=args.k, weights="release", normalisation="none"),
        "closed form": lambda: closed([pair]),
        "refinement": lambda: refinement(pair, start),
        "read-out": lambda: readout(pair, fmap12),
        "closed form, refinement and read-out": lambda: readout(pair, refinement(pair, closed([pair])[0].fmap12)),
        "release, 200 steps, Gram matrices": lambda: gram([pair]),
        "release, 200 steps, literally": lambda: literal([pair]),
    }
    rows = [{"work": name, "grid": list(grid), "k": args.k, **timed(part, args.repeats)} for name, part in parts.items()]
    OUTPUT.write_text(json.dumps({"threads": args.threads, "torch": torch.__version__, "rows": rows}, indent=2) + "\n")
    print("| work | seconds (median) | fastest | slowest |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['work']} | {row['seconds']:.2f} | {row['fastest']:.2f} | {row['slowest']:.2f} |")


if __name__ == "__main__":
    main()
