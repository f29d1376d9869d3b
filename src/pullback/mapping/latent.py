"""Consistency of functional maps: the matrix W, its latent bases Z1 and Z2, and the energies that tie them to a map.

Latent functions are a common vocabulary of a collection: column j of ``latent1`` and column j of ``latent2`` are one
function, seen on either shape, and a consistent map carries one to the other (Wang, Huang & Guibas 2013). For two
shapes the energy ``‖fmap12 Z1 - Z2‖² + ‖fmap12ᵀ Z2 - Z1‖²`` equals ``tr(Zᵀ W Z)`` with Z the two blocks one above the
other; its minimisers over orthonormal Z follow from the singular value decomposition of the map. All functions take any
number of leading batch dimensions.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def consistency_matrix(fmap12: Float[Tensor, "*p k2 k1"]) -> Float[Tensor, "*p k k"]:
    """W = [[I + CᵀC, -2Cᵀ], [-2C, I + CCᵀ]], k = k1 + k2.

    Positive semi-definite, with eigenvalues (1 ± σ)² of C's singular values σ.

    The map back is taken to be the transpose. The paper prints the upper left block alone, for both shapes.
    """
    transposed = fmap12.mT
    upper = torch.cat([_plus_identity(transposed @ fmap12), -2 * transposed], dim=-1)
    lower = torch.cat([-2 * fmap12, _plus_identity(fmap12 @ transposed)], dim=-1)
    return torch.cat([upper, lower], dim=-2)


def latent_bases(
    fmap12: Float[Tensor, "*p k2 k1"], latent_dim: int
) -> tuple[Float[Tensor, "*p k1 r"], Float[Tensor, "*p k2 r"]]:
    """Orthonormal ``(latent1, latent2)`` with the least ``tr(Zᵀ W Z)``:
    singular vectors whose singular values lie nearest to 1.

    Each block is orthonormal; stacked, they are √2 times the ``latent_dim`` lowest eigenvectors of
    :func:`consistency_matrix`. Raises ValueError when there are fewer singular values.
    """
    available = min(fmap12.shape[-2:])
    if not 1 <= latent_dim <= available:
        raise ValueError(
            f"latent_dim={latent_dim} must lie between 1 and {available}, the rank of a map of "
            f"{tuple(fmap12.shape[-2:])}"
        )
    left, sigma, right = torch.linalg.svd(fmap12, full_matrices=False)
    chosen = (sigma - 1).abs().argsort(dim=-1, stable=True)[..., None, :latent_dim]

    def columns(vectors: Float[Tensor, "*p k s"]) -> Float[Tensor, "*p k r"]:
        return vectors.take_along_dim(chosen, dim=-1)

    return columns(right.mT), columns(left)


def consensus(
    fmap12: Float[Tensor, "*p k2 k1"], latent1: Float[Tensor, "*p k1 r"], latent2: Float[Tensor, "*p k2 r"]
) -> Float[Tensor, "*p"]:
    """``‖fmap12 Z1 - Z2‖²``: does the map carry the latent functions of shape 1 to those of shape 2?"""
    return _squared(fmap12 @ latent1 - latent2)


def two_way_consensus(
    fmap12: Float[Tensor, "*p k2 k1"], latent1: Float[Tensor, "*p k1 r"], latent2: Float[Tensor, "*p k2 r"]
) -> Float[Tensor, "*p"]:
    """``‖fmap12 Z1 - Z2‖² + ‖fmap12ᵀ Z2 - Z1‖²``, which is ``tr(Zᵀ W Z)`` with the whole of W.

    Zero for consistent maps.
    """
    return consensus(fmap12, latent1, latent2) + consensus(fmap12.mT, latent2, latent1)


def printed_trace(
    fmap12: Float[Tensor, "*p k2 k1"], latent1: Float[Tensor, "*p k1 r"], latent2: Float[Tensor, "*p k2 r"]
) -> Float[Tensor, "*p"]:
    """``tr(Z1ᵀ (I + CᵀC) Z1) + tr(Z2ᵀ (I + CCᵀ) Z2)``: the diagonal blocks of W alone, as the paper prints the term.

    The paper writes I + CᵀC for both shapes, which acts on shape 1; here each has its own block (the same energy for
    symmetric maps). Without the blocks beside the diagonal this is not a measure of consistency but a decay of Z and of
    C on their span: see
    :class:`pullback.solvers.pair_losses.PairLoss`.
    """
    return _squared(latent1) + _squared(fmap12 @ latent1) + _squared(latent2) + _squared(fmap12.mT @ latent2)


def orthonormality(latent: Float[Tensor, "*p k r"]) -> Float[Tensor, "*p"]:
    """``‖ZᵀZ - I‖²``."""
    return _squared(_plus_identity(latent.mT @ latent, weight=-1.0))


def soft_orthogonality(fmap: Float[Tensor, "*p k2 k1"]) -> Float[Tensor, "*p"]:
    """``Σ (σ_i - 1)²`` over the singular values: the least ``‖fmap Z1 - Z2‖²`` over square orthogonal Z1 and Z2."""
    return (torch.linalg.svdvals(fmap) - 1).square().sum(dim=-1)


def nearest_orthogonal(fmap: Float[Tensor, "*p k2 k1"]) -> Float[Tensor, "*p k2 k1"]:
    """The nearest map with all singular values 1 (polar factor), at squared distance :func:`soft_orthogonality`."""
    left, _, right = torch.linalg.svd(fmap, full_matrices=False)
    return left @ right


def _plus_identity(square: Float[Tensor, "*p k k"], weight: float = 1.0) -> Float[Tensor, "*p k k"]:
    return square + weight * torch.eye(square.shape[-1], dtype=square.dtype, device=square.device)


def _squared(values: Float[Tensor, "*p m n"]) -> Float[Tensor, "*p"]:
    return values.square().sum(dim=(-2, -1))
