"""Small photographs as solvers see them, with true bases of their patch graphs."""

import torch
from torch.nn.functional import interpolate

from pullback.geometry.grid import grid_basis
from pullback.types import PatchImage


def patch_image(grid, size, *, k, seed=0, channels=16, patches=None):
    """A photograph with smooth seeded features of both branches; no two patches are alike."""
    generator = torch.Generator().manual_seed(seed)
    feats = [smooth(grid, channels, generator) for _ in range(2)]
    patches = torch.arange(grid[0] * grid[1]) if patches is None else patches
    return from_features(f"photo{seed}", grid, size, patches, *(feat.flatten(1).T[patches] for feat in feats), k=k)


def smooth(grid, channels, generator):
    coarse = torch.randn(1, channels, 5, 5, generator=generator)
    return interpolate(coarse, size=grid, mode="bicubic")[0] + 0.05 * torch.randn(channels, *grid, generator=generator)


def from_features(name, grid, size, patches, basis_feat, feat, *, k):
    basis = grid_basis(basis_feat, grid, k=k, patches=None if len(patches) == grid[0] * grid[1] else patches)
    return PatchImage(name, grid, size, patches, basis, basis_feat.contiguous(), feat.contiguous())


def flipped_copy(image):
    """The mirror image of a photograph with a whole grid, and the true point map copy → photograph."""
    p2p21 = torch.arange(image.n).view(image.grid).flip(1).flatten()
    copy = from_features(
        "flipped", image.grid, image.size, image.patches, image.basis_feat[p2p21], image.feat[p2p21], k=image.basis.k
    )
    return copy, p2p21


def resampled_copy(image, *, grid, size, k):
    """The same photograph at another size, seen by another grid: features interpolated."""
    feats = [
        interpolate(feat.T.reshape(1, -1, *image.grid), size=grid, mode="bilinear", align_corners=False)[0].flatten(1).T
        for feat in (image.basis_feat, image.feat)
    ]
    return from_features("resampled", grid, size, torch.arange(grid[0] * grid[1]), *feats, k=k)
