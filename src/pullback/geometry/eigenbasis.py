"""Eigenfunctions of a Laplacian: the generalised problem ``stiffness φ = λ mass φ``."""

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg
import torch
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
    stiffness: sp.spmatrix, mass: Float[ndarray, " n"], *, k: int, solver: str = "auto"
) -> tuple[Float[ndarray, " k"], Float[ndarray, "n k"]]:
    """The k smallest eigenvalues (ascending, clamped at 0) and mass-orthonormal eigenvectors of operators of unit scale.

    ``solver``: "eigsh", shift-invert Lanczos with a fixed start vector; "eigh", dense; "auto", the faster of the two; "lobpcg",
    as in published image pipelines: float32 with a loose tolerance, for comparison only. The same input gives the same bits.
    In each eigenvector the entry of largest magnitude is positive. Raises ValueError for k > n (eigsh needs k < n, lobpcg 3k ≤ n)
    or a mass that is not positive, EigenbasisError when ``eigen_residual`` exceeds 1e-6 of the largest eigenvalue (not for lobpcg).
    """
    n = len(mass)
    _check_size(n, k, solver)
    if not (mass > 0).all():
        raise ValueError(f"{int((mass <= 0).sum())} of {n} points have no area; clean the mesh first (pullback.geometry.cleaning)")
    if solver == "auto":
        solver = "eigh" if n <= _DENSE_SIZE or k > n // 2 else "eigsh"
    with threadpool_limits(limits=1, user_api="blas"):  # oversubscribed BLAS threads make ARPACK up to 200 times slower
        evals, evecs = _SOLVERS[solver](stiffness, mass, k)
    order = np.argsort(evals)
    evals, evecs = np.clip(evals[order], 0, None), evecs[:, order]
    evecs = evecs / np.sqrt(mass @ evecs**2)
    residual = eigen_residual(stiffness, mass, evals, evecs)
    if not residual <= (np.inf if solver == "lobpcg" else 1e-6 * max(evals[-1], 1.0)):
        raise EigenbasisError(f"eigenvector residual {residual:.1e} is too large; the operators are badly conditioned")
    return evals, evecs * positive_extremes(evecs)


def eigen_residual(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], evals: Float[ndarray, " k"], evecs: Float[ndarray, "n k"]) -> float:
    """The largest ``‖S φ - λ M φ‖`` of all eigenpairs, in the norm of the inverse mass."""
    return float(np.sqrt((((stiffness @ evecs) - mass[:, None] * evecs * evals) ** 2 / mass[:, None]).sum(axis=0)).max())


def _check_size(n: int, k: int, solver: str) -> None:
    if solver not in ("auto", *_SOLVERS):
        raise ValueError(f"solver={solver!r} is unknown: choose auto, {', '.join(_SOLVERS)}")
    if not 0 < k <= n:
        raise ValueError(f"k={k} eigenfunctions were asked of a domain with {n} points; ask for at most {n}")
    if solver == "eigsh" and k == n:
        raise ValueError(f"Lanczos cannot find all k={k} eigenfunctions of {n} points; use solver=eigh or auto")
    if solver == "lobpcg" and n < 3 * k:
        raise ValueError(f"LOBPCG needs 3k points, and k={k} but there are {n}; use k={n // 3} or solver=auto")


def _dense(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    return scipy.linalg.eigh(stiffness.toarray(), np.diag(mass), subset_by_index=(0, k - 1))


def _lanczos(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    start = np.random.default_rng(0).standard_normal(len(mass))
    return scipy.sparse.linalg.eigsh(stiffness.tocsc(), k=k, M=sp.diags(mass).tocsc(), sigma=_SHIFT, v0=start)


def _lobpcg(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    """PyTorch's LOBPCG with its defaults in float32, then a QR decomposition, of the problem in the symmetric form ``M^-½ S M^-½``."""
    scale = sp.diags(mass**-0.5)
    matrix = (scale @ stiffness @ scale).tocoo()
    index, value = torch.from_numpy(np.stack([matrix.row, matrix.col])), torch.from_numpy(matrix.data).float()
    sparse = torch.sparse_coo_tensor(index, value, matrix.shape, check_invariants=True).coalesce()
    start = torch.randn(len(mass), k, generator=torch.Generator().manual_seed(0))
    evals, evecs = torch.lobpcg(sparse, X=start, largest=False)
    evecs = torch.linalg.qr(evecs).Q.double().numpy()
    return evals.double().numpy(), scale @ evecs


_SOLVERS = {"eigsh": _lanczos, "eigh": _dense, "lobpcg": _lobpcg}


def positive_extremes(evecs: Float[ndarray, "n k"]) -> Float[ndarray, " k"]:
    """The sign for each column that makes its entry of largest magnitude positive (the first of equals)."""
    return np.sign(evecs[np.abs(evecs).argmax(axis=0), np.arange(evecs.shape[1])])
