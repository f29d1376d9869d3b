"""A few ground-truth points of a pair, for features made of them (`LandmarkFeatures`)."""

import torch
from jaxtyping import Int
from torch import Tensor

from pullback.geometry.farthest_points import farthest_points
from pullback.types import ShapePair

Points = Int[Tensor, " l"]


def known_points(pair: ShapePair, count: int) -> tuple[Points, Points]:
    """The same ``count`` vertices on both shapes: ground-truth points that spread farthest over shape 1.

    They depend on the pair alone. Raises ValueError when it has no ground truth, or knows fewer points.
    """
    if pair.corr1 is None or pair.corr2 is None:
        raise ValueError(
            f"landmarks={count} are taken from the ground truth, and the pair {pair.name} has none; use landmarks=null"
        )
    verts, faces = pair.shape1.verts.double().cpu().numpy(), pair.shape1.faces.cpu().numpy()
    try:
        chosen = farthest_points(verts, faces, pair.corr1.cpu().numpy(), count)
    except ValueError as error:
        raise ValueError(f"landmarks={count}, of the pair {pair.name}: {error}") from error
    rows = torch.from_numpy(chosen).to(pair.corr1.device)
    return pair.corr1[rows], pair.corr2[rows]
