"""Soft point maps 2 → 1 as operators: the factory, the dense reference and the hard map.

A map is never a matrix to its users: they pull functions back through it. The backends differ in speed and memory only.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.distances import check_embeddings, full_precision, largest_distance
from pullback.mapping.embedding_map import EmbeddingMap
from pullback.mapping.fused import fused_kernels
from pullback.mapping.softmap_blocked import BlockedSoftMap
from pullback.mapping.softmap_keops import KeopsSoftMap
from pullback.mapping.softmap_triton import TritonSoftMap
from pullback.types import Movable, SoftMap

Backend = Literal["auto", "dense", "blocked", "keops", "triton"]

# Entries of a map below which fewer calls beat less work.
_DENSE_SIZE = 64 * 64


def soft_map(
    query: Float[Tensor, "n2 p"],
    reference: Float[Tensor, "n1 p"],
    *,
    blur: float | Tensor,
    relative: bool = True,
    backend: Backend = "auto",
) -> SoftMap:
    """Soft point map 2 → 1 with weights ``softmax_j(-|query_i - reference_j|² / (2 σ²))``.

    σ is ``blur`` in units of the embedding, or ``blur * max_ij |query_i - reference_j|`` when relative, which makes the map
    independent of the scale of the embeddings (Magnet & Ovsjanikov 2024, eq. 3, and their code). Differentiable in query,
    reference and the functions pulled back; σ is a constant. Raises ValueError for embeddings that do not fit together,
    a blur that is not a positive finite number, an unknown backend, or Triton without a CUDA device; ImportError when KeOps or Triton
    is asked for and missing.
    """
    check_embeddings(query, reference)
    kind = kind_of(backend, query, reference)
    blur = torch.as_tensor(blur, dtype=query.dtype, device=query.device).detach()
    if blur.numel() != 1 or not (torch.isfinite(blur) & (blur > 0)).all():
        raise ValueError(f"blur={blur.tolist()} must be one positive finite number, e.g. 0.01")
    sigma = blur.reshape(())
    if relative:
        scale = largest_distance(query, reference)
        # If all points coincide every σ gives the uniform map; 0 would give 0/0.
        sigma = sigma * torch.where(scale == 0, torch.ones_like(scale), scale)
    return kind(query=query, reference=reference, sigma=sigma)


def kind_of(name: str, query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]) -> type[EmbeddingMap]:
    """The class behind a backend's name. Raises ValueError for an unknown one."""
    backends = {"dense": DenseSoftMap, "blocked": BlockedSoftMap, "keops": KeopsSoftMap, "triton": TritonSoftMap}
    if name == "auto":
        if len(query) * len(reference) <= _DENSE_SIZE:
            return DenseSoftMap
        # KeOps is never chosen: on a CPU it is many times slower at the usual 30 to 130 columns.
        return TritonSoftMap if fused_kernels(query.device) is not None else BlockedSoftMap
    if name not in backends:
        raise ValueError(f"backend={name!r} is unknown; use one of auto, {', '.join(backends)}")
    return backends[name]


@dataclass(frozen=True, eq=False)
class DenseSoftMap(EmbeddingMap):
    """The slow, readable reference: stores the n2 × n1 matrix, distances by differences, gradients by autograd."""

    def weights(self) -> Float[Tensor, "n2 n1"]:
        """The row-stochastic matrix itself."""
        with full_precision(self.query.device):
            dist = torch.cdist(self.query, self.reference, compute_mode="donot_use_mm_for_euclid_dist")
            return torch.softmax(-(dist**2) / (2 * self.sigma**2), dim=1)

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """Functions on shape 1, carried to shape 2. Raises ValueError for values that do not fit the map."""
        self.check_function(feat1)
        with full_precision(self.query.device):
            return self.weights() @ feat1


@dataclass(frozen=True, eq=False)
class HardMap(Movable):
    """A point map 2 → 1 as an operator: each point of shape 2 takes the value of one point of shape 1."""

    p2p21: Int[Tensor, " n2"]
    n1: int

    def __post_init__(self) -> None:
        outside = (self.p2p21 < 0) | (self.p2p21 >= self.n1)
        if outside.any():
            raise ValueError(f"p2p21 holds {int(self.p2p21[outside][0])}, but shape 1 has the points 0 to {self.n1 - 1}")

    @property
    def n2(self) -> int:
        return self.p2p21.shape[0]

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """``feat1[p2p21]``. Raises ValueError when feat1 has another number of points."""
        if feat1.shape[0] != self.n1:
            raise ValueError(f"feat1 has {feat1.shape[0]} rows but the map starts from {self.n1} points")
        return feat1[self.p2p21]

    def nearest(self) -> Int[Tensor, " n2"]:
        return self.p2p21

    def reverse(self) -> "HardMap":
        """Raises ValueError: point maps are neither injective nor onto, so indices alone define no map back."""
        raise ValueError(
            "a hard map cannot be reversed: keep the embeddings and call nearest(query=reference, reference=query), "
            "or use a soft map, whose reverse() is defined"
        )
