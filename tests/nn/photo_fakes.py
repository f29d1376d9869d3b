"""Photographs made up from seeds, for the tests of the backbones."""

import torch
from tests.composing import ROOT

from pullback.data.image.io import read_image
from pullback.types import Image


def textured(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Blobs of several sizes in colour (3, height, width), in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(1, 3, height, width)
    for step in (4, 8, 16):
        coarse = torch.rand(1, 3, max(2, height // step), max(2, width // step), generator=generator)
        image += torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False) / 3
    return image[0].clamp(0, 1)


def photo_of(image: torch.Tensor, name: str = "photo") -> Image:
    return Image(name, (image * 255).round().to(torch.uint8))


def photo(height: int, width: int, *, seed: int = 0, name: str = "photo") -> Image:
    return photo_of(textured(height, width, seed), name)


def embedded_cat() -> torch.Tensor:
    """Chelsea of the embedded photographs, (3, 300, 451) in bytes."""
    return read_image(ROOT / "data" / "photos" / "chelsea.jpg").pixels
