"""Whether the fused GPU kernels can serve: what the other backends ask about Triton."""

import importlib.util
from functools import cache

import torch


def has_fused_kernels(device: torch.device) -> bool:
    """Whether the device runs :mod:`pullback.mapping.search_triton` and :mod:`pullback.mapping.softmap_triton`:
    a CUDA device where Triton is installed.

    Not the CPU, where the kernels run in Triton's interpreter only: correct, and thousands of times slower.
    """
    return device.type == "cuda" and has_triton()


@cache
def has_triton() -> bool:
    """Whether Triton is installed; it comes with the CUDA builds of PyTorch on Linux. Finding it does not import it."""
    return importlib.util.find_spec("triton") is not None
