"""Block Lanczos with a direct solver: the smallest eigenpairs of a large sparse symmetric matrix.

The matrix L is shifted and inverted, ``(L + s)⁻¹``, which turns the smallest eigenvalues λ into the largest, θ = 1 / (λ
+ s), and the eigenpairs are those of the projection on the Krylov basis (Grimes, Lewis & Simon 1994, without their
slices). ARPACK solves for one vector at a time, and makes each orthogonal to all others; here blocks are solved for,
and made orthogonal to the whole basis by matrix products, and only when an estimate says that it is due (Simon 1984).
"""

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pullback.geometry.factor import factorise
from pullback.geometry.krylov import ConvergenceError, KrylovBasis
from pullback.threads import one_thread

_PROBE = 4  # random vectors that look for missed eigenvectors at the end
_PROBE_STEPS = 4
_FULL_BASES = 20
_PATIENCE = 2  # full bases within which the error must be halved
_RELATIVE_THETA = 1e-12  # accuracy of the eigenvalues θ where rounding hides that of λ


def smallest_eigenpairs(
    matrix: sp.spmatrix,
    k: int,
    *,
    tolerance: float = 1e-10,
    block: int = 8,
    capacity: int | None = None,
    backend: str = "auto",
) -> tuple[Float[ndarray, " k"], Float[ndarray, "n k"]]:
    """The k smallest eigenvalues, ascending, and orthonormal eigenvectors of a symmetric positive semi-definite matrix.

    Goes on until every residual ``‖L φ - λ φ‖`` is below ``tolerance`` times the k-th eigenvalue, and until random
    vectors orthogonal to the basis show no missed eigenvector (an eigenvalue repeated more often than ``block`` hides
    some from the iteration). Of a matrix so large that rounding alone exceeds this (slivers in a mesh), the residual of
    the inverse, ``‖(L + s)⁻¹ φ - θ φ‖ / θ``, decides, at 1e-12; the eigenvalues are as accurate as else, while the
    eigenvectors may need an inverse iteration for their residual. Memory beyond the matrix, in bytes: ``8 n (m + 6
    block)`` and the factor (about 750 n on a surface of a million vertices), with m ≤ ``capacity`` basis vectors in
    use; a full basis is compressed and the iteration goes on, which takes no longer at 2k + 5 block, the default. One
    thread (``one_thread``): the same input gives the same bits. ``backend``: see ``factorise``. Raises ValueError for a
    matrix that is not finite or a basis too small for k, ConvergenceError.
    """
    with one_thread():
        return _smallest_eigenpairs(matrix, k, tolerance, block, capacity, backend)


def _smallest_eigenpairs(
    matrix: sp.spmatrix, k: int, tolerance: float, block: int, capacity: int | None, backend: str
) -> tuple[Float[ndarray, " k"], Float[ndarray, "n k"]]:
    n = matrix.shape[0]
    capacity = min(n, 2 * k + 5 * block if capacity is None else capacity)
    if k + 2 * block > capacity:
        raise ValueError(
            f"Lanczos needs a basis of k + 2 block = {k + 2 * block} vectors, "
            f"and has room for {capacity}; use solver=eigh"
        )
    if not np.isfinite(matrix.data).all():
        raise ValueError(f"{int((~np.isfinite(matrix.data)).sum())} entries of the matrix are NaN or infinite")
    shift = _shift(matrix, k)
    shifted = (sp.csr_matrix(matrix) + shift * sp.eye(n)).tocsr()
    basis = KrylovBasis(factorise(shifted, backend=backend), n, capacity)
    pending = basis.random(block)
    while True:
        pending = _converge(basis, pending, shifted, k=k, tolerance=tolerance)
        if basis.capacity < n and basis.size + _PROBE * _PROBE_STEPS > basis.capacity:
            basis.compress((k + basis.capacity) // 2, pending)
        theta, coeffs = basis.ritz(k)
        found = _probe(basis, k)
        if found is None:
            return (1 / theta - shift).numpy(), basis.release(coeffs)
        pending = torch.cat([pending, found, basis.random(len(pending))])
        basis.detach(pending)


def _converge(
    basis: KrylovBasis, pending: Float[Tensor, "b n"], shifted: sp.csr_matrix, *, k: int, tolerance: float
) -> Float[Tensor, "c n"]:
    """Extends the basis until its k leading Ritz vectors are eigenvectors; returns what is left outside of it."""
    width = len(pending)
    check, steps, error = max(3 * k, basis.size + width), 0, np.inf
    best, since = np.inf, 0  # the smallest error, and the vectors made since it was halved
    rounding = np.finfo(float).eps * float(shifted.diagonal().max())
    for _ in range(_FULL_BASES * basis.capacity // width):
        if basis.size + width > basis.capacity < basis.n:
            basis.compress((k + basis.capacity) // 2, pending)
            check = basis.size + width
        block = basis.orthonormalise(pending)
        if not len(block):  # the images of the basis lie inside it
            block = basis.orthonormalise(basis.random(width))
        pending, steps, since = basis.append(block), steps + 1, since + len(block)
        if basis.size == basis.n:
            return pending
        if basis.size >= check:
            before, error = error, _error(basis, pending, shifted, k=k, last=len(block))
            if error <= tolerance or _is_drowned(basis, pending, rounding, k=k, last=len(block), tolerance=tolerance):
                return pending
            best, since = (error, 0) if error < best / 2 else (best, since)
            if since > _PATIENCE * basis.capacity:
                raise ConvergenceError(f"the largest relative residual stays at {best:.1e}")
            # The error falls by about the same factor with every block; no more than 32 vectors ahead are trusted to
            # that.
            rate = np.log(before / error) / steps if error < before < np.inf else 0.0
            ahead = np.log(error / tolerance) / rate if rate > 0 else np.inf
            check, steps = basis.size + width * int(np.clip(ahead, 1, max(1, 32 // width))), 0
    raise ConvergenceError(
        f"{_FULL_BASES * basis.capacity} Lanczos vectors did not suffice: the largest relative residual is {error:.1e}"
    )


def _error(basis: KrylovBasis, pending: Float[Tensor, "b n"], shifted: sp.csr_matrix, *, k: int, last: int) -> float:
    """The largest residual ``‖L φ - λ φ‖`` of the k leading Ritz vectors over the k-th eigenvalue.

    With A = L + s and the part P of the images of the ``last`` vectors outside the basis, ``A⁻¹ φ = θ φ + P y``, hence
    ``A φ - φ / θ = -A P y / θ``, where y holds the last coefficients of φ. No vector of length n is formed.
    """
    theta, coeffs = basis.ritz(k)
    outside = torch.from_numpy(shifted @ pending.numpy().T).T
    return float((_norms(outside, coeffs[-last:]) / theta).max() * theta[-1])


def _is_drowned(
    basis: KrylovBasis, pending: Float[Tensor, "b n"], rounding: float, *, k: int, last: int, tolerance: float
) -> bool:
    """Whether ``rounding`` of the shifted matrix exceeds the tolerance though the inverse has converged."""
    theta, coeffs = basis.ritz(k)
    if rounding * float(theta[-1]) <= tolerance:
        return False
    return float(_norms(pending, coeffs[-last:]).max() / theta[-1]) <= _RELATIVE_THETA


def _norms(outside: Float[Tensor, "b n"], tail: Float[Tensor, "b k"]) -> Float[Tensor, " k"]:
    return (tail * (outside @ outside.T @ tail)).sum(dim=0).clamp(min=0).sqrt()


def _probe(basis: KrylovBasis, k: int) -> Float[Tensor, "b n"] | None:
    """Extends the basis from random vectors; None where the leading Ritz values stay, else the remainder.

    An eigenvector that the iteration has missed is among the smoothest functions orthogonal to the basis, so a few
    steps bring it up.
    """
    if basis.size == basis.n:
        return None
    before, _ = basis.ritz(k)
    pending = basis.random(_PROBE)
    for _ in range(_PROBE_STEPS):
        block = basis.orthonormalise(pending) if len(pending) else pending
        if not len(block):
            return None
        pending = basis.append(block)
    after = torch.linalg.eigvalsh(basis.projected[: basis.size, : basis.size]).flip(0)[:k]
    return pending if bool((after > before * (1 + 1e-8)).any()) else None


def _shift(matrix: sp.spmatrix, k: int) -> float:
    """About a tenth of the k-th eigenvalue of a surface.

    A smaller one spreads the eigenvalues of the inverse more: the iteration gains little, and loses orthogonality
    sooner.
    """
    diagonal = matrix.diagonal()
    positive = diagonal[diagonal > 0]
    return 0.3 * k * float(np.median(positive)) / len(diagonal) if len(positive) else 1.0
