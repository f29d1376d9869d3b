"""Input features of the networks: spectral signatures, or coordinates with augmentation."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pullback.geometry.descriptors import (
    DescriptorError,
    heat_kernel_signature,
    landmark_wave_kernels,
    wave_kernel_signature,
)
from pullback.ranges import at_least
from pullback.types import Shape


@contextmanager
def naming(shape: Shape) -> Iterator[None]:
    """A DescriptorError inside the ``with`` block begins with the name of the shape."""
    try:
        yield
    except DescriptorError as error:
        raise DescriptorError(f"{shape.name}: {error}") from None


class Descriptor(nn.Module):
    """Gives ``channels`` input features at each vertex of a shape."""

    eigenfunctions: ClassVar[str] = ""  # how many of the shape it takes, by options (see MeshSolver)
    channels: int


class WKS(Descriptor):
    """Wave kernel signature from the first k eigenfunctions."""

    eigenfunctions: ClassVar[str] = "k"

    def __init__(self, channels: int = 128, *, k: int = 128):
        super().__init__()
        at_least(1, channels=channels)
        at_least(3, k=k)
        self.channels, self.k = channels, k

    def forward(self, shape: Shape) -> Float[Tensor, "n c"]:
        with naming(shape):
            return wave_kernel_signature(shape.basis.first(self.k), n_energies=self.channels)


class HKS(Descriptor):
    """Heat kernel signature from the first k eigenfunctions."""

    eigenfunctions: ClassVar[str] = "k"

    def __init__(self, channels: int = 128, *, k: int = 128):
        super().__init__()
        at_least(1, channels=channels)
        at_least(3, k=k)
        self.channels, self.k = channels, k

    def forward(self, shape: Shape) -> Float[Tensor, "n c"]:
        with naming(shape):
            return heat_kernel_signature(shape.basis.first(self.k), n_times=self.channels)


class LandmarkKernels(nn.Module):
    """Wave kernels from given points at ``n_energies`` energies, from the first k eigenfunctions.

    Chosen by measurement (6 pairs of FAUST_r, 6 landmarks; mean distance ×100 of the nearest neighbours and after
    ZoomOut 20 → 120): wave kernels 4.5 and 1.9, heat kernels 5.6 and 2.7; more energies, and 30 to 128 eigenfunctions,
    differ by little.
    """

    eigenfunctions: ClassVar[str] = "k"

    def __init__(self, *, n_energies: int = 8, k: int = 60):
        super().__init__()
        at_least(1, n_energies=n_energies)
        at_least(3, k=k)
        self.n_energies, self.k = n_energies, k

    def forward(self, shape: Shape, landmarks: Int[Tensor, " l"]) -> Float[Tensor, "n c"]:
        with naming(shape):
            return landmark_wave_kernels(shape.basis.first(self.k), landmarks, n_energies=self.n_energies)


class XYZ(Descriptor):
    """Vertex positions of the unit-area shape; in training rotated about one or all axes, scaled by axis and jittered.

    For data whose shapes are rigidly aligned beforehand. Angles in degrees, noise in units of √area (clipped at 5 times
    its deviation).
    """

    def __init__(self, *, rotation: float = 90.0, axes: str = "y", scale: float = 0.1, noise: float = 0.01):
        super().__init__()
        if axes not in ("y", "all"):
            raise ValueError(f"axes={axes!r} is unknown; use y or all")
        at_least(0, scale=scale, noise=noise, rotation=rotation)
        self.channels = 3
        self.rotation, self.axes, self.scale, self.noise = rotation, axes, scale, noise

    def forward(self, shape: Shape) -> Float[Tensor, "n 3"]:
        verts = shape.verts
        if not self.training:
            return verts
        for axis in [1] if self.axes == "y" else [0, 1, 2]:
            verts = verts @ _rotation(axis, self._symmetric(1, verts)[0] * math.radians(self.rotation)).to(verts).T
        verts = verts * (1 + self.scale * self._symmetric(3, verts))
        return verts + (self.noise * torch.randn_like(verts)).clamp(-5 * self.noise, 5 * self.noise)

    @staticmethod
    def _symmetric(n: int, like: Float[Tensor, "n 3"]) -> Float[Tensor, " m"]:
        return 2 * torch.rand(n, dtype=like.dtype, device=like.device) - 1


def _rotation(axis: int, angle: Float[Tensor, ""]) -> Float[Tensor, "3 3"]:
    cos, sin = torch.cos(angle), torch.sin(angle)
    matrix = torch.eye(3, dtype=angle.dtype, device=angle.device)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i] = matrix[j, j] = cos
    matrix[i, j], matrix[j, i] = -sin, sin
    return matrix
