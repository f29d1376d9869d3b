"""A point map made finer: the nearest point of the triangles around each image, in embedding space."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.search import exact_squares
from pullback.mapping.triangles import check_faces, edge_squares, project_on_triangles

# Pairs of a point and a triangle that are examined at once: their rows stay in the processor's cache.
_PAIRS = 2**14


class NearPoints(NamedTuple):
    """For each point of shape 2 a point of a triangle of shape 1."""

    face: Int[Tensor, " n2"]
    weights: Float[Tensor, "n2 3"]  # barycentric: ≥ 0, rows sum to 1; of its corners in their order


@torch.no_grad()
def near_points(
    p2p21: Int[Tensor, " n2"],
    query: Float[Tensor, "n2 p"],
    reference: Float[Tensor, "n1 p"],
    faces1: Int[Tensor, "f 3"],
) -> NearPoints:
    """The nearest point to each query row of the triangles that the image of its point map is a corner of.

    As ``precise_map`` wherever the nearest triangle is one around the nearest vertex, in time that grows with the
    points alone. Computed in float64. Raises ValueError for faces that do not fit, and for an image in no triangle.
    """
    check_faces(faces1, len(reference))
    count = torch.bincount(faces1.flatten(), minlength=len(reference))
    if int(count[p2p21].min()) == 0:
        raise ValueError(f"vertex {int(p2p21[count[p2p21] == 0][0])} of shape 1 is in no triangle")
    incident, start = faces1.flatten().argsort(stable=True) // 3, count.cumsum(0) - count
    block = max(1, _PAIRS // max(1, int(count.max())))
    edges = torch.cat([edge_squares(reference, some) for some in faces1.split(_PAIRS)])
    face = torch.empty_like(p2p21)
    weights = torch.empty((len(p2p21), 3), dtype=torch.float64, device=query.device)
    for rows in torch.arange(len(p2p21), device=query.device).split(block):
        image, points = p2p21[rows], query[rows].double()
        degree = count[image]
        row = torch.arange(len(rows), device=query.device).repeat_interleave(degree)
        offset = (start[image] - degree.cumsum(0) + degree).repeat_interleave(degree)
        around = incident[offset + torch.arange(len(offset), device=offset.device)]
        corners = faces1[around]
        square = exact_squares(points, reference[image])[row, None].repeat(1, 3)  # the image is a corner of them all
        other, corner = (corners != image[row, None]).nonzero().unbind(dim=1)
        square[other, corner] = exact_squares(points[row[other]], reference[corners[other, corner]])
        found, least = project_on_triangles(square, edges[around])
        best = _first_least(least, row, len(rows))
        face[rows], weights[rows] = around[best], found[best]
    return NearPoints(face, weights.to(query.dtype))


def _first_least(square: Float[Tensor, " m"], group: Int[Tensor, " m"], groups: int) -> Int[Tensor, " g"]:
    """The first of the smallest values of each group."""
    least = square.new_full((groups,), torch.inf).scatter_reduce_(0, group, square, "amin")
    place = torch.where(square == least[group], torch.arange(len(square), device=square.device), len(square))
    return place.new_full((groups,), len(square)).scatter_reduce_(0, group, place, "amin")
