"""A point map made finer: the nearest point of the triangles around each image, in embedding space."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.triangles import check_faces, project_near

# Pairs of a point and a triangle that are examined at once.
_PAIRS = 2**18


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
    face = torch.empty_like(p2p21)
    weights = torch.empty((len(p2p21), 3), dtype=torch.float64, device=query.device)
    block = max(1, _PAIRS // max(1, int(count.max())))
    for rows in torch.arange(len(p2p21), device=query.device).split(block):
        degree = count[p2p21[rows]]
        row = rows.repeat_interleave(degree)
        offset = (start[p2p21[rows]] - degree.cumsum(0) + degree).repeat_interleave(degree)
        around = incident[offset + torch.arange(len(offset), device=offset.device)]
        found, square = project_near(query[row].double(), reference, faces1[around])
        best = _first_least(square, row - rows[0], len(rows))
        face[rows], weights[rows] = around[best], found[best]
    return NearPoints(face, weights.to(query.dtype))


def _first_least(square: Float[Tensor, " m"], group: Int[Tensor, " m"], groups: int) -> Int[Tensor, " g"]:
    """The first of the smallest values of each group."""
    least = square.new_full((groups,), torch.inf).scatter_reduce_(0, group, square, "amin")
    place = torch.where(square == least[group], torch.arange(len(square), device=square.device), len(square))
    return place.new_full((groups,), len(square)).scatter_reduce_(0, group, place, "amin")
