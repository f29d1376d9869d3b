"""Dense histograms of gradient orientations, after SIFT (Lowe 2004) and DAISY (Tola et al. 2010).

The backbone that needs no download. It matches what looks alike, not what means the same.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pullback.nn.image_backbone import ImageBackbone, Scalar
from pullback.ranges import at_least
from pullback.types import Image

RING = 8  # places of a ring
CLIP = 0.2  # share of one bin in a normalised histogram: no single strong edge rules a descriptor (Lowe 2004)
# mean gradient (of a photograph in [0, 1], per pixel) below which a place counts as flat: about one grey level
QUIET = 0.004
GAMMA = 0.5  # square root of the intensity, as in HOG: a brighter exposure changes gradients less


class DenseGradients(ImageBackbone):
    """One map ``gradients``: histograms of orientations at each patch and on a ring around it, for each scale.

    ``scales`` are the deviations, in pixels of the resized photograph, of the Gaussians that pool the gradients; a ring
    has twice its scale as radius, and the gradients themselves are taken after a blur of a quarter of it.
    ``orientations`` bins cover the full turn, or half of it with ``signed=False`` (a dark object before light, or a
    light one before dark). The histograms of a scale are normalised together to length 1, clipped, and put under a
    square root (RootSIFT, Arandjelović & Zisserman 2012), so that neither exposure nor contrast matters. ``colour`` is
    the weight of two opponent channels at each scale (0: none), divided by the intensity and less their mean over the
    photograph, so that the light's colour matters little; it helps to find the same object again, and misleads between
    objects of one kind (cars).

    Raises ValueError for options out of range.
    """

    def __init__(
        self,
        *,
        patch: int = 8,
        size: int = 480,
        scales: Sequence[float] = (6.0, 12.0, 24.0),
        orientations: int = 8,
        signed: bool = True,
        colour: float = 0.0,
        max_batch: int = 4,
    ):
        if not scales or min(scales) <= 0:
            raise ValueError(
                f"scales={list(scales)}: at least one deviation above 0 pixels is needed, as [6.0, 12.0, 24.0]"
            )
        at_least(3, orientations=orientations)  # fewer bins tell no directions
        at_least(0, colour=colour)
        at_least(1, patch=patch)
        super().__init__(size=size, multiple=patch, max_batch=max_batch)
        self.scales, self.orientations, self.signed, self.colour = (
            tuple(map(float, scales)),
            orientations,
            signed,
            float(colour),
        )
        self.freeze()

    def options(self) -> dict[str, Scalar]:
        scales = ",".join(map(str, self.scales))
        return {
            "patch": self.multiple,
            "scales": scales,
            "orientations": self.orientations,
            "signed": self.signed,
            "colour": self.colour,
        }

    def compute(
        self, images: Float[Tensor, "b 3 H W"], photos: Sequence[Image]
    ) -> dict[str, Float[Tensor, "b _c _h _w"]]:
        brightness = intensity(images) ** GAMMA
        parts = []
        for scale in self.scales:
            energy = oriented_gradients(blur(brightness, scale / 4), bins=self.orientations, signed=self.signed)
            parts.append(normalise(on_rings(blur(energy, scale), patch=self.multiple, radius=2 * scale)))
        if self.colour:
            opponents = opponent_channels(images)
            parts += [self.colour * at_offset(blur(opponents, scale), patch=self.multiple) for scale in self.scales]
        return {"gradients": torch.cat(parts, dim=1)}


def intensity(images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 1 H W"]:
    """Weighted mean of red, green and blue as the eye weighs them."""
    weights = images.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True)


def blur(images: Float[Tensor, "b c H W"], deviation: float) -> Float[Tensor, "b c H W"]:
    """Gaussian of the given deviation in pixels, cut at three of them; the border is continued by its last pixel."""
    height, width = images.shape[2:]
    return smoothing(height, deviation).to(images) @ images @ smoothing(width, deviation).to(images).T


def smoothing(n: int, deviation: float) -> Float[Tensor, "n n"]:
    """A row of pixels, blurred, as a matrix: on the CPU several times faster than a long convolution."""
    radius = max(1, math.ceil(3 * deviation))
    offsets = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-(offsets**2) / (2 * deviation**2))
    places = (torch.arange(n)[:, None] + offsets).clamp(0, n - 1)
    return torch.zeros(n, n).scatter_add_(1, places, (kernel / kernel.sum()).expand(n, -1))


def oriented_gradients(image: Float[Tensor, "b 1 H W"], *, bins: int, signed: bool) -> Float[Tensor, "b o H W"]:
    """Length of the gradient in each pixel, shared by the two bins nearest to its direction.

    Bin 0 points right, the next ones down.
    """
    padded = nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    dx = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    dy = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    turn = 2 * math.pi if signed else math.pi
    position = torch.atan2(dy, dx) / turn * bins  # in bins
    centres = torch.arange(bins, device=image.device, dtype=image.dtype)[:, None, None]
    away = (position - centres + bins / 2) % bins - bins / 2
    return torch.hypot(dx, dy) * (1 - away.abs()).clamp_min(0)


def on_rings(energy: Float[Tensor, "b o H W"], *, patch: int, radius: float) -> Float[Tensor, "b c h w"]:
    """The pooled histograms at the centre of each patch and at ``RING`` places around it."""
    angles = [2 * math.pi * i / RING for i in range(RING)]
    offsets = [(0.0, 0.0), *((radius * math.cos(angle), radius * math.sin(angle)) for angle in angles)]
    return torch.cat([at_offset(energy, patch=patch, dx=dx, dy=dy) for dx, dy in offsets], dim=1)


def at_offset(
    values: Float[Tensor, "b c H W"], *, patch: int, dx: float = 0.0, dy: float = 0.0
) -> Float[Tensor, "b c h w"]:
    """Bilinear values at an offset in pixels from the centre of every patch; beyond the border those of the border."""
    height, width = values.shape[2:]
    y = (torch.arange(height // patch, device=values.device, dtype=values.dtype) + 0.5) * patch - 0.5 + dy
    x = (torch.arange(width // patch, device=values.device, dtype=values.dtype) + 0.5) * patch - 0.5 + dx
    y, x = (2 * y + 1) / height - 1, (2 * x + 1) / width - 1
    places = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=2)
    return nn.functional.grid_sample(
        values, places.expand(len(values), -1, -1, -1), padding_mode="border", align_corners=False
    )


def normalise(histograms: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Length 1, clipped, then square roots of the shares; a flat place keeps a short descriptor."""
    shares = histograms / histograms.norm(dim=1, keepdim=True).clamp_min(QUIET)
    clipped = shares.clamp_max(CLIP)
    return (clipped / clipped.sum(dim=1, keepdim=True).clamp_min(1.0)).sqrt()


def opponent_channels(images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 2 H W"]:
    """Red against green and yellow against blue, as shares of the intensity, less their mean over the photograph."""
    red, green, blue = images.split(1, dim=1)
    total = (red + green + blue).clamp_min(0.1)
    channels = torch.cat([(red - green) / math.sqrt(2), (red + green - 2 * blue) / math.sqrt(6)], dim=1) / total * 3
    return channels - channels.mean(dim=(2, 3), keepdim=True)
