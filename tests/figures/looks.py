"""What the tests of pictures share: plain colours, bare meshes, a picture of one, and its dominant channel."""

from typing import NamedTuple

import numpy as np

from pullback.figures.surface import Lit

RED, BLUE = np.array([0.9, 0.1, 0.1]), np.array([0.1, 0.1, 0.9])


class Mesh(NamedTuple):
    verts: np.ndarray
    faces: np.ndarray


def dominant(pixels: np.ndarray) -> np.ndarray:
    """The strongest of red (0), green (1) and blue (2) in each pixel."""
    return pixels[..., :3].argmax(axis=-1)


def render(verts: np.ndarray, faces: np.ndarray, colors: np.ndarray, **seen) -> np.ndarray:
    """A picture of a mesh (RGBA), seen as ``Lit.seen`` takes it."""
    return Lit.seen(verts, faces, **seen).coloured(colors)
