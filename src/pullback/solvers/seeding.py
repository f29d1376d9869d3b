"""Randomness that belongs to a pair: the same numbers whatever the batch, the order, the rank or the device."""

import hashlib

import torch


def pair_generator(name: str, seed: int) -> torch.Generator:
    """A CPU generator seeded by the SHA-256 of the pair's name and the run's seed."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
