"""Which triangles of a large embedded mesh can be nearest to a few points: all others need no closer look."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Numbers of a block of rows that exist at a time.
_ELEMENTS = 2**23
# Of rounding in distances, in units of eps times the lengths that are subtracted.
_ROUNDING = 64


def faces_within_reach(
    query: Float[Tensor, "m p"], reference: Float[Tensor, "n1 p"], faces: Int[Tensor, "f 3"]
) -> Int[Tensor, " k"]:
    """The numbers, ascending, of all triangles that can hold the nearest point of a query row, and of a few more.

    A point of a triangle is within 1/√3 of its longest edge from one of its corners. Nothing the size of the mesh times
    the dimension is made. NaN rules nothing out.
    """
    reach = _longest_edges(reference, faces) / 3**0.5
    eps = _ROUNDING * torch.finfo(reference.dtype).eps
    kept = torch.zeros(len(faces), dtype=torch.bool, device=faces.device)
    for row in query:
        nearest_corner = _distances(reference, row)[faces].amin(dim=1)
        best = nearest_corner.amin()
        kept |= ~(nearest_corner - reach > best + eps * (row.norm() + best))
    return kept.nonzero()[:, 0]


def _distances(reference: Float[Tensor, "n1 p"], row: Float[Tensor, " p"]) -> Float[Tensor, " n1"]:
    parts = reference.split(max(1, _ELEMENTS // reference.shape[1]))
    return torch.cat([torch.linalg.vector_norm(part - row, dim=1) for part in parts])


def _longest_edges(reference: Float[Tensor, "n1 p"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, " f"]:
    parts = faces.split(max(1, _ELEMENTS // (3 * reference.shape[1])))
    corners = (reference[part] for part in parts)
    return torch.cat([torch.linalg.vector_norm(c - c.roll(1, dims=1), dim=2).amax(dim=1) for c in corners])
