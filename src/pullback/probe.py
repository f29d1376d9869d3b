"""A shape at a few points, with what is read there to judge a map without ground truth."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from pullback.types import Eigenbasis, Movable


@dataclass(frozen=True)
class Probe(Movable):
    """A few well-spread points of a shape of unit area; each stands for the vertices nearest to it, its cell."""

    points: Int[Tensor, " s"]  # vertices of the shape, ascending
    cell: Int[Tensor, " n"]  # for each vertex the number of the point that it is nearest to
    verts: Float[Tensor, "s 3"]  # positions of the points, in units of √area
    basis: Eigenbasis  # restricted to the points, with the masses of their cells: nearly orthonormal
    grad_x: Float[Tensor, "s k"]  # derivatives of the eigenfunctions along the first tangent vector of each point
    grad_y: Float[Tensor, "s k"]  # and along the second; (first, second, outward normal) is right-handed
    near: Int[Tensor, "s neighbours"]  # the nearest other points along the surface
    coords: Float[Tensor, "k 3"]  # coefficients of the positions
    curvature: Float[Tensor, "s c"]  # signed mean curvature at several scales, each with mean 0 and variance 1
    boundary: float  # share of the edges that have one face only

    @property
    def s(self) -> int:
        return len(self.points)
