"""Functional maps and their conversion to and from point maps.

A functional map ``fmap12`` (k2, k1) carries functions from shape 1 to shape 2; the point map behind it runs 2 → 1.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.pointmap import nearest
from pullback.mapping.row_systems import solve_rows
from pullback.types import Eigenbasis, SoftMap

MASKS = ("resolvent", "squared_difference", "none")


def fmap_from_pointmap(p2p21: Int[Tensor, " n2"], basis1: Eigenbasis, basis2: Eigenbasis) -> Float[Tensor, "k2 k1"]:
    """Functional map 1 → 2 induced by the point map 2 → 1.

    Minimises ``‖evecs2 @ fmap12 - evecs1[p2p21]‖`` in the mass inner product of shape 2 (Ovsjanikov et al. 2012, eq.
    3); a projection, because ``evecs2`` is orthonormal there.
    """
    return basis2.project(basis1.evecs[p2p21])


def fmap_from_softmap(map21: SoftMap, basis1: Eigenbasis, basis2: Eigenbasis) -> Float[Tensor, "k2 k1"]:
    """Functional map 1 → 2 induced by a soft point map 2 → 1; differentiable in the map's embeddings."""
    return basis2.project(map21.pull_back(basis1.evecs))


def spectral_embeddings(
    fmap12: Float[Tensor, "k2 k1"], basis1: Eigenbasis, basis2: Eigenbasis
) -> tuple[Float[Tensor, "n2 k2"], Float[Tensor, "n1 k2"]]:
    """``(query, reference)``: points of both shapes in the coordinates of basis 2, where fmap12 makes them comparable.

    The nearest reference row to a query row is the point map 2 → 1 (Ovsjanikov et al. 2012, section 6.1).
    """
    k2, k1 = fmap12.shape
    return basis2.first(k2).evecs, basis1.first(k1).evecs @ fmap12.T


def pointmap_from_fmap(fmap12: Float[Tensor, "k2 k1"], basis1: Eigenbasis, basis2: Eigenbasis) -> Int[Tensor, " n2"]:
    """The hard point map 2 → 1 read off a functional map 1 → 2."""
    query, reference = spectral_embeddings(fmap12, basis1, basis2)
    return nearest(query, reference)


def regularised_fmap(
    coeffs1: Float[Tensor, "k1 c"], coeffs2: Float[Tensor, "k2 c"], penalty: Float[Tensor, "k2 k1"]
) -> Float[Tensor, "k2 k1"]:
    """The minimiser of ``‖C A - B‖² + Σ penalty C²``: the functional map 1 → 2 that carries features' coefficients.

    Row a solves ``(A Aᵀ + diag(penalty_a)) c_a = A b_a`` (Donati et al. 2020, eq. 3; Ren et al. 2019). Differentiable
    in all arguments. In float64, so that the squared condition number of the features stays harmless, and with a ridge
    of 1e-9 of the mean diagonal of ``A Aᵀ``, which makes the systems of features of lower rank solvable.
    """
    coeffs1, coeffs2, dtype = coeffs1.double(), coeffs2.double(), coeffs1.dtype
    gram = coeffs1 @ coeffs1.T
    ridge = 1e-9 * gram.diagonal().mean().detach() + torch.finfo(torch.float32).tiny
    fmap12 = solve_rows(gram[None, None], (penalty.double() + ridge)[None], (coeffs2 @ coeffs1.T)[None])
    return fmap12[0].to(dtype)


def penalty_mask(
    kind: str, evals1: Float[Tensor, " k1"], evals2: Float[Tensor, " k2"], *, gamma: float = 0.5
) -> Float[Tensor, "k2 k1"]:
    """How much each entry of a map 1 → 2 violates commutativity with the Laplacians, by the name of the measure.

    ``"resolvent"``: :func:`resolvent_mask`; ``"squared_difference"``: of the eigenvalues (the classical one);
    ``"none"``: all alike. Raises ValueError for another name.
    """
    if kind == "resolvent":
        return resolvent_mask(evals1, evals2, gamma=gamma)
    difference = eigenvalue_difference(evals1, evals2)
    if kind == "squared_difference":
        return difference**2
    if kind == "none":
        return torch.ones_like(difference)
    raise ValueError(f"mask={kind!r} is unknown; use one of {', '.join(MASKS)}")


def eigenvalue_difference(evals1: Float[Tensor, "*p k1"], evals2: Float[Tensor, "*p k2"]) -> Float[Tensor, "*p k2 k1"]:
    """``Δ[a, b] = λ2_a - λ1_b``, the factor of entry (a, b) of a map 1 → 2, whose rows live on shape 2."""
    return evals2[..., :, None] - evals1[..., None, :]


def resolvent_mask(
    evals1: Float[Tensor, " k1"], evals2: Float[Tensor, " k2"], *, gamma: float = 0.5
) -> Float[Tensor, "k2 k1"]:
    """How far apart two eigenvalues' resolvents lie: the penalty of entry (i, j) of a map 1 → 2 (Ren et al. 2019).

    With ``x = (λ / λ_max)^γ``, λ_max the largest of both spectra, the resolvent of λ is ``(x + i) / (x² + 1)``; the
    mask is the squared modulus of the difference. Bounded, unlike the difference of eigenvalues itself.
    """
    largest = torch.maximum(evals1.max(), evals2.max())
    parts = []
    for evals in (evals1, evals2):
        x = (evals.clamp_min(0) / largest) ** gamma
        parts.append(torch.stack([x, torch.ones_like(x)]) / (x**2 + 1))
    return ((parts[1][:, :, None] - parts[0][:, None, :]) ** 2).sum(dim=0)
