"""Two branches of features for photographs: one weighs the patch graph, the functional map aligns the other."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pullback.nn.image_backbone import FeatureMaps, ImageBackbone
from pullback.ranges import at_least
from pullback.types import Movable

Grid = tuple[int, int]  # rows and columns


@dataclass(frozen=True)
class PairFeatures(Movable):
    """The features of a pair of photographs on the patch grid of its graphs. The grids of the two images may differ."""

    basis1: Float[Tensor, "cb h1 w1"]  # of the branch that weighs the graph
    basis2: Float[Tensor, "cb h2 w2"]
    descriptors1: Float[Tensor, "cl h1 w1"]  # of the branch whose features the functional map aligns
    descriptors2: Float[Tensor, "cl h2 w2"]


class JointPCA:
    """Principal components of the patches of both images together ("co-PCA", Zhang et al. 2023), ``dims`` at most.

    Centred on the joint mean. The decomposition is exact, in double precision, and needs no seed; the released code of
    the field draws a randomised one of the same subspace. The largest entry of each component over all patches is
    positive.
    """

    def __init__(self, dims: int = 256):
        at_least(1, dims=dims)
        self.dims = dims

    def __call__(
        self, map1: Float[Tensor, "c h1 w1"], map2: Float[Tensor, "c h2 w2"]
    ) -> tuple[Float[Tensor, "d h1 w1"], Float[Tensor, "d h2 w2"]]:
        n1 = map1[0].numel()
        patches = torch.cat([map1.flatten(1), map2.flatten(1)], dim=1).T
        scores = principal_scores(patches.double(), self.dims).to(map1).T
        return scores[:, :n1].unflatten(1, map1.shape[1:]), scores[:, n1:].unflatten(1, map2.shape[1:])


def principal_scores(samples: Float[Tensor, "n c"], dims: int) -> Float[Tensor, "n d"]:
    """Coordinates of centred samples along their first ``d = min(dims, n, c)`` principal axes."""
    centred = samples - samples.mean(0)
    n, c = centred.shape
    dims = min(dims, n, c)
    if c <= n:
        axes = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :dims]
        scores = centred @ axes
    else:
        energies, directions = torch.linalg.eigh(centred @ centred.T)
        scores = (directions * energies.clamp(min=0).sqrt()).flip(1)[:, :dims]
    largest = scores.gather(0, scores.abs().argmax(0, keepdim=True))
    return torch.where(largest < 0, -scores, scores)


def resample(feat: Float[Tensor, "c h w"], grid: Grid) -> Float[Tensor, "c h2 w2"]:
    """The same functions on another grid, bilinearly between patch centres, constant beyond the outermost.

    A grid coarser than half samples the functions and does not average them.
    """
    if feat.shape[1:] == grid:
        return feat
    return nn.functional.interpolate(feat[None], size=grid, mode="bilinear", align_corners=False)[0]


class Branch(nn.Module):
    """A frozen backbone, and what becomes of its maps: reduction, one grid, concatenation, normalisation.

    The maps keep the order in which the backbone gives them. ``normalise`` gives every patch a feature of length 1 in
    the end.
    """

    def __init__(self, backbone: ImageBackbone, *, reduce: JointPCA | None = None, normalise: bool = False):
        super().__init__()
        self.backbone = backbone
        self.reduce = reduce
        self.normalise = normalise

    @property
    def needs_pair(self) -> bool:
        """Whether an image's features depend on the image that it is paired with."""
        return self.reduce is not None

    def combine(
        self, maps1: FeatureMaps, maps2: FeatureMaps, grids: tuple[Grid, Grid] | None = None
    ) -> tuple[Float[Tensor, "c h1 w1"], Float[Tensor, "c h2 w2"]]:
        """Features of both images, on the finest grid among each image's maps or on the given ones."""
        if maps1.keys() != maps2.keys():
            raise ValueError(
                f"both images need the same maps; image 1 has {', '.join(maps1)}, image 2 has {', '.join(maps2)}"
            )
        grid1, grid2 = grids or (finest_grid(maps1), finest_grid(maps2))
        pairs = [(maps1[name], maps2[name]) for name in maps1]
        if self.reduce is not None:
            pairs = [self.reduce(*pair) for pair in pairs]
        return self._assembled([one for one, _ in pairs], grid1), self._assembled([two for _, two in pairs], grid2)

    def _assembled(self, maps: list[Float[Tensor, "_c _h _w"]], grid: Grid) -> Float[Tensor, "c h w"]:
        feat = torch.cat([resample(one, grid) for one in maps])
        return nn.functional.normalize(feat, dim=0) if self.normalise else feat


def finest_grid(maps: FeatureMaps) -> Grid:
    """Rows and columns of the map with the most patches."""
    h, w = max((one.shape[1:] for one in maps.values()), key=lambda grid: grid[0] * grid[1])
    return h, w


class Fusion(nn.Module):
    """A basis branch, which weighs the patch graph, and a descriptors branch, which the map aligns.

    Both end on one grid for each image: that of the branch named by ``grid`` (basis or descriptors), or the finer of
    the two (finest). Branches that describe the same network share it.
    """

    def __init__(self, basis: Branch, descriptors: Branch, *, grid: str = "basis"):
        super().__init__()
        if grid not in ("basis", "descriptors", "finest"):
            raise ValueError(f"grid={grid!r} is unknown; use basis, descriptors or finest")
        self.basis, self.descriptors, self.grid = basis, descriptors, grid
        if self.same_backbone:
            descriptors.backbone = basis.backbone

    @property
    def same_backbone(self) -> bool:
        """Whether the maps of one branch serve for both."""
        one, other = self.basis.backbone, self.descriptors.backbone
        # A precision is part of the fingerprint only where it counts, on a GPU; the backbones may move there later.
        return one is other or (one.precision == other.precision and one.fingerprint() == other.fingerprint())

    @property
    def needs_pair(self) -> bool:
        """Whether the patch graph of an image, and with it the basis, depends on the image that it is paired with."""
        return self.basis.needs_pair

    def grid_of(self, maps_basis: FeatureMaps, maps_descriptors: FeatureMaps) -> Grid:
        """Rows and columns of an image's patch graph."""
        grids = {"basis": finest_grid(maps_basis), "descriptors": finest_grid(maps_descriptors)}
        if self.grid == "finest":
            return max(grids.values(), key=lambda grid: grid[0] * grid[1])
        return grids[self.grid]

    def features(
        self,
        maps_basis1: FeatureMaps,
        maps_basis2: FeatureMaps,
        maps_descriptors1: FeatureMaps,
        maps_descriptors2: FeatureMaps,
    ) -> PairFeatures:
        """Features of both branches on the grids of the graphs, from the maps of their backbones."""
        grids = self.grid_of(maps_basis1, maps_descriptors1), self.grid_of(maps_basis2, maps_descriptors2)
        basis1, basis2 = self.basis.combine(maps_basis1, maps_basis2, grids)
        descriptors1, descriptors2 = self.descriptors.combine(maps_descriptors1, maps_descriptors2, grids)
        return PairFeatures(basis1, basis2, descriptors1, descriptors2)
