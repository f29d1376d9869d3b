"""Features of a part and of the whole in the same units of length, so that they agree but for what the cut changes.

Every shape is prepared with unit area, a part as well: its eigenvalues, and all that is read from them, are those of a
shape blown up. Here the part has the area that it has as a part of the whole, and its wave kernels are taken at the
energies, and with the norms, of the whole.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pullback.geometry.descriptors import wave_kernels_at
from pullback.nn.backbone import Backbone
from pullback.nn.descriptor import WKS
from pullback.types import Shape


def resized(shape: Shape, area: float) -> Shape:
    """A shape of unit area, scaled to another."""
    length = area**0.5
    basis = shape.basis
    basis = replace(basis, evals=basis.evals / area, evecs=basis.evecs / length, mass=basis.mass * area)
    gradients = {name: getattr(shape, name) * (1 / length) for name in ("grad_x", "grad_y")}
    return replace(shape, verts=shape.verts * length, basis=basis, **gradients)


@dataclass(frozen=True)
class CommonUnits:
    """The features of a whole, and those of parts in its units."""

    backbone: nn.Module
    whole: Shape
    feat: Float[Tensor, "n c"]  # of the whole
    norm: Float[Tensor, " e"]  # of its wave kernels
    mean: Float[Tensor, " c"]  # feature

    @classmethod
    def of(cls, backbone: nn.Module, whole: Shape) -> "CommonUnits":
        """Of a whole, by a network that reads wave kernels, or by these alone where the backbone is another."""
        kernels = _kernels(whole, whole, backbone)
        mass = whole.basis.mass
        norm = (mass @ kernels**2).sqrt().clamp_min(torch.finfo(kernels.dtype).tiny)
        raw = _through(backbone, kernels / norm, whole)
        mean = mass @ raw
        return cls(backbone, whole, _normalised(backbone, raw, mean), norm, mean)

    def of_part(self, part: Shape, share: float) -> Float[Tensor, "m c"]:
        """Features of a part that has this share of the whole's area."""
        part = resized(part, share)
        raw = _through(self.backbone, _kernels(part, self.whole, self.backbone) / self.norm, part)
        return _normalised(self.backbone, raw, self.mean)


def reads_wave_kernels(backbone: nn.Module) -> bool:
    """Whether a backbone is a network whose input are wave kernel signatures."""
    return isinstance(backbone, Backbone) and isinstance(backbone.descriptor, WKS)


def _kernels(shape: Shape, whole: Shape, backbone: nn.Module) -> Float[Tensor, "n e"]:
    descriptor: Any = backbone.descriptor if reads_wave_kernels(backbone) else WKS()
    channels, k = descriptor.channels, descriptor.k
    return wave_kernels_at(shape.basis, whole.basis.first(min(k, whole.basis.k)), n_energies=channels)


def _through(backbone: nn.Module, kernels: Float[Tensor, "n e"], shape: Shape) -> Float[Tensor, "n c"]:
    network: Any = backbone.network if reads_wave_kernels(backbone) else lambda inputs, shape: inputs
    return network(kernels, shape)


def _normalised(backbone: nn.Module, raw: Float[Tensor, "n c"], mean: Float[Tensor, " c"]) -> Float[Tensor, "n c"]:
    return nn.functional.normalize(raw - mean, dim=1) if reads_wave_kernels(backbone) else raw
