"""What is to be thought of a map without ground truth: an expected error, a verdict in words, a confidence by point.

The constants come from pairs with ground truth (``python -m experiments.makers.calibrate_verdict``) and stand in
``configs/judge/``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.ranges import above, finite

LEVELS = ("good", "doubtful", "probably wrong")
# Energies below this are all the same: logarithms of zero are not asked for.
FLOOR = 1e-3
LEARNED = "features_learned"  # the energy of features of a network
_TOLD = 2  # reasons
_TELLING = 0.05  # a reason moves the logarithm of the expected error by at least this


@dataclass(frozen=True)
class Verdict:
    """What is to be thought of one map."""

    level: str  # of LEVELS
    expected_error: float  # mean error in the unit, as far as energies tell; NaN where they tell nothing
    why: tuple[str, ...]
    advice: str  # what to do; empty where the map is good
    remark: str = ""  # what the map was taken to be, where that is not plain
    unit: str = "√area"  # of a mesh; of photographs a share of their longer side
    by: str = ""  # whose constants the expected error rests on, where they are not those of these features

    @property
    def sentence(self) -> str:
        """One line: level, reasons, advice."""
        by = f", by {self.by}" if self.by else ""
        expected = f" (expected error about {100 * self.expected_error:.1f} % of {self.unit}{by})"
        said = self.level + (expected if self.is_expected else "")
        if self.remark:
            said += f"; {self.remark}"
        if self.why:
            said += ": " + ", ".join(self.why)
        return said + (f". {self.advice}" if self.advice else "")

    @property
    def is_expected(self) -> bool:
        """Whether energies tell of an error."""
        return math.isfinite(self.expected_error)

    def metrics(self, confidence: Float[Tensor, " n"], energies: Mapping[str, float], *, unit: str) -> dict[str, Any]:
        """As ``metrics.json`` has it, with what it rests on; ``unit`` is that of the error, written out."""
        return {
            "level": self.level,
            "expected_error": {"value": self.expected_error if self.is_expected else None, "unit": unit, "by": self.by},
            "why": list(self.why),
            "advice": self.advice,
            "remark": self.remark,
            "confident": float((confidence > 0.5).float().mean()),
            "energies": dict(energies),
        }


class ErrorModel:
    """The expected error of a map from its energies: a weighted sum of their logarithms is that of the error.

    ``energies`` names each energy with ``[weight, typical, spread]`` of its logarithm. Maps are good below
    ``good_below`` and probably wrong from ``wrong_above`` on, both expected errors: of meshes in units of √area, of
    photographs in shares of the longer side. ``points`` are the weights of the signals of one point
    (``pullback.mapping.energies.point_signals``, ``patch_energies.PatchSignals``), of the logarithm of the expected
    error, and a constant. Expected errors below ``point_floor`` say no more about single points: a map that is good as
    a whole may be wrong in places.
    """

    def __init__(
        self,
        *,
        energies: Mapping[str, Sequence[float]],
        intercept: float,
        good_below: float,
        wrong_above: float,
        points: Sequence[float],
        point_floor: float = 0.0,
    ):
        finite(intercept=intercept)
        above(0, good_below=good_below, wrong_above=wrong_above)
        if good_below > wrong_above:
            raise ValueError(f"good_below={good_below} must not exceed wrong_above={wrong_above}")
        self.energies = {name: tuple(numbers) for name, numbers in energies.items()}
        self.intercept = intercept
        self.good_below, self.wrong_above = good_below, wrong_above
        self.points, self.point_floor = tuple(points), point_floor

    def expected_error(self, energies: Mapping[str, float]) -> float:
        """The error to expect, in the unit of the constants."""
        return math.exp(self.intercept + sum(self.shares(energies).values()))

    def shares(self, energies: Mapping[str, float]) -> dict[str, float]:
        """By how much each energy moves the logarithm of the expected error."""
        return {
            name: weight * (math.log(energies[name] + FLOOR) - typical) / spread
            for name, (weight, typical, spread) in self.energies.items()
        }

    def level(self, expected_error: float) -> str:
        """Good, doubtful or probably wrong."""
        return LEVELS[(expected_error >= self.good_below) + (expected_error >= self.wrong_above)]

    def confidence(self, signals: Float[Tensor, "s c"], expected_error: float) -> Float[Tensor, " s"]:
        """The probability that each point lies within 0.10 units of its place."""
        weights = torch.tensor(self.points).to(signals)
        whole = torch.full_like(signals[:, :1], math.log(max(expected_error, self.point_floor)))
        return torch.sigmoid(torch.cat([signals, whole, torch.ones_like(whole)], dim=1) @ weights)


class Judge:
    """Knows what to expect of maps: by the first of its models whose energies are all at hand.

    ``features`` are those whose energies the constants were measured with, by name; empty where energies name their
    features themselves.
    """

    def __init__(self, *, models: Sequence[ErrorModel], features: Sequence[str] = ()):
        if not models:
            raise ValueError("a judge without models knows nothing; use judge=mesh, or judge=image for photographs")
        self.models = list(models)
        self.features = tuple(features)

    def model(self, energies: Mapping[str, float]) -> ErrorModel:
        """The model for these energies. Raises ValueError when no model is content with them."""
        for model in self.models:
            if model.energies.keys() <= energies.keys():
                return model
        raise ValueError(f"no model of this judge is content with the energies {', '.join(energies)}")

    def expected_error(self, energies: Mapping[str, float]) -> float:
        """The error to expect, in units of √area."""
        return self.model(energies).expected_error(energies)

    def order(self, candidates: Sequence[Mapping[str, float]]) -> list[int]:
        """The numbers of maps by their energies, the best first.

        Where even the best is probably wrong by a model that asks learned features, these have not learned such shapes
        (animals, for features of people), and what needs none decides.
        """
        errors = [self.expected_error(energies) for energies in candidates]
        best = min(range(len(errors)), key=errors.__getitem__)
        if errors[best] >= self.model(candidates[best]).wrong_above:
            plain = Judge(models=[model for model in self.models if LEARNED not in model.energies] or self.models)
            errors = [plain.expected_error(energies) for energies in candidates]
        return sorted(range(len(errors)), key=errors.__getitem__)


class Judges:
    """Several judges, each for the features that its constants were measured with."""

    def __init__(self, *, calibrations: Sequence[Judge]):
        if not calibrations:
            raise ValueError("judges without calibrations know nothing; use judge=mesh, or judge=image for photographs")
        self.calibrations = list(calibrations)

    def of(self, features: str) -> Judge:
        """The judge for these features; the first for features that none knows, which says so then."""
        return next((each for each in self.calibrations if features in each.features), self.calibrations[0])


def reasons_in_words(
    energies: Mapping[str, float],
    shares: Mapping[str, float],
    *,
    measured: Mapping[str, str],
    words: Mapping[str, str],
) -> tuple[str, ...]:
    """In words what speaks most against a map.

    ``measured`` take the energy in per cent, ``words`` are bare statements, both by the beginning of an energy's name.
    """
    said: list[str] = []
    for name in sorted(shares, key=shares.__getitem__, reverse=True):
        key = name.split("_")[0]
        told = measured[key].format(100 * energies[name]) if key in measured else words.get(key, name)
        if shares[name] >= _TELLING and told not in said:
            said.append(told)
    return tuple(said[:_TOLD])
