"""Numbers too small to matter, which slow a CPU down."""

import torch
from jaxtyping import Float
from torch import Tensor

# Beside values of ordinary size, all that is smaller is lost to rounding.
_NOTHING = 1e-20


def without_dust(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The values, with 0 for those so small that sums with ordinary values do not change; gradients stop there too.

    Some would be subnormal, and products with subnormal numbers take a CPU five times as long.
    """
    return torch.nn.functional.hardshrink(values, _NOTHING)
