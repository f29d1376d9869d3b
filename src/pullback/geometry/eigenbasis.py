"""Eigenfunctions of a Laplacian: the generalised problem ``stiffness φ = λ mass φ``."""

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg
from jaxtyping import Float
from numpy import ndarray
from threadpoolctl import threadpool_limits

# Below this size the dense solver is faster and takes any k ≤ n.
_DENSE_SIZE = 400
# Shift just below the spectrum. Eigenvalues of a unit-area surface grow as 4πk, so this is near zero yet keeps the shifted matrix regular.
_SHIFT = -1e-2


class EigenbasisError(RuntimeError):
    """The eigenproblem could not be solved to the asked accuracy."""


def solve_eigenproblem(
    stiffness: sp.spmatrix, mass: Float[ndarray, " n"], *, k: int
) -> tuple[Float[ndarray, " k"], Float[ndarray, "n k"]]:
    """The k smallest eigenvalues (ascending, clamped at 0) and mass-orthonormal eigenvectors of unit-area operators.

    Shift-invert Lanczos with a fixed start vector: the same input gives the same bits. In each eigenvector the entry of
    largest magnitude is positive. Raises ValueError for k > n or a mass that is not positive, EigenbasisError
    when the residual ``‖S φ - λ M φ‖`` exceeds 1e-6 of the largest eigenvalue.
    """
    n = len(mass)
    if not 0 < k <= n:
        raise ValueError(f"k={k} eigenfunctions were asked of a domain with {n} points; ask for at most {n}")
    if not (mass > 0).all():
        raise ValueError(f"{int((mass <= 0).sum())} of {n} points have no area; clean the mesh first (pullback.geometry.cleaning)")
    mass_matrix = sp.diags(mass).tocsc()
    with threadpool_limits(limits=1, user_api="blas"):  # oversubscribed BLAS threads make ARPACK up to 200 times slower
        if n <= _DENSE_SIZE or k > n // 2:
            evals, evecs = scipy.linalg.eigh(stiffness.toarray(), np.diag(mass), subset_by_index=(0, k - 1))
        else:
            start = np.random.default_rng(0).standard_normal(n)
            evals, evecs = scipy.sparse.linalg.eigsh(stiffness.tocsc(), k=k, M=mass_matrix, sigma=_SHIFT, v0=start)
    order = np.argsort(evals)
    evals, evecs = np.clip(evals[order], 0, None), evecs[:, order]
    evecs = evecs / np.sqrt(mass @ evecs**2)
    residual = np.sqrt((((stiffness @ evecs) - mass[:, None] * evecs * evals) ** 2 / mass[:, None]).sum(axis=0)).max()
    if not residual <= 1e-6 * max(evals[-1], 1.0):
        raise EigenbasisError(f"eigenvector residual {residual:.1e} is too large; the operators are badly conditioned")
    return evals, evecs * positive_extremes(evecs)


def positive_extremes(evecs: Float[ndarray, "n k"]) -> Float[ndarray, " k"]:
    """The sign for each column that makes its entry of largest magnitude positive (the first of equals)."""
    return np.sign(evecs[np.abs(evecs).argmax(axis=0), np.arange(evecs.shape[1])])
