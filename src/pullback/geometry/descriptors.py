"""Intrinsic point descriptors from the Laplacian's spectrum: wave kernel and heat kernel signatures."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pullback.errors import UserError
from pullback.subnormal import without_dust
from pullback.types import Eigenbasis

# Rows at a time: no second copy of the eigenfunctions of a large shape is made.
_ROWS = 2**17
# Eigenvalues below this are the constant functions (one for each component) and carry no information.
_ZERO_EIGENVALUE = 1e-5

# Eigenvalues whose logarithms span less are one eigenvalue, repeated.
_ONE_EIGENVALUE = 1e-3


class DescriptorError(UserError, ValueError):
    """A spectrum too poor for a descriptor."""


def wave_kernel_signature(basis: Eigenbasis, *, n_energies: int = 128) -> Float[Tensor, "n c"]:
    """Wave kernel signature (Aubry et al. 2011): ``Σ_i w_e(λ_i) φ_i(x)²`` at log-spaced energies e.

    Band-pass weights ``w_e(λ) = exp(-(e - ln λ)² / 2σ²)`` sum to 1, with σ = 7 energy steps. Each channel has unit norm
    in the mass inner product. Raises DescriptorError when the basis holds fewer than two different positive
    eigenvalues.
    """
    log_evals, positive = _positive_spectrum(basis)
    span = log_evals[-1] - log_evals[0]
    sigma = 7 * span / n_energies
    steps = torch.linspace(0, 1, n_energies, dtype=span.dtype, device=span.device)
    energies = log_evals[0] + 2 * sigma + steps * (span - 4 * sigma)
    weights = torch.exp(-((energies[:, None] - log_evals[None, :]) ** 2) / (2 * sigma**2))
    return _combined(weights / weights.sum(dim=1, keepdim=True), basis, positive, squared=True)


def wave_kernels_at(basis: Eigenbasis, reference: Eigenbasis, *, n_energies: int = 128) -> Float[Tensor, "n c"]:
    """Wave kernels of a part at the energies of the whole, ``reference``, both in the same unit of length.

    ``Σ_i w_e(λ_i) φ_i(x)² / Σ_j w_e(μ_j)`` with the eigenvalues μ of the whole, so that far from the cut the values of
    a part are those of the whole. Eigenvalues above those of the whole count for nothing. Raises DescriptorError as
    :func:`wave_kernel_signature`.
    """
    log_evals, _ = _positive_spectrum(reference)
    span = log_evals[-1] - log_evals[0]
    sigma = 7 * span / n_energies
    steps = torch.linspace(0, 1, n_energies, dtype=span.dtype, device=span.device)
    energies = log_evals[0] + 2 * sigma + steps * (span - 4 * sigma)
    kept = (basis.evals > _ZERO_EIGENVALUE) & (basis.evals <= reference.evals[-1])
    kernels, whole = (
        torch.exp(-((energies[:, None] - logs[None, :]) ** 2) / (2 * sigma**2))
        for logs in (basis.evals[kept].log(), log_evals)
    )
    return basis.evecs[:, kept] ** 2 @ (kernels / whole.sum(dim=1, keepdim=True)).T


def heat_kernel_signature(basis: Eigenbasis, *, n_times: int = 128) -> Float[Tensor, "n c"]:
    """Heat kernel signature (Sun et al. 2009): ``Σ_i exp(-λ_i t) φ_i(x)²``, t from 4 ln 10/λ_k to 4 ln 10/λ_1.

    Each channel has unit norm in the mass inner product. Raises DescriptorError as :func:`wave_kernel_signature`.
    """
    log_evals, positive = _positive_spectrum(basis)
    steps = torch.linspace(0, 1, n_times, dtype=log_evals.dtype, device=log_evals.device)
    log_times = math.log(4 * math.log(10)) - log_evals[-1] + steps * (log_evals[-1] - log_evals[0])
    return _combined(torch.exp(-torch.exp(log_times[:, None] + log_evals[None, :])), basis, positive, squared=True)


def heat_kernels_at(basis: Eigenbasis, times: Float[Tensor, " c"]) -> Float[Tensor, "n c"]:
    """``Σ_i exp(-λ_i t) φ_i(x)²`` of a unit-area shape at given times, the constant function with it, not scaled."""
    kernels = torch.exp(-basis.evals.clamp_min(0)[:, None] * times.to(basis.evals))
    return torch.cat([rows**2 @ kernels for rows in basis.evecs.split(_ROWS)])


def landmark_wave_kernels(
    basis: Eigenbasis, landmarks: Int[Tensor, " l"], *, n_energies: int = 8
) -> Float[Tensor, "n c"]:
    """Wave kernels ``Σ_i w_e(λ_i) φ_i(x) φ_i(l)`` between each point x and each landmark l at log-spaced energies e.

    ``w_e(λ) = exp(-(e - ln λ)² / 2σ²)``, σ one energy step. Channel ``n_energies · l + e``, of unit norm in the mass
    inner product. Corresponding landmarks of isometric shapes give corresponding features, whatever the signs of the
    eigenfunctions. Raises DescriptorError as :func:`wave_kernel_signature`.
    """
    log_evals, positive = _positive_spectrum(basis)
    steps = torch.linspace(0, 1, n_energies, dtype=log_evals.dtype, device=log_evals.device)
    span = log_evals[-1] - log_evals[0]
    band = torch.exp(
        -(((log_evals[0] + steps * span)[:, None] - log_evals[None, :]) ** 2) / (2 * (span / n_energies) ** 2)
    )
    weights = basis.evecs[landmarks][:, None, positive] * band[None, :, :]
    return _combined(weights.flatten(0, 1), basis, positive, squared=False)


def _positive_spectrum(basis: Eigenbasis) -> tuple[Float[Tensor, " m"], Bool[Tensor, " k"]]:
    """The logarithms of the positive eigenvalues, and which ones these are."""
    positive = basis.evals > _ZERO_EIGENVALUE
    log_evals = basis.evals[positive].log()
    if len(log_evals) < 2 or not log_evals[-1] - log_evals[0] > _ONE_EIGENVALUE:
        found = f"only one, {len(log_evals)} times" if len(log_evals) > 1 else f"{len(log_evals)}"
        advice = (
            "Subdivide the mesh, or take a less regular one"
            if basis.k == basis.n
            else "Use more eigenfunctions, as data.k=200"
        )
        raise DescriptorError(
            f"spectral descriptors need at least 2 different positive eigenvalues, and a basis of k={basis.k} of "
            f"{basis.n} points "
            f"has {found}. {advice}"
        )
    return log_evals, positive


def _combined(
    weights: Float[Tensor, "c m"], basis: Eigenbasis, positive: Bool[Tensor, " k"], *, squared: bool
) -> Float[Tensor, "n c"]:
    """Weighted sums of the eigenfunctions (or of their squares) at every point, each channel of unit norm."""
    weights = without_dust(weights)
    first = basis.k - int(positive.sum())  # eigenvalues ascend: a part of the columns, not a copy of them
    rows = (evecs[:, first:] for evecs in basis.evecs.split(_ROWS))
    values = torch.cat([(part**2 if squared else part) @ weights.T for part in rows])
    norm = sum(mass @ part**2 for mass, part in zip(basis.mass.split(_ROWS), values.split(_ROWS), strict=True))
    return values / norm.sqrt().clamp_min(torch.finfo(values.dtype).tiny)
