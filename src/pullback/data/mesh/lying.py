"""How the shapes of a data set lie in space, by the ground truth that there is, and what was done about it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pullback.data.errors import shorten
from pullback.data.mesh.dataset import ShapeFiles
from pullback.data.mesh.pairs import ShapePairDataset
from pullback.data.mesh.placing import Misalignment, doubt, misalignment, misalignment_of_pairs, placement
from pullback.data.mesh.selection import take_evenly
from pullback.geometry.cleaning import MeshError
from pullback.geometry.rigid import rotation_angles

_PAIRS = 12  # of a set whose ground truth belongs to pairs
_POINTS = 200  # of each


def lying_of(
    sets: Sequence[ShapePairDataset], places: Mapping[ShapeFiles, Float[ndarray, "t 3"] | None]
) -> Misalignment | None:
    """By the landmarks that all prepared shapes have in common, else between some pairs; None without ground truth."""
    known = [where for files in _shapes(sets) if (where := places.get(files)) is not None]
    if len(known) > 1 and len({where.shape for where in known}) == 1:
        return misalignment(known)
    with_truth = [(pairs, i) for pairs in sets for i, pair in enumerate(pairs.pairs) if pair.truth is not None]
    points = [both for each in take_evenly(with_truth, _PAIRS) if (both := _points(*each)) is not None]
    return misalignment_of_pairs(points) if points else None


def placing_of(sets: Sequence[ShapePairDataset], cache_dir: Path) -> tuple[str, str]:
    """What ``data.align`` has done to the shapes, and which of them it is in doubt about; empty where nothing is."""
    shapes = [files for files in _shapes(sets) if files.references]
    placed = [placement(files.mesh, files.references, cache_dir) for files in shapes]
    if not placed:
        return "", ""
    angles = rotation_angles(np.stack([each.rotation for each in placed]))
    by = f"{np.median(angles):.0f}° (median), {angles.max():.0f}° (at most)"
    done = f"{len(placed)} shapes were turned to one frame, by {by}"
    doubtful = [files.name for files, each in zip(shapes, placed, strict=True) if doubt(each)]
    return done, f"{len(doubtful)} of them fit in another way nearly as well: {shorten(doubtful)}" if doubtful else ""


def _shapes(sets: Sequence[ShapePairDataset]) -> list[ShapeFiles]:
    return list(dict.fromkeys(files for pairs in sets for files in pairs.used()))


def _points(pairs: ShapePairDataset, i: int) -> tuple[Float[ndarray, "t 3"], Float[ndarray, "t 3"]] | None:
    """Where some corresponding points of a pair lie on both shapes; None where its ground truth does not fit them."""
    try:
        shape1, shape2, corr1, corr2 = pairs.corresponding(i)
    except MeshError:  # the pair fails when it is loaded, and costs no other its result
        return None
    some = slice(None, None, max(1, len(corr1) // _POINTS))
    return shape1.verts[corr1[some]].double().numpy(), shape2.verts[corr2[some]].double().numpy()
