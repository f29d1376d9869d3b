"""Tiny photographs as solvers see them: a patch graph with random edge weights, its eigenbasis by dense algebra,
smooth features.
"""

from dataclasses import replace

import torch

from pullback.types import Eigenbasis, PatchImage, PatchPair

K = 8


def patch_basis(grid: tuple[int, int], *, k: int = K, seed: int = 0) -> Eigenbasis:
    """Eigenfunctions of the Laplacian of a 4-neighbour grid whose edges weigh between 0.5 and 1."""
    rows, cols = grid
    generator = torch.Generator().manual_seed(seed)
    n = rows * cols
    node = torch.arange(n).view(rows, cols)
    adjacency = torch.zeros(n, n, dtype=torch.float64)
    for start, end in ((node[:, :-1], node[:, 1:]), (node[:-1], node[1:])):
        adjacency[start.flatten(), end.flatten()] = 0.5 + 0.5 * torch.rand(
            start.numel(), generator=generator, dtype=torch.float64
        )
    adjacency = adjacency + adjacency.T
    evals, evecs = torch.linalg.eigh(torch.diag(adjacency.sum(dim=1)) - adjacency)
    return Eigenbasis(evals[:k].clamp_min(0).float(), evecs[:, :k].float().contiguous(), torch.ones(n))


def patch_image(
    grid: tuple[int, int] = (5, 6), *, k: int = K, channels: int = 12, seed: int = 0, name: str = "one"
) -> PatchImage:
    """All patches of a grid, with random features of two branches."""
    generator = torch.Generator().manual_seed(seed + 1000)
    n = grid[0] * grid[1]
    basis_feat, feat = torch.randn(n, channels, generator=generator), torch.randn(n, channels, generator=generator)
    size = (14 * grid[0], 14 * grid[1])
    return PatchImage(name, grid, size, torch.arange(n), patch_basis(grid, k=k, seed=seed), basis_feat, feat)


def unrelated_pair(name: str = "pair", *, grids=((5, 6), (4, 7)), k: int = K, seed: int = 0) -> PatchPair:
    """Two photographs that have nothing to do with each other."""
    return PatchPair(name, patch_image(grids[0], k=k, seed=seed), patch_image(grids[1], k=k, seed=seed + 1, name="two"))


def twin_pair(signs: torch.Tensor | None = None, *, k: int = K, seed: int = 0) -> tuple[PatchPair, torch.Tensor]:
    """A photograph and its copy with shuffled patches and flipped eigenfunctions:
    the true map 1 → 2 is ``diag(signs)``.

    The copy's features are shuffled along; its grid is no longer that of its neighbours, which only positions could
    tell.
    """
    one = patch_image(k=k, seed=seed)
    order = torch.randperm(one.n, generator=torch.Generator().manual_seed(seed + 5))
    signs = torch.ones(k) if signs is None else signs
    basis = replace(one.basis, evecs=one.basis.evecs[order] * signs)
    two = replace(one, name="two", basis=basis, feat=one.feat[order], basis_feat=one.basis_feat[order])
    return PatchPair("twins", one, two), torch.diag(signs)


def self_pair(*, k: int = K, seed: int = 0) -> PatchPair:
    """A photograph against itself."""
    one = patch_image(k=k, seed=seed)
    return PatchPair("self", one, one)
