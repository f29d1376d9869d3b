"""The descriptors that a functional map between two photographs aligns."""

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.ranges import at_least
from pullback.solvers.pair_solver import projector
from pullback.types import PatchPair

SOURCES = ("descriptors", "basis", "both")
NORMALISATIONS = ("none", "patch", "channel")
Features = tuple[Float[Tensor, "n1 c"], Float[Tensor, "n2 c"]]
Coefficients = tuple[Float[Tensor, "k1 d"], Float[Tensor, "k2 d"]]


class PairDescriptors:
    """Features of both photographs as comparable functions, of size about 1 an entry unless ``normalise="none"``.

    source: the branch they come from: ``"descriptors"``, ``"basis"``, or ``"both"`` side by side.
    centre: subtract the mean over both photographs (the mean of the two means).
    normalise: ``"patch"`` scales each patch's vector to √c, ``"channel"`` each channel by its standard deviation over
    both. constant: weight of the constant function, which any map carries to itself, as one more descriptor; at 1 it
    has the energy of all others together. Without it, centred features say nothing of the lowest frequency. 0 leaves it
    out.

    All of them act on the values at the patches in the same way in both photographs, so that features which a point map
    carries over exactly stay so.
    """

    def __init__(
        self, *, source: str = "descriptors", centre: bool = True, normalise: str = "patch", constant: float = 1.0
    ):
        if source not in SOURCES:
            raise ValueError(f"source={source!r} is unknown; use one of {', '.join(SOURCES)}")
        if normalise not in NORMALISATIONS:
            raise ValueError(f"normalise={normalise!r} is unknown; use one of {', '.join(NORMALISATIONS)}")
        at_least(0, constant=constant)
        self.source = source
        self.centre = centre
        self.normalise = normalise
        self.constant = constant

    def features(self, pair: PatchPair) -> Features:
        """Values at the patches, without the constant."""
        one, two = pair.image1, pair.image2
        branches = {"descriptors": (one.feat, two.feat), "basis": (one.basis_feat, two.basis_feat)}
        chosen = list(branches.values()) if self.source == "both" else [branches[self.source]]
        feats = [self._prepared(feat1.float(), feat2.float()) for feat1, feat2 in chosen]
        return torch.cat([feat1 for feat1, _ in feats], dim=1), torch.cat([feat2 for _, feat2 in feats], dim=1)

    def coefficients(self, pair: PatchPair) -> Coefficients:
        """In the unit-area bases; the constant is the last column."""
        coeffs = [projector(pair, side) @ feat for side, feat in enumerate(self.features(pair), start=1)]
        if not self.constant:
            return coeffs[0], coeffs[1]
        constants = self.constants(pair)
        return torch.cat([coeffs[0], constants[0]], dim=1), torch.cat([coeffs[1], constants[1]], dim=1)

    def constants(self, pair: PatchPair) -> tuple[Float[Tensor, "k1 1"], Float[Tensor, "k2 1"]]:
        """Coefficients of the constant function, weighted."""
        feat1, feat2 = self.features(pair)
        level = self.constant * ((feat1.square().sum(dim=1).mean() + feat2.square().sum(dim=1).mean()) / 2).sqrt()
        return level * projector(pair, 1).sum(dim=1, keepdim=True), level * projector(pair, 2).sum(dim=1, keepdim=True)

    def _prepared(self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"]) -> Features:
        tiny = torch.finfo(feat1.dtype).eps  # a patch without any feature stays zero
        if self.centre:
            mean = (feat1.mean(dim=0) + feat2.mean(dim=0)) / 2
            feat1, feat2 = feat1 - mean, feat2 - mean
        if self.normalise == "patch":
            root = feat1.shape[1] ** 0.5
            return feat1 * (root / feat1.norm(dim=1, keepdim=True).clamp_min(tiny)), (
                feat2 * (root / feat2.norm(dim=1, keepdim=True).clamp_min(tiny))
            )
        if self.normalise == "channel":
            deviation = ((feat1.var(dim=0, correction=0) + feat2.var(dim=0, correction=0)) / 2).sqrt().clamp_min(tiny)
            return feat1 / deviation, feat2 / deviation
        return feat1, feat2
