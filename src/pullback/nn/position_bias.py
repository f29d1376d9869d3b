"""What a transformer's features say of a patch's place alone, and features without it."""

import torch
from jaxtyping import Float
from torch import Tensor


def position_directions(response: Float[Tensor, "c h w"], *, count: int) -> Float[Tensor, "c d"]:
    """The first ``count`` right-singular vectors of the centred features of a photograph without content.

    What varies over such a photograph is the answer to position alone. DINOv3 keeps much of it, which hurts matching
    between photographs; projecting out about 20 directions helps (the observation of INSID3, 2026; the estimate from a
    few seeded images of uniform noise, averaged at each position of the same grid, is our own). Raises ValueError when
    the grid has too few patches.
    """
    n = response[0].numel()
    if count >= n:
        raise ValueError(
            f"debias={count} directions cannot be estimated from {n} patches; use a larger size or a smaller debias"
        )
    centred = response.flatten(1).double()
    centred = centred - centred.mean(dim=1, keepdim=True)
    _, vectors = torch.linalg.eigh(centred @ centred.T)  # ascending
    return vectors[:, -count:].flip(1).float()


def without_directions(values: Float[Tensor, "b c h w"], directions: Float[Tensor, "c d"]) -> Float[Tensor, "b c h w"]:
    """Features minus their orthogonal projection on the span of orthonormal directions."""
    with torch.autocast(values.device.type, enabled=False):
        flat = values.float().flatten(2)
        return (flat - directions @ (directions.T @ flat)).unflatten(2, values.shape[2:])
