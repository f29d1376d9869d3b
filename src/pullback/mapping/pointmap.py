"""Point maps 2 → 1: nearest neighbours, composition, coverage."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping import search_triton
from pullback.mapping.embeddings import check_embeddings, full_precision
from pullback.mapping.fused import has_fused_kernels
from pullback.mapping.parallel import run_alone
from pullback.mapping.search import Search


@torch.no_grad()
def nearest(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> Int[Tensor, " n2"]:
    """The point map ``p2p21``: for each query row the nearest reference row, of equally near ones the first.

    On a CPU, and in float64 everywhere, by squared differences in float64: what matrix products nominate is compared by
    :func:`pullback.mapping.search.exact_squares`, so the same rows give the same answer in any order, with any number
    of threads and on every processor. On a GPU in float32 as exact as its kernel, see
    :func:`pullback.mapping.search_triton.nearest`. All distances, in blocks, or of large sets on a CPU those that
    ``Clusters`` cannot rule out. Raises ValueError for embeddings that do not fit together.
    """
    check_embeddings(query, reference)
    if has_fused_kernels(query.device):
        return search_triton.nearest(query, reference)
    with full_precision(query.device):
        return run_alone(lambda: Search.of(query, reference).nearest(), query.device)


def compose(p2p21: Int[Tensor, " n2"], p2p32: Int[Tensor, " n3"]) -> Int[Tensor, " n3"]:
    """The point map 3 → 1 by way of shape 2."""
    return p2p21[p2p32]


def coverage(p2p21: Int[Tensor, " n2"], mass1: Float[Tensor, " n1"]) -> Float[Tensor, ""]:
    """The fraction of shape 1's area whose vertices are hit by the map 2 → 1; 1 for a map onto."""
    hit = torch.zeros_like(mass1)
    hit[p2p21] = 1
    return (hit * mass1).sum() / mass1.sum()
