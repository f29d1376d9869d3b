"""Soft point maps 2 → 1 as operators: the factory and the dense reference.

A map is never a matrix to its users: they pull functions back through it. The backends differ in speed and memory only.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.distances import largest_distance
from pullback.mapping.embedding_map import EmbeddingMap
from pullback.mapping.embeddings import check_embeddings, full_precision
from pullback.mapping.fused import has_fused_kernels
from pullback.mapping.softmap_blocked import BlockedSoftMap
from pullback.mapping.softmap_keops import KeopsSoftMap
from pullback.mapping.softmap_triton import TritonSoftMap
from pullback.types import SoftMap

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

    σ is ``blur`` in units of the embedding, or ``blur * max_ij |query_i - reference_j|`` when relative, which makes the
    map independent of the scale of the embeddings (Magnet & Ovsjanikov 2024, eq. 3, and their code). Differentiable in
    query, reference and the functions pulled back; σ is a constant. Raises ValueError for embeddings that do not fit
    together, a blur that is not a positive finite number, an unknown backend, or Triton without a CUDA device;
    ImportError when KeOps or Triton is asked for and missing.
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
        return TritonSoftMap if has_fused_kernels(query.device) else BlockedSoftMap
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
