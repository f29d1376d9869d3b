"""From a shape to features at its vertices: an input descriptor, then a network (or none, for axiomatic baselines)."""

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pullback.nn.descriptor import Descriptor, LandmarkKernels
from pullback.types import Shape


@runtime_checkable
class VertexNetwork(Protocol):
    """A network on the vertices of a shape (also a ``torch.nn.Module``), such as DiffusionNet.

    One that takes eigenfunctions says how many, by its options, for the checks of a configuration:
    ``eigenfunctions = "k"``.
    """

    def __call__(self, inputs: Float[Tensor, "n c"], shape: Shape) -> Float[Tensor, "n d"]: ...


class MeshBackbone(nn.Module, ABC):
    """Features at the vertices of a shape: what a task calls.

    Any ``torch.nn.Module`` of that call will do, with the values that stand here; they are read from the source of the
    class before anything is loaded.
    """

    learns: ClassVar[bool] = True  # whether it has weights, to train or to load
    needs_landmarks: ClassVar[bool] = False  # called with the vertices of landmarks as well

    @abstractmethod
    def forward(self, shape: Shape) -> Float[Tensor, "n d"]:
        """The features, the same for the same shape in evaluation mode."""


class Backbone(MeshBackbone):
    """Descriptor and network, with an optional normalisation of the features.

    ``normalise="unit_rows"`` subtracts the mean feature of the surface and puts what is left of each vertex on the unit
    sphere: distances between features then have a scale of their own, and an absolute blur means the same for every
    pair and at every step. ``"standardise"`` gives every channel mean 0 and variance 1 over the surface; null leaves
    the features as they are (the paper).

    The descriptor is computed in full precision also under autocast: only the network's matrix products run in half
    precision.
    """

    def __init__(self, descriptor: Descriptor, network: VertexNetwork, *, normalise: str | None = None):
        super().__init__()
        if normalise not in (None, "standardise", "unit_rows"):
            raise ValueError(f"normalise={normalise!r} is unknown; use standardise, unit_rows or null")
        self.descriptor = descriptor
        self.network = network
        self.normalise = normalise

    def forward(self, shape: Shape) -> Float[Tensor, "n d"]:
        with torch.autocast(shape.verts.device.type, enabled=False):
            inputs = self.descriptor(shape)
        features = self.network(inputs, shape)
        mass = shape.basis.mass
        if self.normalise == "standardise":
            return standardise(features, mass)
        if self.normalise == "unit_rows":
            return nn.functional.normalize(features - mass @ features, dim=1)
        return features


class RawDescriptor(MeshBackbone):
    """The descriptor alone, without parameters: features for the axiomatic baselines."""

    learns: ClassVar[bool] = False

    def __init__(self, descriptor: Descriptor):
        super().__init__()
        self.descriptor = descriptor

    def forward(self, shape: Shape) -> Float[Tensor, "n d"]:
        return self.descriptor(shape)


class LandmarkFeatures(nn.Module):
    """Features of two shapes that compare because the same landmarks are known on both; nothing learned."""

    learns: ClassVar[bool] = False
    needs_landmarks: ClassVar[bool] = True

    def __init__(self, descriptor: LandmarkKernels):
        super().__init__()
        self.descriptor = descriptor

    def forward(self, shape: Shape, landmarks: Int[Tensor, " l"]) -> Float[Tensor, "n d"]:
        """Landmarks are vertices of the shape, in the same order on both shapes of a pair."""
        return self.descriptor(shape, landmarks)


def standardise(features: Float[Tensor, "n d"], mass: Float[Tensor, " n"]) -> Float[Tensor, "n d"]:
    """Each channel with mean 0 and variance 1 in the mass inner product of a unit-area shape."""
    centred = features - mass @ features
    return centred / (mass @ centred**2 + torch.finfo(features.dtype).eps).sqrt()
