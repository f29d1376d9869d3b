"""Which weights a network has, in one number."""

import hashlib

import torch
from torch import nn


def sha256_of_weights(module: nn.Module) -> str:
    """One hash of all parameters and persistent buffers: names, types, sizes and bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
