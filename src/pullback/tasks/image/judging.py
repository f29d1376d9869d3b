"""The verdict on the match of two photographs: how wrong it is likely to be, why, where, and what to do about it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pullback.brief import OneLine
from pullback.data.image.pixels import nothing_on
from pullback.mapping.patch_energies import match_signals, patch_energies
from pullback.metrics.verdict import LEVELS, Judge, Verdict, reasons_in_words
from pullback.types import ImagePair, PatchMatch, PatchPair

UNIT = "the longer side of the source"
# Energies that say the same thing in words, and how each is said: in per cent, or as a bare statement.
_MEASURED = {
    "unreturned": "{:.0f} % of the patches do not come back from their way there and back",
    "cycle": "{:.0f} % of the longer side lie between a patch and where it comes back to, on average",
    "uncovered": "{:.0f} % of the source is not reached",
    "crushed": "{:.0f} % is stretched or crushed to more than twice or less than half",
    "mirrored": "{:.0f} % of the target is mirrored",
}
_WORDS = {
    "features": "what is matched does not look alike",
    "strange": "the photographs have little in common",
    "dissent": "patches that look alike are not what is matched",
    "mutual": "few patches choose each other",
    "area": "areas change much",
    "layout": "what is above or left of something does not stay so, as where one is turned",
    "angle": "angles change much",
    "bijectivity": "the maps there and back do not undo each other",
    "orthogonality": "areas change much",
    "commutativity": "the photographs are made up differently",
}
_MIRRORED = 0.5  # share of the target from which a match is said to mirror
_TURNED = 0.4  # loss of layout from which it is said to turn: 0.5 by 90°, 1 by 180°
_ADVICE = (
    "Check that both show the same kind of thing, upright and from the same side; masks of it "
    "(mask1=a.png mask2=b.png) or stronger features (fusion=dinov2_layers9_11) may help"
)
# Of features that no constants were measured with.
_UNKNOWN = "the verdict is not calibrated for these features, and calls no match good with them"
_UNKNOWN_ADVICE = (
    "Nothing else speaks against it: look at the pictures, or compare with fusion=gradients_cnn, whose verdict is "
    "calibrated"
)
_BLANK_ADVICE = "Give a photograph with something on it"

Solver = Callable[[Sequence[PatchPair]], list[PatchMatch]]


@dataclass(frozen=True, repr=False)
class ImageVerdict(OneLine):
    """The verdict on a match 2 → 1 of photographs, with what it rests on."""

    verdict: Verdict
    energies: Mapping[str, float]
    # for each patch in the graph of image 2 the probability that it is at most 0.10 of the longer side off
    confidence2: Float[Tensor, " n2"]

    def arrays(self) -> dict[str, Any]:
        """The verdict as ``match.npz`` has it."""
        told = self.verdict
        return {
            "confidence2": self.confidence2.numpy().astype(np.float32),
            "verdict": np.array(told.sentence),
            "expected_error": told.expected_error,
        }

    def metrics(self) -> dict[str, Any]:
        """The verdict as ``metrics.json`` has it."""
        return {"verdict": self.verdict.metrics(self.confidence2, self.energies, unit=self.verdict.unit)}


@torch.no_grad()
def judged_photographs(
    pair: ImagePair, patches: PatchPair, match: PatchMatch, reverse: PatchMatch, judge: Judge, *, features: str
) -> ImageVerdict:
    """The verdict on a match, given the one back; ``features`` are what it rests on, by name.

    Where a photograph has nothing on it the match is wrong whatever energies say. Energies of features that the judge
    was not made for are not asked, and then no match is called good.
    """
    signals = match_signals(patches, match, reverse)
    energies = patch_energies(patches, match, reverse, signals)
    known = not judge.features or features in judge.features
    asked = energies if known else without_features(energies)
    model = judge.model(asked) if known else judge.models[-1]  # which asks none
    expected = model.expected_error(asked)
    confidence = model.confidence(signals.there.stacked(features=known), expected)
    blank = [photo.name for photo in (pair.image1, pair.image2) if nothing_on(photo.pixels)]
    if blank:
        verdict = Verdict(
            LEVELS[2], math.nan, (f"there is nothing on {' and '.join(blank)}",), _BLANK_ADVICE, unit=UNIT
        )
        return ImageVerdict(verdict, energies, torch.zeros_like(confidence))
    level = model.level(expected)
    why = (
        () if level == LEVELS[0] else reasons_in_words(energies, model.shares(asked), measured=_MEASURED, words=_WORDS)
    )
    remarks = _remarks(energies, known=known, why=why)
    if remarks:  # those among the reasons have made it doubtful already
        level = max(level, LEVELS[1], key=LEVELS.index)
    why = (*remarks, *why)
    if level != LEVELS[0] and not why:
        why = ("nothing speaks against it but a little of everything",)
    advice = "" if level == LEVELS[0] else _ADVICE if len(why) > (not known) else _UNKNOWN_ADVICE
    verdict = Verdict(level, expected, why, advice, unit=UNIT, by="" if known else "constants of other features")
    return ImageVerdict(verdict, energies, confidence)


def _remarks(energies: Mapping[str, float], *, known: bool, why: Sequence[str]) -> tuple[str, ...]:
    """What leaves a match doubtful whatever error is expected, as far as it is not among the reasons already."""
    mirrored = _MEASURED["mirrored"].format(100 * energies["mirrored"])
    said = [mirrored] if energies["mirrored"] > _MIRRORED else []
    said += [_WORDS["layout"]] if energies["layout"] > _TURNED else []
    said += [] if known else [_UNKNOWN]
    return tuple(each for each in said if each not in why)


def without_features(energies: Mapping[str, float]) -> dict[str, float]:
    """The energies of the maps alone."""
    asked = ("features", "strange", "dissent", "mutual")
    return {name: value for name, value in energies.items() if not name.startswith(asked)}


def verdict_line(verdict: ImageVerdict | None) -> list[str]:
    """The verdict as a page tells it; nothing where there is none."""
    return [] if verdict is None else [f"Verdict: {verdict.verdict.sentence}"]
