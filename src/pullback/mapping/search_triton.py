"""Nearest neighbours and largest distances as fused GPU kernels, which store nothing of size n2 × n1."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.embeddings import full_precision, homogeneous, row_panels
from pullback.mapping.search import Search
from pullback.mapping.split_rows import SplitPoints


@torch.no_grad()
def nearest(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> Int[Tensor, " n2"]:
    """The point map ``p2p21``: for each query row the nearest reference row.

    In float64 of equally near ones the first, as :func:`pullback.mapping.search.exact_squares` compares them. In
    float32 the first whose sum is the largest, as the kernel adds: that is the first of equal rows on a device that
    adds up all columns of a tile in one order, as NVIDIA's do; elsewhere, as in Triton's interpreter, any of those that
    rounding cannot tell apart.
    """
    if query.dtype == torch.float64:
        with full_precision(query.device):
            return Search.of(query, reference).nearest()
    from pullback.mapping import triton_kernels_launch as kernels

    with full_precision(query.device):
        return kernels.nearest_rows(SplitPoints.of(query, reference, padding=torch.inf))


@torch.no_grad()
def largest_distance(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> Float[Tensor, ""]:
    """``max_ij |query_i - reference_j|`` over all pairs. NaN where one of the points is."""
    with full_precision(query.device):
        if query.dtype == torch.float64:
            query, reference = homogeneous(query, reference)
            norm = (query[:, :-1] ** 2).sum(dim=1)
            panels = row_panels(len(query), len(reference), query.device)
            return (
                torch.cat([norm[rows] - 2 * (query[rows] @ reference.T).amin(dim=1) for rows in panels])
                .amax()
                .clamp_min(0)
                .sqrt()
            )
        from pullback.mapping import triton_kernels_launch as kernels

        points = SplitPoints.of(query, reference, padding=-torch.inf)
        # The kernel's minimum passes over NaN; sums of the rows do not.
        lost = query.sum() * 0
        return (kernels.farthest_half_squares(points).amin() * -2).clamp_min(0).sqrt() / points.scale + lost
