"""The verdict on the match of two mesh files: how wrong it is likely to be, why, where, and what to do about it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pullback.data.mesh.shapes import PreparedShape
from pullback.geometry.cleaning import Relabelling
from pullback.geometry.descriptors import DescriptorError, wave_kernel_signature
from pullback.mapping.energies import SampledMaps, point_signals
from pullback.metrics.verdict import LEVELS, Judge, Verdict, reasons_in_words
from pullback.nn.backbone import Backbone, LandmarkFeatures, RawDescriptor
from pullback.nn.descriptor import WKS, TiltedWKS
from pullback.solvers.best_of_starts import SECOND_OPINION, BestOfStarts, Choice
from pullback.solvers.starts import FeatureStart
from pullback.stages import stage
from pullback.tasks.mesh.boundaries import partial_remark
from pullback.types import Shape

# Energies that say the same thing in words, and how each is said: a share of the surface, or a bare statement.
_REASONS = {
    "flipped": "{:.0f} % of the surface is turned inside out, as where left and right are exchanged",
    "unreturned": "{:.0f} % of it does not come back from its way there and back",
    "cycle": "{:.0f} % of √area lie between a point and where it comes back to, on average",
    "uncovered": "{:.0f} % of the area is not reached",
    "crushed": "{:.0f} % is stretched or crushed to more than twice or less than half",
    "torn": "neighbours are torn apart on {:.0f} % of it",
    "metric": "distances change by {:.0f} % on average",
}
_WORDS = {
    "features": "features that should agree do not",
    "dissent": "the features, read in other ways, ask for other maps",
    "curvature": "bulges meet hollows",
    "area": "areas change much",
    "angle": "angles change much",
    "tearing": "neighbours do not stay neighbours",
    "orthogonality": "areas change much",
    "commutativity": "the shapes vibrate differently",
    "bijectivity": "the maps there and back do not undo each other",
}
_OF_MAP = 60  # eigenfunctions that tell the points of an initial map apart


@dataclass(frozen=True)
class MeshVerdict:
    """The verdict on a map 2 → 1, with what it rests on."""

    verdict: Verdict
    choice: Choice
    energies: Mapping[str, float]
    confidence2: Float[Tensor, " n2"]  # for each vertex of shape 2 the probability that it is at most 0.10 √area off

    def arrays(self, relabel: Relabelling) -> dict[str, Any]:
        """The verdict as ``match.npz`` has it, with the confidence of each vertex of the target's file."""
        certain = np.where(relabel.dropped, 0, self.confidence2.numpy()[relabel.successor]).astype(np.float32)
        told = {"verdict": np.array(self.verdict.sentence), "expected_error": self.verdict.expected_error}
        return {"confidence2": certain, **told}

    def metrics(self) -> dict[str, Any]:
        """The verdict as ``metrics.json`` has it."""
        unit = "sqrt(area of the source)"
        return {
            "verdict": self.verdict.metrics(self.confidence2, self.energies, unit=unit),
            "starts": [
                {"start": each.name, "expected_error": round(each.expected_error, 4)} for each in self.choice.candidates
            ],
        }


def named_features(backbone: nn.Module, shape: Shape, feat: Float[Tensor, "n c"]) -> dict[str, Tensor]:
    """The features at hand by what they are called: those of the backbone, which come first, of its network from
    another input, and wave kernel signatures.
    """
    if isinstance(backbone, RawDescriptor):
        return {"wks" if isinstance(backbone.descriptor, WKS) else "other": feat}
    found = {"landmarks" if isinstance(backbone, LandmarkFeatures) else "learned": feat}
    if isinstance(backbone, Backbone) and isinstance(backbone.descriptor, WKS):
        tilted = TiltedWKS(backbone.descriptor.channels, k=backbone.descriptor.k)
        found[SECOND_OPINION] = Backbone(tilted, backbone.network, normalise=backbone.normalise)(shape)
    return found | _wave_kernels(shape)


def plain_features(backbone: nn.Module, shape: Shape) -> dict[str, Tensor]:
    """As ``named_features``, without a second opinion, and without features that need landmarks."""
    if isinstance(backbone, RawDescriptor) and isinstance(backbone.descriptor, WKS):
        return {"wks": backbone(shape)}
    found = {} if isinstance(backbone, LandmarkFeatures | RawDescriptor) else {"learned": backbone(shape)}
    return found | _wave_kernels(shape)


def _wave_kernels(shape: Shape) -> dict[str, Tensor]:
    """Wave kernel signatures; none where too few eigenvalues differ: the choice has to do without."""
    with suppress(DescriptorError):
        return {"wks": wave_kernel_signature(shape.basis.first(min(128, shape.basis.k)))}
    return {}


def together(features1: Mapping[str, Tensor], features2: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Features that both shapes of a pair have."""
    return {name: (features1[name], features2[name]) for name in features1 if name in features2}


def begin(
    starts: BestOfStarts | None,
    backbone: nn.Module,
    shapes: tuple[Shape, Shape],
    features: tuple[Tensor, Tensor],
    *,
    initial: Int[Tensor, " n2"] | None = None,
    more: Mapping[str, tuple[Tensor, Tensor]] | None = None,
) -> tuple[Choice | None, tuple[Tensor, Tensor]]:
    """The choice among several starts, and what the solver begins with: the features, where they are what was chosen or
    there was no choice, or an embedding of the chosen map. An ``initial`` map takes the place of all starts; ``more``
    are further features to start from, by name.
    """
    begun = features if initial is None else as_features(initial, shapes[0])
    if starts is None:
        return None, begun
    named = [named_features(backbone, shape, feat) for shape, feat in zip(shapes, features, strict=True)]
    if initial is not None:
        return starts.with_only(FeatureStart(k_init=(30,), only_first=True))(
            *shapes, {"initial map": begun, **together(*named)}
        ), begun
    choice = starts(*shapes, together(*named) | dict(more or {}))
    if not choice.is_open or choice.follows_features:
        return choice, features
    return choice, choice.embeddings(shapes[0].basis, shapes[1].basis)


def as_features(p2p21: Int[Tensor, " n2"], shape1: Shape) -> tuple[Float[Tensor, "n1 c"], Float[Tensor, "n2 c"]]:
    """Features of both shapes whose nearest neighbours are a point map: low eigenfunctions of shape 1, pulled back."""
    low = shape1.basis.evecs[:, : min(_OF_MAP, shape1.basis.k)]
    return low, low[p2p21]


@torch.no_grad()
def judged(
    choice: Choice,
    p2p21: Int[Tensor, " n2"],
    judge: Judge,
    *,
    source: PreparedShape,
    target: PreparedShape,
    given: tuple[bool, bool],
    suspect_part: bool = True,
) -> MeshVerdict:
    """The verdict on the final map of a pair, between the points of the choice's probes.

    ``given`` says whether trained weights and whether landmarks led to it, ``suspect_part`` whether it is to be said
    where one shape may be a part of the other.
    """
    with stage("verdict"):
        probe1, probe2 = choice.probe1, choice.probe2
        p2p21 = p2p21.to(probe1.cell.device)
        maps = SampledMaps(probe1.cell[p2p21[probe2.points]], choice.best.maps.p2p12)
        energies = choice.energies(maps)
        model = judge.model(energies)
        expected = model.expected_error(energies)
        confidence = model.confidence(point_signals(maps, probe1, probe2), expected)[probe2.cell].cpu()
        level = model.level(expected)
        why = () if level == LEVELS[0] else reasons(energies, model.shares(energies)) or (_unsure(*given),)
        part = partial_remark(source, target) if suspect_part else ""
        if part:
            level, why = max(level, LEVELS[1], key=LEVELS.index), (part, *why)
        advice = "" if level == LEVELS[0] else _advice(*given, part=bool(part))
        return MeshVerdict(Verdict(level, expected, why, advice), choice, energies, confidence)


def reasons(energies: Mapping[str, float], shares: Mapping[str, float]) -> tuple[str, ...]:
    """In words what speaks most against a map."""
    return reasons_in_words(energies, shares, measured=_REASONS, words=_WORDS)


def _unsure(learned: bool, landmarks: bool) -> str:
    if learned or landmarks:
        return "nothing speaks against it but a little of everything"
    return "nothing was learned for it, so left and right, front and back may be exchanged"


def _advice(learned: bool, landmarks: bool, *, part: bool) -> str:
    if landmarks:
        return "Give more landmarks, far from each other, also at the tips of the limbs"
    if part:
        return "If so, give landmarks of the common part, landmarks=pairs.txt, or say which is the part: partial=source"
    other = "" if learned else ", or use trained weights: ckpt=RUN/checkpoints/best.ckpt"
    return f"Give five landmarks, far from each other: landmarks=pairs.txt{other}"
