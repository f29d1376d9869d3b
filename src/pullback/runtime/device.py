"""The device that a configuration names."""

import torch

from pullback.runtime.parts import ConfigError


def device_named(name: str) -> torch.device:
    """``auto`` is the GPU where there is one. Raises ConfigError for a GPU that torch cannot use."""
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            f"device={name}, but this build of torch, or its driver, finds no GPU; use device=cpu, or device=auto"
        )
    return torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
