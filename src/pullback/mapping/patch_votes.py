"""Does one photograph lie over the other, shifted and scaled? Patches that choose each other vote for where."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv1d

from pullback.mapping.patch_energies import feature_rows
from pullback.types import PatchImage, PatchPair

_TEMPERATURE = 0.05  # of the mutual softmax, in cosine
_VOTERS = 0.01  # of all pairs of patches, those that choose each other most
_SCALES = (0.7, 0.85, 1.0, 1.2, 1.4)  # of the target on the source, in patches
_BLUR = 0.04  # of the longer side: votes for places so near agree


def strongest_vote(pair: PatchPair, *, mirrored: bool = False) -> float:
    """How much of the mutual choice of patches agrees on one shift and scale 2 → 1, at most the number of patches.

    With ``mirrored`` the target lies on the source with left and right exchanged. Both branches choose, equally.
    """
    both = (feature_rows(pair, branch) for branch in ("basis", "descriptors"))
    logits = torch.stack([query @ reference.T for query, reference in both]).sum(dim=0) / (2 * _TEMPERATURE)
    chosen = (2 * logits - logits.logsumexp(dim=0) - logits.logsumexp(dim=1, keepdim=True)).exp()
    weight, place = chosen.flatten().topk(max(1, int(_VOTERS * chosen.numel())))
    two, one = place // chosen.shape[1], place % chosen.shape[1]
    at1, at2 = _from_middle(pair.image1)[one], _from_middle(pair.image2)[two]
    if mirrored:
        at2 = at2 * at2.new_tensor([-1, 1])
    side = max(*pair.image1.grid, *pair.image2.grid)
    return max(_peak(at1 - scale * at2, weight, side) for scale in _SCALES)


def _from_middle(image: PatchImage) -> Float[Tensor, "n 2"]:
    """Columns and rows of patches, from the middle of the grid."""
    rows, columns = image.grid
    place = torch.stack([image.patches % columns, image.patches // columns], dim=1).float()
    return place - place.new_tensor([columns - 1, rows - 1]) / 2


def _peak(shift: Float[Tensor, "v 2"], weight: Float[Tensor, " v"], side: int) -> float:
    """The densest place of weighted shifts, on a grid of one patch."""
    width = 4 * side
    cell = shift.round().long() + 2 * side
    votes = torch.bincount(cell[:, 1] * width + cell[:, 0], weight, minlength=width**2).view(width, width)
    reach = max(1, round(3 * _BLUR * side))
    bell = torch.exp(-((torch.arange(-reach, reach + 1).to(votes) / (_BLUR * side)) ** 2) / 2)
    bell = (bell / bell.sum()).view(1, 1, -1)
    for _ in range(2):
        votes = conv1d(votes[:, None], bell, padding=reach)[:, 0].T
    return float(votes.max())
