"""Functions on a photograph, such as heat maps, carried to another one: by a functional map, by nearest neighbours of
features, or by a point map.

They are given at pixels and carried between patches: means over patches, and bilinear back to pixels.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, normalize

from pullback.mapping.pointmap import nearest
from pullback.types import PatchImage


def patch_means(heats1: Float[Tensor, "a H1 W1"], image1: PatchImage) -> Float[Tensor, "n1 a"]:
    """The mean of functions on photograph 1 over each patch of its graph.

    Raises ValueError when they have another size than the photograph.
    """
    if tuple(heats1.shape[1:]) != tuple(image1.size):
        raise ValueError(
            f"heat1 has size {tuple(heats1.shape[1:])} but photograph {image1.name} has {tuple(image1.size)} "
            "(height, width)"
        )
    means = interpolate(heats1[None], size=image1.grid, mode="area")[0].flatten(1).T
    return means[image1.patches.to(means.device)]


def heats_by_fmap(
    means1: Float[Tensor, "n1 a"], fmap12: Float[Tensor, "k2 k1"], image1: PatchImage, image2: PatchImage
) -> Float[Tensor, "n2 a"]:
    """Functions on the patches of photograph 1 carried by the functional map: their coefficients, ``fmap12``, synthesis
    on the patches of photograph 2, negative values cut off.
    """
    k2, k1 = fmap12.shape
    return image2.basis.first(k2).synthesise(fmap12 @ image1.basis.first(k1).project(means1)).clamp_min(0)


def heats_by_features(means1: Float[Tensor, "n1 a"], image1: PatchImage, image2: PatchImage) -> Float[Tensor, "n2 a"]:
    """The same by nearest neighbours: each patch of photograph 2 takes the value of the patch of photograph 1 with the
    most similar descriptor (cosine).
    """
    query, reference = (normalize(image.feat.float(), dim=1) for image in (image2, image1))
    return means1[nearest(query, reference).to(means1.device)]


def pixels_of_patches(
    values: Float[Tensor, "n a"], patches: Int[Tensor, " n"], grid: tuple[int, int], size: tuple[int, int]
) -> Float[Tensor, "a H W"]:
    """Values of patches at pixels, bilinear; zero on patches outside the graph."""
    whole = values.new_zeros(values.shape[1], grid[0] * grid[1])
    whole[:, patches] = values.T
    return interpolate(whole.view(1, -1, *grid), size=size, mode="bilinear", align_corners=False)[0]


def heats_at_matches(heats1: Float[Tensor, "a H1 W1"], flow21: Float[Tensor, "2 H2 W2"]) -> Float[Tensor, "a H2 W2"]:
    """Functions on photograph 1 at the match of each pixel of photograph 2; zero where the match lies outside."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=flow21.dtype) for n in flow21.shape[1:]), indexing="ij")
    size = flow21.new_tensor([heats1.shape[2], heats1.shape[1]])
    at = (2 * (torch.stack([x, y], dim=-1) + flow21.permute(1, 2, 0)) + 1) / size - 1
    return grid_sample(heats1.to(flow21.dtype)[None], at[None], align_corners=False)[0]
