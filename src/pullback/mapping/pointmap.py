"""Point maps 2 → 1: nearest neighbours, composition, coverage."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.distances import check_embeddings, column_tiles, full_precision, homogeneous_query, homogeneous_reference
from pullback.mapping.fused import fused_kernels
from pullback.mapping.strips import strips


@torch.no_grad()
def nearest(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> Int[Tensor, " n2"]:
    """The point map ``p2p21``: for each query row the nearest reference row, of equally near ones the first.

    Exact to the rounding of the dtype: all distances, in blocks, or of large sets on a CPU those that ``Clusters`` cannot rule
    out. Raises ValueError for embeddings that do not fit together.
    """
    check_embeddings(query, reference)
    kernels = fused_kernels(query.device)
    if kernels is not None:
        return kernels.nearest(query, reference)
    p2p21 = torch.empty(len(query), dtype=torch.long, device=query.device)
    with full_precision(query.device):
        centre = reference.mean(dim=0)
        near = homogeneous_reference(reference - centre)
        for rows, x, columns in strips(query, near, lambda rows: homogeneous_query(query[rows] - centre)):
            p2p21[rows] = _best_columns(x, near, columns)
    return p2p21


def _best_columns(x: Float[Tensor, "b d"], near: Float[Tensor, "n1 d"], columns: Int[Tensor, " m"] | None) -> Int[Tensor, " b"]:
    """The column of the largest product with each row, of equal ones the first; all columns, or some of them."""
    ids = None if columns is None else columns.sort().values
    best, found = x.new_full((len(x),), -torch.inf), torch.zeros(len(x), dtype=torch.long, device=x.device)
    for tile in column_tiles(len(near) if ids is None else len(ids), x.device):
        product = x @ (near[tile] if ids is None else near.index_select(0, ids[tile])).T
        largest, at = _first_largest(product)
        # Later tiles must be better, not as good.
        found = torch.where(largest > best, (at + tile.start) if ids is None else ids[tile].long()[at], found)
        best = torch.maximum(best, largest)
    return found


def _first_largest(product: Float[Tensor, "b m"]) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"]]:
    """The largest entry of each row and its column, of equal ones the first; NaN counts as the largest."""
    if product.device.type != "cpu":
        return tuple(product.max(dim=1))
    at = torch.from_numpy(product.numpy().argmax(axis=1))  # vectorised, which PyTorch's is not: 20 times faster
    return product.gather(1, at[:, None])[:, 0], at


def compose(p2p21: Int[Tensor, " n2"], p2p32: Int[Tensor, " n3"]) -> Int[Tensor, " n3"]:
    """The point map 3 → 1 by way of shape 2."""
    return p2p21[p2p32]


def coverage(p2p21: Int[Tensor, " n2"], mass1: Float[Tensor, " n1"]) -> Float[Tensor, ""]:
    """The fraction of shape 1's area whose vertices are hit by the map 2 → 1; 1 for a map onto."""
    hit = torch.zeros_like(mass1)
    hit[p2p21] = 1
    return (hit * mass1).sum() / mass1.sum()
