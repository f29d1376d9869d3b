"""The largest distance between two sets of embeddings, exact, and never all distances at once."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pullback.mapping import search_triton
from pullback.mapping.clusters import Clusters, compact_strips
from pullback.mapping.embeddings import (
    check_embeddings,
    column_tiles,
    full_precision,
    homogeneous_query,
    homogeneous_reference,
    row_strips,
)
from pullback.mapping.fused import has_fused_kernels
from pullback.mapping.parallel import each, run_alone
from pullback.mapping.scratch import Scratch

# Pairs of points from which it pays to look for clusters that are too close to each other.
_MANY_PAIRS = 2**27


@torch.no_grad()
def largest_distance(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> Float[Tensor, ""]:
    """The exact ``max_ij |query_i - reference_j|``, a constant for autograd.

    Most points cannot take part: with norms about a common centre, ``|q_i| + max_j |r_j|`` bounds every distance of
    q_i, and is compared with a distance found by walking to the farthest point a few times. Of many points that remain,
    whole clusters are ruled out in the same way; the rest is searched exhaustively. Raises ValueError for embeddings
    that do not fit together.
    """
    check_embeddings(query, reference)
    with full_precision(query.device):
        return run_alone(lambda: _largest_distance(query, reference), query.device)


def _largest_distance(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> Float[Tensor, ""]:
    centre = (query.mean(dim=0) + reference.mean(dim=0)) / 2
    query, reference = query - centre, reference - centre
    query_norm, reference_norm = query.norm(dim=1), reference.norm(dim=1)
    found = _distance_walk(query, reference)
    query = query[_may_reach(query_norm, reference_norm, found)]
    reference = reference[_may_reach(reference_norm, query_norm, found)]
    if has_fused_kernels(query.device):
        return torch.maximum(found, search_triton.largest_distance(query, reference))
    near = homogeneous_reference(reference)
    rows: Sequence[slice | Tensor] = list(row_strips(len(query), len(near), query.device))
    clusters, scratch = None, Scratch()
    if query.device.type == "cpu" and len(query) * len(near) >= _MANY_PAIRS:
        clusters, rows = Clusters.of(near), compact_strips(query)

    def farthest(ids: slice | Tensor) -> Float[Tensor, ""]:
        columns = None if clusters is None else clusters.beyond(query[ids], found)
        return _farthest(query[ids], near if columns is None else near.index_select(0, columns), scratch)

    return torch.stack([found, *each(farthest, rows)]).max()


def _farthest(query: Float[Tensor, "b p"], reference: Float[Tensor, "m d"], scratch: Scratch) -> Float[Tensor, ""]:
    """The largest distance to a set in homogeneous coordinates; 0 for an empty one."""
    square, rows = torch.linalg.vecdot(query, query), homogeneous_query(query)
    squares = [
        (square - 2 * scratch.product(rows, reference[tile]).amin(dim=1)).max()
        for tile in column_tiles(len(reference), query.device)
    ]
    return torch.stack([square.new_zeros(()), *squares]).max().sqrt()


def _distance_walk(query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> Float[Tensor, ""]:
    """A large distance between the sets: to the farthest point, from there to the farthest, and so on."""
    at = reference.norm(dim=1).argmax()
    for _ in range(2):
        at_query = (query - reference[at]).norm(dim=1).argmax()
        dist = (reference - query[at_query]).norm(dim=1)
        at = dist.argmax()
    return dist[at]


def _may_reach(
    norm: Float[Tensor, " n"], other_norm: Float[Tensor, " m"], distance: Float[Tensor, ""]
) -> Bool[Tensor, " n"]:
    """Which points can be ``distance`` away from the other set.

    A NaN anywhere keeps all, so that it shows in the result.
    """
    slack = 8 * torch.finfo(norm.dtype).eps
    return ~(norm + other_norm.max() < distance * (1 - slack))
