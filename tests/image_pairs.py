"""Pairs of photographs whose true correspondence is an affine map of pixel places,
so that every figure can be worked out by hand.
"""

import torch
from torch import Tensor

from pullback.types import Image, ImagePair


def photo(name: str, size: tuple[int, int], **known) -> Image:
    return Image(name, torch.zeros(3, *size, dtype=torch.uint8), **known)


def pixel_places(size: tuple[int, int]) -> Tensor:
    """xy of every pixel, (2, height, width)."""
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack([x, y]).float()


def stretched(xy: Tensor, size1: tuple[int, int], size2: tuple[int, int]) -> Tensor:
    """Places (…, 2) on image 2 → image 1 when image 1 is image 2 resized: pixel centres at integers."""
    scale = torch.tensor([size1[1] / size2[1], size1[0] / size2[0]])
    return (xy + 0.5) * scale - 0.5


def stretched_pair(
    name: str = "pair",
    size1: tuple[int, int] = (24, 48),
    size2: tuple[int, int] = (32, 24),
    *,
    subset: str = "",
    dense: bool = True,
    keypoints: bool = False,
    mask2: Tensor | None = None,
) -> ImagePair:
    """Image 1 is image 2 resized; the sizes, and the ratios of their sides, differ."""
    places = pixel_places(size2)
    keypoints2 = torch.tensor([[2.0, 3.0], [20.0, 5.0], [11.5, 28.0]])
    box1 = torch.tensor([0.0, 0.0, 20.0, 10.0])
    return ImagePair(
        name,
        photo(f"{name}-1", size1, box=box1 if keypoints else None),
        photo(f"{name}-2", size2, mask=mask2),
        subset=subset,
        keypoints1=stretched(keypoints2, size1, size2) if keypoints else None,
        keypoints2=keypoints2 if keypoints else None,
        flow21=stretched(places.movedim(0, -1), size1, size2).movedim(-1, 0) - places if dense else None,
        known2=torch.ones(size2, dtype=torch.bool) if dense else None,
    )


class PairList(list[ImagePair]):
    """Pairs in memory, with what data sets tell of a pair before they read its files."""

    def name(self, i: int) -> str:
        return self[i].name

    def subset(self, i: int) -> str:
        return self[i].subset
