"""Input features of the networks: spectral signatures, or coordinates with augmentation."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pullback.geometry.descriptors import (
    DescriptorError,
    heat_kernel_signature,
    heat_kernels_at,
    landmark_wave_kernels,
    wave_kernel_signature,
)
from pullback.ranges import at_least, within
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
    wants_alignment: bool = False  # whether shapes have to lie alike
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


class NoisyWKS(WKS):
    """WKS whose spectrum is disturbed in training: features must not hang on a few of its energies.

    Each eigenvalue is multiplied by ``exp(evals · normal)``, each squared eigenfunction by ``exp(gain · normal)``, each
    channel by ``exp(channel_gain · smooth)``, where ``smooth`` varies slowly over the energies; and with the
    probability ``band_share`` a band of ``band`` neighbouring channels is silenced.
    """

    def __init__(
        self,
        channels: int = 128,
        *,
        k: int = 128,
        evals: float = 0.05,
        gain: float = 0.3,
        channel_gain: float = 0.25,
        band: int = 24,
        band_share: float = 0.5,
    ):
        super().__init__(channels, k=k)
        at_least(0, evals=evals, gain=gain, channel_gain=channel_gain)
        within(0, channels - 1, band=band)
        within(0, 1, band_share=band_share)
        self.evals, self.gain, self.channel_gain = evals, gain, channel_gain
        self.band, self.band_share = band, band_share

    def forward(self, shape: Shape) -> Float[Tensor, "n c"]:
        if not self.training:
            return super().forward(shape)
        basis = shape.basis.first(self.k)
        evals = (basis.evals * torch.exp(self.evals * torch.randn_like(basis.evals))).sort().values
        evecs = basis.evecs * torch.exp(self.gain / 2 * torch.randn_like(basis.evals))
        with naming(shape):
            noisy = replace(basis, evals=evals, evecs=evecs)
            return wave_kernel_signature(noisy, n_energies=self.channels) * self._channel_gains(basis.evals)

    def _channel_gains(self, like: Float[Tensor, " k"]) -> Float[Tensor, " c"]:
        waves = torch.arange(1, 5, dtype=like.dtype, device=like.device)[:, None]
        places = torch.linspace(0, torch.pi, self.channels, dtype=like.dtype, device=like.device)
        shifts = 2 * torch.pi * torch.rand(4, 1, dtype=like.dtype, device=like.device)
        weights = torch.randn(4, dtype=like.dtype, device=like.device) / 2**0.5  # smooth has unit variance
        gains = torch.exp(self.channel_gain * weights @ torch.cos(waves * places + shifts))
        if torch.rand(()) < self.band_share:
            start = int(torch.randint(self.channels - self.band + 1, ()))
            gains[start : start + self.band] = 0
        return gains


class TiltedWKS(WKS):
    """Wave kernel signature with a smooth gain over its energies, exp(``gain`` cos 2πt) for t from 0 to 1.

    A network decides some things (front or back of an upper body) by a narrow margin that such a change can turn: its
    features give a second opinion.
    """

    def __init__(self, channels: int = 128, *, k: int = 128, gain: float = 0.25):
        super().__init__(channels, k=k)
        self.gain = gain

    def forward(self, shape: Shape) -> Float[Tensor, "n c"]:
        signature = super().forward(shape)
        return signature * (self.gain * torch.cos(torch.linspace(0, 2 * math.pi, self.channels))).exp().to(signature)


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


class FixedHKS(HKS):
    """Heat kernels at times from 0.01 to 1, as they are: what diffusion-net feeds its networks of 16 channels."""

    def __init__(self, channels: int = 16, *, k: int = 128):
        super().__init__(channels, k=k)

    def forward(self, shape: Shape) -> Float[Tensor, "n c"]:
        return heat_kernels_at(shape.basis.first(self.k), torch.logspace(-2, 0, self.channels))


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
    """Vertex positions of the unit-area shape; in training turned, scaled by axis and jittered.

    Turned by at most ``rotation`` degrees about y or about all axes one after the other: for data whose shapes lie
    alike (``data.align`` makes them). ``axes="full"`` draws from all rotations alike, for data that lie in any way;
    ``rotation`` then says nothing. Noise in units of √area (clipped at 5 times its deviation).
    """

    def __init__(self, *, rotation: float = 90.0, axes: str = "y", scale: float = 0.1, noise: float = 0.01):
        super().__init__()
        if axes not in ("y", "all", "full"):
            raise ValueError(f"axes={axes!r} is unknown; use y, all or full")
        at_least(0, scale=scale, noise=noise, rotation=rotation)
        self.channels = 3
        self.wants_alignment = axes != "full"
        self.rotation, self.axes, self.scale, self.noise = rotation, axes, scale, noise

    def forward(self, shape: Shape) -> Float[Tensor, "n 3"]:
        verts = shape.verts
        if not self.training:
            return verts
        if self.axes == "full":
            verts = verts @ _any_rotation(verts).T
        for axis in {"y": [1], "all": [0, 1, 2], "full": []}[self.axes]:
            verts = verts @ _rotation(axis, self._symmetric(1, verts)[0] * math.radians(self.rotation)).to(verts).T
        verts = verts * (1 + self.scale * self._symmetric(3, verts))
        return verts + (self.noise * torch.randn_like(verts)).clamp(-5 * self.noise, 5 * self.noise)

    @staticmethod
    def _symmetric(n: int, like: Float[Tensor, "n 3"]) -> Float[Tensor, " m"]:
        return 2 * torch.rand(n, dtype=like.dtype, device=like.device) - 1


def _any_rotation(like: Float[Tensor, "n 3"]) -> Float[Tensor, "3 3"]:
    """All rotations are equally likely: that of a unit quaternion with normal parts (Shoemake 1992)."""
    w, x, y, z = nn.functional.normalize(torch.randn(4, dtype=like.dtype, device=like.device), dim=0)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)]),
        torch.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)]),
        torch.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]),
    ]
    return torch.stack(rows)


def _rotation(axis: int, angle: Float[Tensor, ""]) -> Float[Tensor, "3 3"]:
    cos, sin = torch.cos(angle), torch.sin(angle)
    matrix = torch.eye(3, dtype=angle.dtype, device=angle.device)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i] = matrix[j, j] = cos
    matrix[i, j], matrix[j, i] = -sin, sin
    return matrix
