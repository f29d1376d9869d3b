"""How good the correspondence of one pair of photographs is: errors of keypoints, errors of dense flow, smoothness.

Answers lie on image 1, so errors are in pixels of image 1. A point is correct at κ when its error is within κ·L, where
L is the longer side of what the protocol names (`reference_length`): papers on the same data differ in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pullback.metrics.heat import HeatScore
from pullback.types import Image, ImagePair

CURVE = tuple(i / 400 for i in range(81))  # the κ at which points are counted, 0 … 0.2; holds those of every table
UNKNOWN_FLOW = 1e9  # Middlebury's files write unknown flow as numbers above this
REFERENCES = ("image1", "image2", "both", "box1")


@dataclass(frozen=True)
class PointScore:
    """The errors of the points of one pair, as counts and means: a photograph has millions of pixels."""

    count: int
    # how many points are correct at each κ of CURVE; float64, counts of several pairs add up
    within: Float[Tensor, " s"]
    mean: float  # mean error in pixels
    mean_square: float  # mean squared error in pixels²
    length: float  # L in pixels

    def correct(self, threshold: float) -> float:
        """Number of correct points at κ = ``threshold``, one of CURVE."""
        return self.within[CURVE.index(threshold)].item()

    def pck(self, threshold: float) -> float:
        """Share of correct points at κ = ``threshold``, one of CURVE."""
        return self.correct(threshold) / self.count


@dataclass(frozen=True)
class ImageScore:
    """The quality of one correspondence 2 → 1 between photographs.

    What cannot be known without ground truth is None.
    """

    flow: PointScore | None  # over the pixels of image 2 with known flow, inside its mask if it has one
    keypoints: PointScore | None
    smoothness: float | None  # of the predicted flow, pixels per pixel; None where keypoints alone were predicted
    smoothness_truth: float | None  # of the true flow over the same pixels
    region: str  # where the smoothness is measured: "known pixels", "box", "mask" or "image"
    excluded_pixels: int | None = None  # pixels of the mask (of the image without one) whose true flow is unknown
    # means over the functions that the pair carries from image 1 to image 2, by the way they are carried
    heats: Mapping[str, HeatScore] = field(default_factory=dict)

    @property
    def points(self) -> PointScore | None:
        """What PCK counts: pixels where the flow is known, else keypoints."""
        return self.flow if self.flow is not None else self.keypoints

    @property
    def mean(self) -> float | None:
        """Mean error as a share of L, to rank pairs of photographs of different sizes.

        Of pairs with functions alone: what is missing to the overlap of the best way.
        """
        if self.points is None:
            return 1 - max(heat.iou for heat in self.heats.values()) if self.heats else None
        return self.points.mean / self.points.length


def score_keypoints(predicted1: Float[Tensor, "t 2"], truth1: Float[Tensor, "t 2"], *, length: float) -> PointScore:
    """Errors of keypoints carried over to image 1.

    Correct means strictly below κ·L, as in the benchmarks on SPair-71k.
    """
    return _counted((predicted1.double() - truth1.double()).norm(dim=1), length, strict=True)


def score_flow(
    flow21: Float[Tensor, "2 H2 W2"],
    truth21: Float[Tensor, "2 H2 W2"],
    known2: Bool[Tensor, "H2 W2"] | None = None,
    *,
    length: float,
    mask2: Bool[Tensor, "H2 W2"] | None = None,
) -> PointScore:
    """Errors of a dense flow at the `evaluated_pixels`. Correct means at most κ·L, as in the benchmarks on TSS."""
    pixels = evaluated_pixels(truth21, known2, mask2)
    return _counted((flow21[:, pixels].double() - truth21[:, pixels].double()).norm(dim=0), length, strict=False)


def evaluated_pixels(
    truth21: Float[Tensor, "2 H2 W2"],
    known2: Bool[Tensor, "H2 W2"] | None = None,
    mask2: Bool[Tensor, "H2 W2"] | None = None,
) -> Bool[Tensor, "H2 W2"]:
    """The pixels of image 2 with known true flow: finite, below UNKNOWN_FLOW, in ``known2`` and in the mask."""
    pixels = (truth21.abs() < UNKNOWN_FLOW).all(dim=0)  # false for infinities and NaN
    for other in (known2, mask2):
        pixels = pixels if other is None else pixels & other
    return pixels


def smoothness(flow21: Float[Tensor, "2 H2 W2"], region2: Bool[Tensor, "H2 W2"]) -> float:
    """``Σ |∂x flow| + |∂y flow|`` over both channels, divided by the number of pixels of the region; pixels per pixel.

    Forward differences of the flow, set to 0 outside the region, with the last row and column repeated. The jumps at
    the region's outline count too, so the figure also grows with the length of the flow; the ground truth's own value
    is to be read beside it. As in the baselines of "Zero-Shot Image Feature Consensus with Deep Functional Maps" (Cheng
    et al. 2024). Raises ValueError for a region without pixels.
    """
    if not region2.any():
        raise ValueError("the smoothness has no pixel to be measured on: the mask, or the box, of image 2 is empty")
    flow = torch.where(region2, flow21.double(), 0.0)  # not a product: 0 · inf is NaN
    total = flow.diff(dim=1).abs().sum() + flow.diff(dim=2).abs().sum()
    return (total / region2.sum()).item()


def object_region(photo: Image) -> tuple[Bool[Tensor, "H W"], str]:
    """Where a photograph shows its object, and what says so: "box", "mask" or the whole "image"."""
    height, width = photo.size
    if photo.box is not None:
        x0, y0, x1, y1 = photo.box.tolist()
        x, y = torch.arange(width), torch.arange(height)
        inside = ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))[None]
        return inside.to(photo.pixels.device), "box"
    if photo.mask is not None:
        return photo.mask, "mask"
    return torch.ones(height, width, dtype=torch.bool, device=photo.pixels.device), "image"


def reference_length(reference: str, pair: ImagePair) -> float:
    """L in pixels: ``max(height, width)`` of "image1", "image2", "both" (the larger), or image 1's box ("box1")."""
    if reference not in REFERENCES:
        raise ValueError(f"pck_reference={reference!r} is not known; choose one of {', '.join(REFERENCES)}")
    if reference == "box1":
        if pair.image1.box is None:
            raise ValueError(
                f"{pair.name}: pck_reference=box1 needs a box, and {pair.image1.name} has none; use "
                "pck_reference=image1"
            )
        x0, y0, x1, y1 = pair.image1.box.tolist()
        return max(x1 - x0, y1 - y0)
    sides = {"image1": pair.image1.size, "image2": pair.image2.size, "both": pair.image1.size + pair.image2.size}
    return float(max(sides[reference]))


def _counted(errors: Float[Tensor, " t"], length: float, *, strict: bool) -> PointScore:
    if len(errors) == 0:
        raise ValueError(
            "there is no point to score: no keypoint, or no pixel of image 2 with known flow inside its mask "
            "(masks are > 0)"
        )
    if not torch.isfinite(errors).all():
        raise ValueError("an error is not finite: the prediction, or the ground truth, holds NaN or infinity")
    if length <= 0:
        raise ValueError(f"the reference length of PCK is {length} pixels; it must be positive")
    limits = length * torch.tensor(CURVE, dtype=torch.float64, device=errors.device)
    within = torch.searchsorted(errors.sort().values, limits, right=not strict)
    square = errors.square().mean().item()
    return PointScore(len(errors), within.double().cpu(), errors.mean().item(), square, length)
