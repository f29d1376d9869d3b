"""Weights and features must be numbers: what is not ends in an error here, not in a wrong map."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.errors import UserError

# Features that differ by less than this share of the largest one differ by rounding only.
_ROUNDING = 1e-6


class NotFiniteError(UserError, FloatingPointError):
    """Weights or features are not numbers (NaN), or infinite."""


class DeadFeaturesError(UserError, ValueError):
    """A network gives every point of a shape the same features."""


def check_weights(weights: Mapping[str, Tensor], *, source: str) -> None:
    """Raises NotFiniteError naming the first tensor with a value that is not finite.

    ``source`` is where they come from.
    """
    for name, values in weights.items():
        count = 0 if _are_finite(values) else int((~torch.isfinite(values)).sum())
        if count:
            more = f"{count:,} of its {values.numel():,} values are NaN or infinite"
            raise NotFiniteError(
                f"{source}: the weights {name} are of no use: {more}; train anew, or take an earlier checkpoint"
            )


def check_features(features: Float[Tensor, "n d"], *, of: str, varied: bool = False) -> None:
    """Raises NotFiniteError for features that are not finite; with ``varied`` DeadFeaturesError for equal ones.

    ``of`` names the shape or photograph. One pass over the features, and one answer from the device.
    """
    if not _are_finite(features):
        count = int((~torch.isfinite(features)).any(dim=1).sum())
        raise NotFiniteError(
            f"the features of {of} are NaN or infinite at {count:,} of {len(features):,} points, so that no map "
            "can be made of them"
        )
    if varied and len(features) > 1:
        low, high = features.amin(dim=0), features.amax(dim=0)
        if bool((high - low).max() <= _ROUNDING * torch.maximum(high.abs(), low.abs()).max()):
            raise DeadFeaturesError(
                f"the features of {of} are the same at all {len(features):,} "
                "points, so that no map can be made of them; "
                "the network is dead: train it anew, or take an earlier checkpoint"
            )


def _are_finite(values: Tensor) -> bool:
    """Whether all values are finite, by their sum where that is finite: without a second array of their size."""
    if not values.is_floating_point() and not values.is_complex():
        return True
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())
