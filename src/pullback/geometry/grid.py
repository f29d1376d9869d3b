"""The patches of a photograph as a graph: 4-neighbour grid, edges weighed by features, its Laplacian and eigenbasis."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.geometry.eigenbasis import householder_signs, solve_eigenproblem
from pullback.types import Eigenbasis

# The release draws feature distances towards their mean by this factor before it weighs edges.
_COMPRESSION = 5.0
SIGNS = ("largest", "qr")  # the rules by which eigenfunctions get their signs


def grid_edges(grid: tuple[int, int], *, patches: Int[Tensor, " n"] | None = None) -> Int[Tensor, "2 e"]:
    """Each undirected edge of the 4-neighbour grid once, smaller node first; horizontal ones first.

    With ``patches``, ascending row-major indices, the subgraph on them; its nodes are numbered by their place in
    ``patches``. Raises ValueError for patches that are not ascending indices of the grid.
    """
    rows, columns = grid
    if rows < 1 or columns < 1:
        raise ValueError(
            f"a grid of {rows} x {columns} patches has no patch; use larger photographs or smaller patches"
        )
    node = torch.arange(rows * columns).view(rows, columns)
    horizontal = torch.stack([node[:, :-1].flatten(), node[:, 1:].flatten()])
    vertical = torch.stack([node[:-1].flatten(), node[1:].flatten()])
    edges = torch.cat([horizontal, vertical], dim=1)
    if patches is None:
        return edges
    _check_patches(patches, grid)
    place = torch.full((rows * columns,), -1)
    place[patches.cpu()] = torch.arange(len(patches))
    edges = place[edges]
    return edges[:, (edges >= 0).all(dim=0)]


def edge_weights(
    feat: Float[Tensor, "n c"], edges: Int[Tensor, "2 e"], *, kind: str = "exponential"
) -> Float[Tensor, " e"]:
    """How alike the two ends of each edge are, from the distance d of their features; float64.

    "exponential": ``exp(-d / σ)``, σ the median distance of all edges (the paper; it says "median of all the feature
    values"). "release": distances drawn to their mean, ``d' = mean + (d - mean) / 5``, then ``exp(-d'² / 2σ² - 1/2)``,
    σ the median of d'. "uniform": 1. Where the median is 0, σ is that of the positive distances; without any, all
    weights are equal. Raises ValueError for another word or for features that are not finite.
    """
    if kind not in ("exponential", "release", "uniform"):
        raise ValueError(f"weights={kind!r} is unknown: choose exponential, release or uniform")
    ones = torch.ones(edges.shape[1], dtype=torch.float64, device=feat.device)
    if kind == "uniform" or edges.shape[1] == 0:
        return ones
    start, end = edges.to(feat.device)
    dist = (feat[start].double() - feat[end].double()).norm(dim=1)
    if not dist.isfinite().all():
        raise ValueError("features hold NaN or infinite values; the graph cannot be weighed by them")
    if not (dist > 0).any():
        return ones
    if kind == "exponential":
        return torch.exp(-dist / _scale(dist))
    drawn = dist.mean() + (dist - dist.mean()) / _COMPRESSION
    return torch.exp(-(drawn**2) / (2 * _scale(drawn) ** 2) - 0.5)


def grid_laplacian(
    feat: Float[Tensor, "n c"],
    grid: tuple[int, int],
    *,
    weights: str = "exponential",
    normalisation: str = "sym",
    patches: Int[Tensor, " m"] | None = None,
) -> sp.csr_matrix:
    """The graph Laplacian (n, n) of a patch grid in float64, positive semi-definite.

    Row i of ``feat`` belongs to patch i of the graph (``patches[i]``). "sym": ``I - D^-½ A D^-½``, eigenvalues in [0,
    2]; "none": ``D - A``. A patch without neighbours has a row of zeros in both. Raises ImportError without
    torch-geometric.
    """
    if normalisation not in ("sym", "none"):
        raise ValueError(f"normalisation={normalisation!r} is unknown: choose sym or none")
    n = len(feat)
    expected = grid[0] * grid[1] if patches is None else len(patches)
    if n != expected:
        raise ValueError(f"features of {n} patches do not fit a graph of {expected} (grid {grid[0]} x {grid[1]})")
    edges = grid_edges(grid, patches=patches)
    weight = edge_weights(feat, edges, kind=weights).cpu()
    both, weight = torch.cat([edges, edges.flip(0)], dim=1), weight.repeat(2)
    index, value = _get_laplacian()(both, weight, normalization="sym" if normalisation == "sym" else None, num_nodes=n)
    laplacian = sp.coo_matrix((value.numpy(), (index[0].numpy(), index[1].numpy())), shape=(n, n)).tocsr()
    connected = np.asarray(abs(laplacian - sp.diags(laplacian.diagonal())).sum(axis=1))[:, 0] > 0
    # the normalised one of torch-geometric has 1 at lone nodes
    return (sp.diags(connected.astype(float)) @ laplacian).tocsr()


def grid_basis(
    feat: Float[Tensor, "n c"],
    grid: tuple[int, int],
    *,
    k: int,
    weights: str = "exponential",
    normalisation: str = "sym",
    solver: str = "auto",
    signs: str = "largest",
    patches: Int[Tensor, " m"] | None = None,
) -> Eigenbasis:
    """The k smoothest eigenfunctions of ``grid_laplacian`` in float32, with mass 1 for each patch.

    ``solver``: see ``solve_eigenproblem``. An eigenfunction lives on one component of the graph, with "auto" and
    "lanczos". ``signs``: "largest", the entry of largest magnitude of each is positive; "qr", those that a QR
    decomposition gives them (as released), which two like photographs more often share. Raises ValueError for another
    word, and when the graph has fewer than k patches.
    """
    if signs not in SIGNS:
        raise ValueError(f"signs={signs!r} is unknown: choose {' or '.join(SIGNS)}")
    n = len(feat)
    if not 0 < k <= n:
        raise ValueError(
            f"k={k} eigenfunctions were asked of a graph of {n} patches (grid {grid[0]} x {grid[1]}); "
            f"use a k of at most {n}, or more patches (a larger network input, no mask)"
        )
    laplacian = grid_laplacian(feat, grid, weights=weights, normalisation=normalisation, patches=patches)
    evals, evecs = solve_eigenproblem(laplacian, np.ones(n), k=k, solver=solver)
    if signs == "qr":
        evecs = evecs * householder_signs(evecs)
    values, functions, mass = (torch.from_numpy(part).float().to(feat.device) for part in (evals, evecs, np.ones(n)))
    return Eigenbasis(values, functions, mass)


def _scale(dist: Float[Tensor, " e"]) -> Float[Tensor, ""]:
    """The median distance; of the positive ones where half of the edges and more have none."""
    median = dist.quantile(0.5)
    return median if median > 0 else dist[dist > 0].quantile(0.5)


def _check_patches(patches: Tensor, grid: tuple[int, int]) -> None:
    ascending = bool((patches[1:] > patches[:-1]).all())
    if len(patches) == 0 or not ascending or int(patches[0]) < 0 or int(patches[-1]) >= grid[0] * grid[1]:
        raise ValueError(
            f"patches must be ascending indices of a {grid[0]} x {grid[1]} grid, at least one; there are {len(patches)}"
        )


def _get_laplacian() -> Callable[..., Any]:
    try:
        from torch_geometric.utils import get_laplacian
    except ImportError as error:
        raise ImportError("graphs of patches need torch-geometric: pip install 'pullback[images]'") from error
    return get_laplacian
