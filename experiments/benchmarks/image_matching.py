"""Seconds to match two photographs once their features are there: writes image_matching.json beside this file.

    python -m experiments.benchmarks.image_matching

The eigenbasis is that of one photograph. The parts of ``solver=closed_form`` as configured, and the released
optimisation by Gram matrices and literally, on seeded features; the two must give the same map before they are timed.
"""

from collections.abc import Sequence

import torch
from experiments.benchmarks.conditions import arguments, start
from experiments.benchmarks.harness import Report, compare
from experiments.benchmarks.image_eigensolvers import smooth_features

from pullback.geometry.grid import grid_basis
from pullback.mapping.readout import Readout
from pullback.nn.refiner import Refiner
from pullback.solvers.closed_form import ClosedForm
from pullback.solvers.pair_release import ReleaseOptimiser
from pullback.solvers.patch_refinement import SoftMapRefinement
from pullback.types import PatchImage, PatchPair


def photograph(grid: tuple[int, int], k: int, *, flipped: bool) -> PatchImage:
    """Seeded features of 384 channels in both branches; the second photograph is the mirror image of the first."""
    feats = [smooth_features(grid, channels=384, cell=cell).unflatten(0, grid) for cell in (4, 5)]
    feats = [(feat.flip(1) if flipped else feat).flatten(0, 1).contiguous() for feat in feats]
    basis = grid_basis(feats[0], grid, k=k, weights="release", normalisation="none")
    patches = torch.arange(grid[0] * grid[1])
    return PatchImage("photo", grid, (14 * grid[0], 14 * grid[1]), patches, basis, feats[0], feats[1])


def same_map(result: list, expected: list) -> None:
    torch.testing.assert_close(result[0].fmap12, expected[0].fmap12, rtol=1e-3, atol=1e-4)


def main(command: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--grid", type=int, nargs=2, default=(60, 60), help="rows and columns of patches")
    parser.add_argument("--k", type=int, default=200, help="eigenfunctions")
    parser.set_defaults(rounds=5)
    options = start(parser, command)
    report, grid = Report(__file__, options), tuple(options.grid)
    sizes = {"grid": f"{grid[0]} × {grid[1]}", "k": options.k}
    pair = PatchPair("pair", photograph(grid, options.k, flipped=False), photograph(grid, options.k, flipped=True))
    closed, refinement = ClosedForm(), SoftMapRefinement()
    readout = Readout(
        embedding=["spectral", "adjoint"], normalise="patch", position="window_soft_argmax", window=3, temperature=0.1
    )
    first = closed([pair])[0].fmap12
    fmap12 = refinement(pair, first)
    feat = pair.image1.basis_feat
    parts = {
        "eigenbasis of one photograph": lambda: grid_basis(
            feat, grid, k=options.k, weights="release", normalisation="none"
        ),
        "closed form": lambda: closed([pair]),
        "refinement": lambda: refinement(pair, first),
        "read-out": lambda: readout(pair, fmap12),
        "closed form, refinement and read-out": lambda: readout(pair, refinement(pair, closed([pair])[0].fmap12)),
    }
    for name, part in parts.items():
        report.add(compare(name, sizes, {"closed_form": part}, ours="closed_form", same=None, rounds=options.rounds))
    literal, gram = (
        ReleaseOptimiser(Refiner(hidden=64, layers=1, encoding="raster", skip=False), steps=200, gram=gram)
        for gram in (False, True)
    )
    optimisers = {"literally": lambda: literal([pair]), "Gram matrices": lambda: gram([pair])}
    report.add(
        compare("release, 200 steps", sizes, optimisers, ours="Gram matrices", same=same_map, rounds=options.rounds)
    )
    report.finish()


if __name__ == "__main__":
    main()
