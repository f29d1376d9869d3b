"""Photographs and flows for tests of pictures: known colours at known places."""

import numpy as np
import torch

from pullback.types import Image


def gradient_photo(height=40, width=60, *, mask=None, name="photo"):
    """Red grows to the right, green downwards."""
    red = np.broadcast_to(np.linspace(0, 255, width)[None], (height, width))
    green = np.broadcast_to(np.linspace(0, 255, height)[:, None], (height, width))
    pixels = np.round(np.stack([red, green, np.full((height, width), 80.0)])).astype(np.uint8)
    return Image(name, torch.from_numpy(pixels), mask=mask)


def left_half(height=40, width=60):
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[:, : width // 2] = True
    return mask


def still(height=40, width=60):
    """The flow of a photograph onto itself."""
    return torch.zeros(2, height, width)


def shift(x, y, height=40, width=60):
    flow = still(height, width)
    flow[0], flow[1] = x, y
    return flow
