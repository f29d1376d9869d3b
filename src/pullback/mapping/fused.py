"""Whether the fused GPU kernels can serve a device: the one question that the other backends ask about Triton."""

import importlib.util
from functools import cache
from types import ModuleType

import torch


def fused_kernels(device: torch.device) -> ModuleType | None:
    """The module of the fused kernels (:mod:`pullback.mapping.softmap_triton`)
    for a CUDA device where Triton is installed, else None.

    None also on the CPU, where the kernels run in Triton's interpreter only: correct, and thousands of times slower.
    """
    if device.type != "cuda" or not has_triton():
        return None
    from pullback.mapping import softmap_triton

    return softmap_triton


@cache
def has_triton() -> bool:
    """Whether Triton is installed; it comes with the CUDA builds of PyTorch on Linux. Finding it does not import it."""
    return importlib.util.find_spec("triton") is not None
