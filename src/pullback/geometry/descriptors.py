"""Intrinsic point descriptors from the Laplacian's spectrum: wave kernel and heat kernel signatures."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.types import Eigenbasis

# Eigenvalues below this are the constant functions (one for each component) and carry no information.
_ZERO_EIGENVALUE = 1e-5


def wave_kernel_signature(basis: Eigenbasis, *, n_energies: int = 128) -> Float[Tensor, "n c"]:
    """Wave kernel signature (Aubry et al. 2011): ``Σ_i w_e(λ_i) φ_i(x)²`` at log-spaced energies e.

    Band-pass weights ``w_e(λ) = exp(-(e - ln λ)² / 2σ²)`` sum to 1, with σ = 7 energy steps. Each channel has unit norm in the mass
    inner product. Raises ValueError when the basis holds fewer than two positive eigenvalues.
    """
    log_evals, evecs = _positive_spectrum(basis)
    span = log_evals[-1] - log_evals[0]
    sigma = 7 * span / n_energies
    steps = torch.linspace(0, 1, n_energies, dtype=span.dtype, device=span.device)
    energies = log_evals[0] + 2 * sigma + steps * (span - 4 * sigma)
    weights = torch.exp(-((energies[:, None] - log_evals[None, :]) ** 2) / (2 * sigma**2))
    return _unit_channels(evecs**2 @ (weights / weights.sum(dim=1, keepdim=True)).T, basis)


def heat_kernel_signature(basis: Eigenbasis, *, n_times: int = 128) -> Float[Tensor, "n c"]:
    """Heat kernel signature (Sun et al. 2009): ``Σ_i exp(-λ_i t) φ_i(x)²`` at log-spaced times t from 4 ln 10/λ_k to 4 ln 10/λ_1.

    Each channel has unit norm in the mass inner product. Raises ValueError as :func:`wave_kernel_signature`.
    """
    log_evals, evecs = _positive_spectrum(basis)
    steps = torch.linspace(0, 1, n_times, dtype=log_evals.dtype, device=log_evals.device)
    log_times = math.log(4 * math.log(10)) - log_evals[-1] + steps * (log_evals[-1] - log_evals[0])
    weights = torch.exp(-torch.exp(log_times[:, None] + log_evals[None, :]))
    return _unit_channels(evecs**2 @ weights.T, basis)


def _positive_spectrum(basis: Eigenbasis) -> tuple[Float[Tensor, " m"], Float[Tensor, "n m"]]:
    positive = basis.evals > _ZERO_EIGENVALUE
    if int(positive.sum()) < 2:
        raise ValueError(f"spectral descriptors need at least 2 positive eigenvalues; this basis of k={basis.k} has {int(positive.sum())}")
    return basis.evals[positive].log(), basis.evecs[:, positive]


def _unit_channels(values: Float[Tensor, "n c"], basis: Eigenbasis) -> Float[Tensor, "n c"]:
    return values / (basis.mass @ values**2).sqrt().clamp_min(torch.finfo(values.dtype).tiny)
