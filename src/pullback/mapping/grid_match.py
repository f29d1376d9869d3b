"""From patches to pixels: what a match of two patch grids says about pixels and keypoints.

A grid (rows, columns) covers its photograph evenly, patches are numbered row by row. All interpolation is of the
displacement ``xy21 - centre``, not of the place: beyond the outermost patch centres it stays constant, so the identity
is exact up to the border.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from pullback.mapping.pointmap import nearest


def patch_centres(
    grid: tuple[int, int],
    size: tuple[int, int],
    patches: Int[Tensor, " n"] | None = None,
    *,
    device: torch.device | None = None,
) -> Float[Tensor, "n 2"]:
    """Centres xy of patches in pixels: ``x = (column + 0.5) W / w - 0.5``, y likewise.

    Of the whole grid (h, w) without ``patches``.
    """
    if patches is None:
        patches = torch.arange(grid[0] * grid[1], device=device)
    row, column = patches // grid[1], patches % grid[1]
    return torch.stack([(column + 0.5) * size[1] / grid[1] - 0.5, (row + 0.5) * size[0] / grid[0] - 0.5], dim=1)


def patch_of(xy: Float[Tensor, "t 2"], grid: tuple[int, int], size: tuple[int, int]) -> Int[Tensor, " t"]:
    """The row-major index of the patch that each pixel position lies in.

    Positions outside the photograph go to the border.
    """
    column = ((xy[:, 0] + 0.5) * grid[1] / size[1]).floor().long().clamp(0, grid[1] - 1)
    row = ((xy[:, 1] + 0.5) * grid[0] / size[0]).floor().long().clamp(0, grid[0] - 1)
    return row * grid[1] + column


def flow_from_match(
    xy21: Float[Tensor, "n2 2"],
    grid2: tuple[int, int],
    size2: tuple[int, int],
    patches2: Int[Tensor, " n2"] | None = None,
) -> Float[Tensor, "2 H2 W2"]:
    """The dense flow 2 → 1: for each pixel of image 2 the displacement to its match in image 1, in pixels.

    Channel 0 is x.

    ``xy21`` are the places, in pixels of image 1, that the patches ``patches2`` go to (all patches without it).
    Bilinear between patch centres; a patch outside the graph takes the displacement of the nearest patch in it.
    """
    field = _displacement_field(xy21, grid2, size2, patches2)
    return interpolate(field[None], size=size2, mode="bilinear", align_corners=False)[0]


def values_at_pixels(
    values: Float[Tensor, " n"], grid: tuple[int, int], size: tuple[int, int], patches: Int[Tensor, " n"]
) -> Float[Tensor, "H W"]:
    """A value of each patch at its pixels, not interpolated; 0 at those of patches outside the graph."""
    whole = values.new_zeros(grid[0] * grid[1])
    whole[patches] = values
    return interpolate(whole.view(1, 1, *grid), size=size, mode="nearest-exact")[0, 0]


def keypoints_from_match(
    keypoints2: Float[Tensor, "t 2"],
    xy21: Float[Tensor, "n2 2"],
    grid2: tuple[int, int],
    size2: tuple[int, int],
    patches2: Int[Tensor, " n2"] | None = None,
    *,
    interpolation: str = "bilinear",
) -> Float[Tensor, "t 2"]:
    """Keypoints of image 2 carried to image 1, both as xy in pixels.

    "nearest": a keypoint goes where its patch goes, as in sd-dino and the benchmarks built on it. "bilinear": it moves
    by the displacement interpolated between patch centres, as a pixel of ``flow_from_match`` does. Raises ValueError
    for another word.
    """
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"interpolation={interpolation!r} is unknown: choose nearest or bilinear")
    keypoints2 = keypoints2.to(xy21.dtype)
    field = _displacement_field(xy21, grid2, size2, patches2)
    if interpolation == "nearest":
        at = patch_of(keypoints2, grid2, size2)
        return patch_centres(grid2, size2, at).to(xy21) + field.flatten(1).T[at]
    height, width = size2
    # In grid_sample without align_corners, -1 and 1 are the outer borders of the first and of the last patch.
    at = (2 * keypoints2 + 1) / keypoints2.new_tensor([width, height]) - 1
    sampled = grid_sample(field[None], at[None, None], mode="bilinear", padding_mode="border", align_corners=False)
    return keypoints2 + sampled[0, :, 0].T


def _displacement_field(
    xy21: Float[Tensor, "n2 2"], grid2: tuple[int, int], size2: tuple[int, int], patches2: Int[Tensor, " n2"] | None
) -> Float[Tensor, "2 h2 w2"]:
    """``xy21 - centre`` on the whole grid of image 2.

    Patches outside the graph take that of the nearest patch in it.
    """
    n, (rows, columns) = len(xy21), grid2
    expected = rows * columns if patches2 is None else len(patches2)
    if n != expected:
        raise ValueError(
            f"xy21 has {n} places but the graph of image 2 has {expected} patches (grid {rows} x {columns})"
        )
    centres = patch_centres(grid2, size2, device=xy21.device).to(xy21.dtype)
    if patches2 is None or n == len(centres):
        displacement = xy21 - centres
    else:
        inside = centres[patches2]
        displacement = (xy21 - inside)[nearest(centres, inside)]
    return displacement.T.reshape(2, rows, columns)
