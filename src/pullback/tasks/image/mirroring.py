"""Pairs in which left and right may be exchanged: the mirrored source is matched too, and the likelier match kept."""

from collections.abc import Callable, Sequence

import torch

from pullback.mapping.patch_energies import patch_distortion
from pullback.mapping.patch_votes import strongest_vote
from pullback.tasks.image.patches import PatchLibrary
from pullback.types import ImagePair, PatchMatch, PatchPair

CHOICES = ("never", "auto")
_BEST = 0.25  # of the patches, those that are bent least: what is around the object need not correspond
# How many times likelier the mirrored match must look. On 90 pairs of PF-WILLOW's cars and ducks, with either of two
# fusions, none was mirrored to its harm, and of the same pairs artificially mirrored 4 in 10 were found; of 120
# unseen pairs two bottles were, in which left and right look almost alike.
_CERTAIN = 3.0
_TINY = 1e-4

Solver = Callable[[Sequence[PatchPair]], list[PatchMatch]]
Found = tuple[list[PatchPair], list[PatchMatch]]


@torch.no_grad()
def either_way(
    pairs: Sequence[ImagePair], straight: Found, library: PatchLibrary, solver: Solver, *, device: torch.device
) -> Found:
    """The matches ``straight`` or, where they look likelier, those of the mirrored sources.

    In the coordinates of the photographs as they are: a mirrored source lends its features and basis, put back into
    their places.
    """
    patches, matches = list(straight[0]), list(straight[1])
    turned = [library.pair(pair, device=device, mirrored=True) for pair in pairs]
    for i, (pair, match) in enumerate(zip(turned, solver(turned), strict=True)):
        if preference(patches[i], matches[i], pair, match) > _CERTAIN:
            patches[i], matches[i] = pair, match
    return patches, matches


def preference(straight: PatchPair, match: PatchMatch, turned: PatchPair, mirrored: PatchMatch) -> float:
    """How many times likelier the mirrored match looks: it bends less, and more patches agree on one place of it."""
    bent = [max(_bent(*way), _TINY) for way in ((straight, match), (turned, mirrored))]
    votes = [strongest_vote(straight), strongest_vote(turned, mirrored=True)]
    return bent[0] / bent[1] * votes[1] / max(votes[0], _TINY)


def _bent(pair: PatchPair, match: PatchMatch) -> float:
    """The conformal distortion of the best quarter of the patches, which mirroring leaves as it is."""
    return float(patch_distortion(match.xy21, pair.image1, pair.image2)[1].quantile(_BEST))
