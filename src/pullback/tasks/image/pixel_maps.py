"""A match of two photographs at their pixels: the flow, and how far it is to be trusted."""

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.grid_match import flow_from_match, values_at_pixels
from pullback.tasks.image.judging import ImageVerdict
from pullback.types import ImagePair, PatchMatch, PatchPair


def pixel_flow(pair: ImagePair, patches: PatchPair, match: PatchMatch) -> Float[Tensor, "2 H2 W2"]:
    """The dense flow 2 → 1; NaN at pixels outside the mask of image 2, which are matched to nothing."""
    image2 = patches.image2
    flow21 = flow_from_match(match.xy21, image2.grid, image2.size, image2.patches)
    return flow21 if pair.image2.mask is None else flow21.masked_fill(~pair.image2.mask, torch.nan)


def pixel_confidence(pair: ImagePair, patches: PatchPair, verdict: ImageVerdict) -> Float[Tensor, "H2 W2"]:
    """The confidence of the patch that each pixel of image 2 lies in; 0 where nothing is matched."""
    image2 = patches.image2
    certain = values_at_pixels(verdict.confidence2, image2.grid, image2.size, image2.patches)
    return certain if pair.image2.mask is None else certain * pair.image2.mask
