"""The nouns of the project: bases, shapes, pairs, soft maps and matches.

Only the digits 1 and 2 name the two sides of a pair. Point maps run 2 → 1 and functional maps 1 → 2:
a functional map is a pull-back, so the two directions are opposite by nature, and the names say which is meant.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from pullback.brief import OneLine

M = TypeVar("M", bound="Movable")


class Movable(OneLine):
    """Mixin for dataclasses of tensors: ``to(device)`` moves every tensor below, and nothing else."""

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """A copy on another device or, for floating-point fields, of another dtype (arguments of ``Tensor.to``)."""
        moved = {f.name: _moved(getattr(self, f.name), *args, **kwargs) for f in fields(self)}  # type: ignore[arg-type]
        return replace(self, **moved)  # type: ignore[type-var]


def _moved(value: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(value, Movable):
        return value.to(*args, **kwargs)
    if not isinstance(value, Tensor):
        return value
    moved = value.to(*args, **kwargs)
    return moved if value.is_floating_point() else moved.to(value.dtype)


@dataclass(frozen=True, repr=False)
class PointSample(Movable):
    """A few well-spread points that stand for a domain: each carries the mass of the points around it."""

    points: Int[Tensor, " s"]  # ascending ids
    mass: Float[Tensor, " s"]  # > 0; the same sum as that of the whole domain


@dataclass(frozen=True, repr=False)
class Eigenbasis(Movable):
    """The first k eigenfunctions of a Laplacian: ``stiffness φ = λ mass φ``, mass-orthonormal, ascending."""

    evals: Float[Tensor, " k"]  # ≥ 0; unit 1/area, hence dimensionless after unit-area normalisation
    evecs: Float[Tensor, "n k"]
    mass: Float[Tensor, " n"]
    sample: PointSample | None = None  # for solvers that work on a part of the points

    @property
    def k(self) -> int:
        return self.evecs.shape[1]

    @property
    def n(self) -> int:
        return self.evecs.shape[0]

    def first(self, k: int) -> "Eigenbasis":
        """The basis of the k lowest frequencies; all of them where the domain has no more than k points.

        Raises ValueError when fewer are stored than the domain has.
        """
        if k > self.k == self.n:
            return self
        if k > self.k:
            raise ValueError(
                f"{k} eigenfunctions are needed but only {self.k} were prepared; give data.k={k}, or ask for fewer"
            )
        return self if k == self.k else replace(self, evals=self.evals[:k], evecs=self.evecs[:, :k])

    def project(self, values: Float[Tensor, "n *c"]) -> Float[Tensor, "k *c"]:
        """Coefficients ``evecsᵀ diag(mass) values`` of functions given by their values at the points."""
        return (self.evecs * self.mass[:, None]).T @ values

    def synthesise(self, coeffs: Float[Tensor, "k *c"]) -> Float[Tensor, "n *c"]:
        """Values at the points of functions given by coefficients."""
        return self.evecs @ coeffs


@dataclass(frozen=True, repr=False)
class Shape(Movable):
    """A triangle mesh of unit area with its spectral and differential operators."""

    name: str
    verts: Float[Tensor, "n 3"]
    faces: Int[Tensor, "f 3"]
    basis: Eigenbasis
    grad_x: Float[Tensor, "n n"]  # sparse CSR: derivative along the first tangent vector of each vertex
    grad_y: Float[Tensor, "n n"]  # sparse CSR: along the second; (first, second, outward normal) is right-handed

    @property
    def n(self) -> int:
        return self.verts.shape[0]


@dataclass(frozen=True, repr=False)
class GeodesicRows(Movable):
    """Rows of the geodesic distance matrix of one shape, in units of √area."""

    sources: Int[Tensor, " r"]  # ascending vertex ids, one for each row
    dist: Float[Tensor, "r n"]

    def between(self, sources: Int[Tensor, " t"], targets: Int[Tensor, " t"]) -> Float[Tensor, " t"]:
        """Distance from ``sources[i]`` to ``targets[i]``. Raises KeyError when a source has no row."""
        row = torch.searchsorted(self.sources, sources).clamp(max=len(self.sources) - 1)
        if not torch.equal(self.sources[row], sources):
            raise KeyError("geodesic distances were not computed from all of the asked source vertices")
        return self.dist[row, targets]


@dataclass(frozen=True, repr=False)
class ShapePair(Movable):
    """Two shapes and what is known of their correspondence.

    Training needs no ground truth: the optional fields stay None.
    """

    shape1: Shape
    shape2: Shape
    corr1: Int[Tensor, " t"] | None = None  # landmark i is vertex corr1[i] of shape 1 and vertex corr2[i] of shape 2
    corr2: Int[Tensor, " t"] | None = None
    corr1_flipped: Int[Tensor, " t"] | None = None  # where landmark i lies on shape 1 if left and right are exchanged
    geodesics1: GeodesicRows | None = None  # rows of corr1 (and of corr1_flipped)

    @property
    def name(self) -> str:
        return f"{self.shape1.name}-{self.shape2.name}"


@runtime_checkable
class SoftMap(Protocol):
    """A row-stochastic point map 2 → 1 as an operator (n2, n1) that is never stored."""

    @property
    def n1(self) -> int: ...

    @property
    def n2(self) -> int: ...

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """Functions on shape 1, carried to shape 2: each row a weighted mean of the values at the points of shape 1."""
        ...

    def nearest(self) -> Int[Tensor, " n2"]:
        """The hard point map ``p2p21``: the point of shape 1 with the largest weight in each row."""
        ...

    def reverse(self) -> "SoftMap":
        """The soft map 1 → 2 of the same embeddings (row-stochastic again; not the transpose)."""
        ...


@dataclass(frozen=True, repr=False)
class Match(OneLine):
    """What a solver finds for one pair. Losses read the initial and the final map, evaluation the final one."""

    fmap12: Float[Tensor, "k2 k1"]  # after refinement
    map21: SoftMap  # the point map read off fmap12
    fmap12_init: Float[Tensor, "k2_init k1_init"]  # from the features alone
    map21_init: SoftMap
    reverse: "Match | None" = None  # the same in the other direction (1 and 2 exchanged), when a solver is two-way

    @property
    def p2p21(self) -> Int[Tensor, " n2"]:
        return self.map21.nearest()


@dataclass(frozen=True, repr=False)
class Image(Movable):
    """A photograph, and what is known of the object on it.

    Pixel coordinates: x right, y down, pixel centres at integers.
    """

    name: str
    pixels: UInt8[Tensor, "3 H W"]  # red, green, blue
    category: str = ""  # in words, for prompts; empty where nobody said
    mask: Bool[Tensor, "H W"] | None = None  # the object's pixels
    box: Float[Tensor, "4"] | None = None  # x0, y0, x1, y1 around the object, in pixels
    notes: tuple[str, ...] = ()  # what its user should know of how it was read, in words
    path: str = ""  # of its file, for messages

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[1], self.pixels.shape[2]


@dataclass(frozen=True, repr=False)
class ImagePair(Movable):
    """Two photographs and what is known of their correspondence.

    Maps run 2 → 1: questions are asked on image 2, answers lie on image 1. Which photograph of a pair is number 2 is
    for the data set to say: the target of dense benchmarks (``flow2.flo``), the source of keypoint benchmarks, whose
    keypoints are carried over.
    """

    name: str
    image1: Image
    image2: Image
    subset: str = ""  # the part of its data set that it is averaged in
    keypoints1: Float[Tensor, "t 2"] | None = None  # xy in pixels; row i of both is the same point
    keypoints2: Float[Tensor, "t 2"] | None = None
    # for each pixel of image 2 the displacement to its match in image 1; channel 0 is x
    flow21: Float[Tensor, "2 H2 W2"] | None = None
    known2: Bool[Tensor, "H2 W2"] | None = None  # the pixels of image 2 whose flow is known and counts
    heats1: Float[Tensor, "a H1 W1"] | None = None  # functions >= 0 on image 1, to be carried to image 2
    heats2: Float[Tensor, "a H2 W2"] | None = None  # what they are on image 2
    heat_names: tuple[str, ...] = ()  # of each of them, in words
    mirrored: bool = False  # the object is seen from the other side: left and right are exchanged

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user of the pair should know of how its photographs were read, each with the photograph's name."""
        return tuple(
            dict.fromkeys(f"{photo.name}: {note}" for photo in (self.image1, self.image2) for note in photo.notes)
        )


@dataclass(frozen=True, repr=False)
class PatchImage(Movable):
    """A photograph as solvers see it: a graph of patches with a Laplacian basis and the features of two networks."""

    name: str
    grid: tuple[int, int]  # rows and columns of the patch grid, which covers the whole photograph evenly
    size: tuple[int, int]  # height and width of the photograph in pixels
    # ascending row-major indices of the patches in the graph; all of them unless there is a mask
    patches: Int[Tensor, " n"]
    basis: Eigenbasis  # of the patch graph; mass 1 for each patch
    basis_feat: Float[Tensor, "n cb"]  # of the branch that weighs the graph
    feat: Float[Tensor, "n c"]  # of the other branch: the descriptors that the functional map aligns

    @property
    def n(self) -> int:
        return len(self.patches)


@dataclass(frozen=True, repr=False)
class PatchPair(Movable):
    """Two photographs ready to be matched."""

    name: str
    image1: PatchImage
    image2: PatchImage

    def swapped(self) -> "PatchPair":
        """The pair with 1 and 2 exchanged."""
        return PatchPair(self.name, self.image2, self.image1)


@dataclass(frozen=True, repr=False)
class PatchMatch(Movable):
    """What a solver finds for a pair of photographs. Without a functional map (a baseline), those fields are None."""

    # for each patch in the graph of image 2 one in the graph of image 1: an index into ``image1.patches``
    p2p21: Int[Tensor, " n2"]
    xy21: Float[Tensor, "n2 2"]  # the place of its match in pixels of image 1, finer than a patch where the read-out is
    fmap12: Float[Tensor, "k2 k1"] | None = None
    fmap12_init: Float[Tensor, "k2 k1"] | None = None  # before regularisation or optimisation
    # the weighted terms of the optimiser's loss at its end, in the order of its ``terms``
    losses: Float[Tensor, " terms"] | None = None
    reverse: "PatchMatch | None" = None  # the same in the other direction, when asked for
