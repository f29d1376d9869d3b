"""How good a match of two photographs looks without ground truth: energies of its maps 2 → 1 and 1 → 2.

All are about 0 for a photograph and itself, and the larger the worse. Lengths are shares of the longer side.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import max_pool2d, normalize, unfold

from pullback.mapping.fmap import resolvent_mask
from pullback.mapping.grid_match import keypoints_from_match, patch_centres
from pullback.types import PatchImage, PatchMatch, PatchPair

_K = 30  # eigenfunctions in the energies of functional maps
_NEAR = 0.05  # of the longer side: what comes back to less than this has come back
_CAP = 2.0  # logarithms of distortions end here: the wrong part of a map counts by its size, not by how wrong it is
_BEST = 0.25  # of the patches, the best ones: what is around the object need not correspond
_REACH = 2  # patches around an image that count as reached
_SMOOTH = 2  # patches on each side over which derivatives of a map are taken


OF_MAPS = (1, 1, 1, 1, 0, 0, 0, 0)  # the signals of a patch that ask no features


class PatchSignals(NamedTuple):
    """What is known of each patch of image 2 alone."""

    returns: Float[Tensor, " n2"]  # how far it is from where it comes back to
    area: Float[Tensor, " n2"]  # absolute logarithm of the change of area, of areas in shares of the photographs
    angle: Float[Tensor, " n2"]  # logarithm of the quasi-conformal distortion
    mirrored: Float[Tensor, " n2"]  # 1 where left and right are exchanged
    dissent: Float[Tensor, " n2"]  # how far the place of the most similar patch lies from its own
    mutual: Float[Tensor, " n2"]  # 1 where that patch's most similar one is not the patch itself, or next to it
    basis: Float[Tensor, " n2"]  # dissimilarity to its match, in units of that to unrelated patches: both branches
    descriptors: Float[Tensor, " n2"]

    def stacked(self, *, features: bool = True) -> Float[Tensor, "n2 signals"]:
        """The signals side by side; without ``features`` those that ask them are 0."""
        signals = torch.stack(list(self), dim=1)
        return signals if features else signals * signals.new_tensor(OF_MAPS)


class MatchSignals(NamedTuple):
    """The signals of the patches of either photograph, and how different the features of both are as a whole."""

    there: PatchSignals  # of the map 2 → 1, at patches of image 2
    back: PatchSignals  # of the map 1 → 2, at patches of image 1
    strange: dict[str, float]  # by branch


def match_signals(pair: PatchPair, match: PatchMatch, reverse: PatchMatch) -> MatchSignals:
    """The signals of a map 2 → 1 and one back."""
    rows = {branch: feature_rows(pair, branch) for branch in ("basis", "descriptors")}
    products = [query @ reference.T for query, reference in rows.values()]
    likeness = products[0].add_(products[1])
    best1, best2 = likeness.argmax(dim=1), likeness.argmax(dim=0)
    strange = {
        branch: float((query.mean(dim=0) - reference.mean(dim=0)).square().sum())
        for branch, (query, reference) in rows.items()
    }
    there = _signals(pair, match, reverse, list(rows.values()), (best1, best2))
    turned = [(reference, query) for query, reference in rows.values()]
    back = _signals(pair.swapped(), reverse, match, turned, (best2, best1))
    return MatchSignals(there, back, strange)


def patch_energies(pair: PatchPair, match: PatchMatch, reverse: PatchMatch, signals: MatchSignals) -> dict[str, float]:
    """The energies of a match in both directions by name: means of both.

    Those of functional maps are left out where there is none.
    """
    one_way = [_directed(pair, match, signals.there), _directed(pair.swapped(), reverse, signals.back)]
    energies = {name: float((one_way[0][name] + one_way[1][name]) / 2) for name in one_way[0]}
    energies |= {f"strange_{branch}": value for branch, value in signals.strange.items()}
    if match.fmap12 is None or reverse.fmap12 is None:
        return energies
    there, back = unit_fmap(pair, match), unit_fmap(pair.swapped(), reverse)
    k = min(*there.shape, *back.shape)
    one = torch.eye(k).to(there)
    undone = [((a @ b)[:k, :k] - one).square().sum() / k for a, b in ((back, there), (there, back))]
    bent = [((c.T @ c)[:k, :k] - one).square().sum() / k for c in (there, back)]
    return energies | {"bijectivity": float(sum(undone) / 2), "orthogonality": float(sum(bent) / 2)}


def _signals(
    pair: PatchPair,
    match: PatchMatch,
    reverse: PatchMatch,
    rows: Sequence[tuple[Float[Tensor, "n2 _c"], Float[Tensor, "n1 _c"]]],
    best: tuple[Int[Tensor, " n2"], Int[Tensor, " n1"]],
) -> PatchSignals:
    image1, image2 = pair.image1, pair.image2
    centres1, centres2 = (patch_centres(i.grid, i.size, i.patches).to(match.xy21) for i in (image1, image2))
    home = keypoints_from_match(match.xy21, reverse.xy21, image1.grid, image1.size, image1.patches)
    returns = (home - centres2).norm(dim=1) / max(image2.size)
    best1, best2 = best
    dissent = (centres1[best1] - match.xy21).norm(dim=1) / max(image1.size)
    away = (centres2[best2[best1]] - centres2).norm(dim=1) > 1.5 * patch_side(image2)
    found = [unlikeness(*each, match.p2p21) for each in rows]
    distorted = patch_distortion(match.xy21, image1, image2)
    return PatchSignals(returns.clamp(max=1), *distorted, dissent, away.to(returns), *found)


def patch_side(image: PatchImage) -> float:
    """The longer side of a patch in pixels."""
    return max(image.size[0] / image.grid[0], image.size[1] / image.grid[1])


def unlikeness(
    query: Float[Tensor, "n2 c"], reference: Float[Tensor, "n1 c"], p2p21: Int[Tensor, " n2"]
) -> Float[Tensor, " n2"]:
    """How dissimilar the features of each patch of image 2 are to those of its match.

    In units of how dissimilar those of unrelated patches are; rows have length 1.
    """
    joined = 1 - (query * reference[p2p21]).sum(dim=1)
    unrelated = 1 - query.mean(dim=0) @ reference.mean(dim=0)
    return joined / unrelated.clamp_min(torch.finfo(query.dtype).eps)


def patch_distortion(
    xy21: Float[Tensor, "n2 2"], image1: PatchImage, image2: PatchImage
) -> tuple[Float[Tensor, " n2"], Float[Tensor, " n2"], Float[Tensor, " n2"]]:
    """``(area, angle, mirrored)`` at each patch of image 2.

    Absolute logarithm of the change of area (in shares of the photographs' areas), logarithm of the quasi-conformal
    distortion, and whether the map mirrors.

    Derivatives are slopes of planes through the places of the patches around; nothing is read across missing patches.
    """
    slopes = _slopes(xy21, image2) / torch.tensor(image1.size[::-1]).to(xy21).prod().sqrt()
    slopes = slopes * torch.tensor(image2.size).to(xy21).prod().sqrt()
    turned = slopes[:, 0, 0] * slopes[:, 1, 1] - slopes[:, 0, 1] * slopes[:, 1, 0]
    tiny = 1e-6
    stretch = slopes.square().sum(dim=(1, 2)) / 2
    angle = (stretch.clamp_min(tiny) / turned.abs().clamp_min(tiny)).log()
    area = turned.abs().clamp_min(tiny).log().abs()
    return area.clamp(max=_CAP), angle.clamp(0, _CAP), (turned < 0).to(xy21)


def unit_fmap(pair: PatchPair, match: PatchMatch, *, k: int = _K) -> Float[Tensor, "k2 k1"]:
    """The functional map 1 → 2 between bases of unit area, of the first k eigenfunctions of either."""
    assert match.fmap12 is not None
    scale = (pair.image2.basis.mass.sum() / pair.image1.basis.mass.sum()).sqrt()
    return match.fmap12[:k, :k] / scale


def _directed(pair: PatchPair, match: PatchMatch, signals: PatchSignals) -> dict[str, Tensor]:
    area, angle = signals.area, signals.angle
    energies = {
        "cycle": signals.returns.mean(),
        "unreturned": (signals.returns > _NEAR).float().mean(),
        "area": area.mean(),
        "angle": angle.mean(),
        "angle_best": angle.quantile(_BEST),
        "crushed": ((area > 1) | (angle > 1)).float().mean(),
        "mirrored": signals.mirrored.mean(),
        "layout": _layout(match.xy21, pair.image2),
        "uncovered": _uncovered(match.p2p21, pair.image1),
        "dissent": signals.dissent.mean(),
        "mutual": signals.mutual.mean(),
        "features_basis": signals.basis.mean(),
        "features_descriptors": signals.descriptors.mean(),
        "features_best": signals.descriptors.quantile(_BEST),
    }
    if match.fmap12 is None:
        return energies
    fmap12 = unit_fmap(pair, match)
    k2, k1 = fmap12.shape
    mask = resolvent_mask(pair.image1.basis.evals[:k1], pair.image2.basis.evals[:k2])
    return energies | {"commutativity": (fmap12 * mask).square().sum() / k1}


def _layout(xy21: Float[Tensor, "n2 2"], image2: PatchImage) -> Float[Tensor, ""]:
    """How little right stays right and below below: 0 where places correlate, 1 where they do so turned by 180°."""
    here = patch_centres(image2.grid, image2.size, image2.patches).to(xy21)
    here, there = here - here.mean(dim=0), xy21 - xy21.mean(dim=0)
    scale = (here.norm() * there.norm()).clamp_min(torch.finfo(xy21.dtype).eps)
    return (1 - (here * there).sum() / scale) / 2


def feature_rows(pair: PatchPair, branch: str) -> tuple[Float[Tensor, "n2 c"], Float[Tensor, "n1 c"]]:
    """Features of unit length, their mean over both photographs taken off."""
    feats = (
        (pair.image2.basis_feat, pair.image1.basis_feat) if branch == "basis" else (pair.image2.feat, pair.image1.feat)
    )
    query, reference = (normalize(feat, dim=1) for feat in feats)
    mean = (query.sum(dim=0) + reference.sum(dim=0)) / (len(query) + len(reference))
    return normalize(query - mean, dim=1), normalize(reference - mean, dim=1)


def _uncovered(p2p21: Int[Tensor, " n2"], image1: PatchImage) -> Float[Tensor, ""]:
    """Share of the patches of image 1 with no image of a patch within reach."""
    hit = torch.zeros(image1.grid[0] * image1.grid[1], device=p2p21.device)
    hit[image1.patches[p2p21]] = 1
    reached = max_pool2d(hit.view(1, 1, *image1.grid), 2 * _REACH + 1, stride=1, padding=_REACH).flatten()
    return 1 - reached[image1.patches].mean()


def _slopes(xy21: Float[Tensor, "n2 2"], image2: PatchImage) -> Float[Tensor, "n2 2 2"]:
    """Derivatives ``[xy of image 1, xy of image 2]`` of a map by least squares over the patches around each patch."""
    (rows, columns), width = image2.grid, 2 * _SMOOTH + 1
    whole = xy21.new_zeros(3, rows * columns)
    whole[:2, image2.patches], whole[2, image2.patches] = xy21.T, 1.0
    around = unfold(whole.view(1, 3, rows, columns), width, padding=_SMOOTH).view(3, width**2, -1)
    around = around[:, :, image2.patches].permute(2, 1, 0)  # n2, window, (x, y, there)
    step = torch.arange(-_SMOOTH, _SMOOTH + 1, device=xy21.device).to(xy21)
    offset = torch.cartesian_prod(step, step).flip(1) * step.new_tensor(
        [image2.size[1] / columns, image2.size[0] / rows]
    )
    there, places = around[..., 2:], around[..., :2]
    count = there.sum(dim=1, keepdim=True)
    steps = (offset - (there * offset).sum(dim=1, keepdim=True) / count) * there
    gram = steps.mT @ steps + 1e-6 * patch_side(image2) ** 2 * torch.eye(2).to(xy21)
    return (torch.linalg.solve(gram, steps.mT @ (places * there))).mT
