"""Shapes whose distances can be read off: vertices in a row, one tenth apart."""

import torch

from pullback.types import Eigenbasis, GeodesicRows, Shape, ShapePair

SPACING = 0.1


def line_shape(name: str, n: int) -> Shape:
    """n vertices on a line, each with the mass 1/n. Basis, faces and gradients are there for form's sake."""
    x = torch.arange(n, dtype=torch.float32) * SPACING
    basis = Eigenbasis(torch.zeros(1), torch.ones(n, 1), torch.full((n,), 1 / n))
    nothing = torch.zeros(n, n)
    return Shape(name, torch.stack([x, 0 * x, 0 * x], dim=1), torch.tensor([[0, 1, 2]]), basis, nothing, nothing)


def line_pair(n1: int = 8, n2: int = 8, *, corr=None, mirrored=False, names=("a", "b")) -> ShapePair:
    """Landmark i is vertex ``corr[i]`` of both shapes; a mirror image, if any, reverses the line."""
    places = torch.arange(n1)
    dist = SPACING * (places[:, None] - places[None]).abs().float()
    corr = places if corr is None else torch.tensor(corr)
    return ShapePair(
        line_shape(names[0], n1),
        line_shape(names[1], n2),
        corr1=corr,
        corr2=corr,
        corr1_flipped=n1 - 1 - corr if mirrored else None,
        geodesics1=GeodesicRows(places, dist),
    )
