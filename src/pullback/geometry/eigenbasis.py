"""Eigenfunctions of a Laplacian: the generalised problem ``stiffness φ = λ mass φ``."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse.csgraph import connected_components

from pullback.geometry.factor import factorise
from pullback.geometry.lanczos import ConvergenceError, smallest_eigenpairs
from pullback.threads import one_thread

log = logging.getLogger(__name__)

# Below this size the dense solver is faster and takes any k ≤ n.
_DENSE_SIZE = 400
# Shift just below the spectrum. Eigenvalues of a unit-area surface grow as 4πk, so this is near zero yet keeps the
# shifted matrix regular.
_SHIFT = -1e-2
# What eigenpairs must reach; see Accuracy.
_RESIDUAL, _ORTHOGONALITY = 1e-6, 1e-8
# Eigenvectors, and rows of all of them, that are checked at a time: temporaries of all would double the memory.
_COLUMNS, _ROWS = 16, 4096


class EigenbasisError(RuntimeError):
    """The eigenproblem could not be solved to the asked accuracy."""


@dataclass(frozen=True)
class Accuracy:
    """How well eigenpairs fulfil their equations."""

    # the largest ‖S φ - λ M φ‖ in the norm of the inverse mass, over the largest eigenvalue (1 if that is smaller)
    residual: float
    orthogonality: float  # the largest entry of |Φᵀ M Φ - I|


def solve_eigenproblem(
    stiffness: sp.spmatrix, mass: Float[ndarray, " n"], *, k: int, solver: str = "auto"
) -> tuple[Float[ndarray, " k"], Float[ndarray, "n k"]]:
    """The k smallest eigenvalues (ascending, ≥ 0) and mass-orthonormal eigenvectors, at unit scale.

    ``solver``: "lanczos", block Lanczos in shift-invert mode (``smallest_eigenpairs``), for any size; "eigh", dense;
    "auto", the faster of the two, with "eigsh" where Lanczos gets nowhere; "eigsh", scipy's; all of these take each
    connected component alone; "lobpcg", as in published image pipelines: float32 with a loose tolerance, for comparison
    only. All in one thread: the same input gives the same bits. In each eigenvector the entry of largest magnitude is
    positive. Raises ValueError for k > n (eigsh needs k < n, lobpcg 3k ≤ n), a mass that is not positive or entries
    that are not finite, EigenbasisError when the residual of ``accuracy`` exceeds 1e-6, and what rounding explains, or
    its orthogonality 1e-8 (not for lobpcg).
    """
    with one_thread():
        return _solve(stiffness, mass, k, solver)


def _solve(
    stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int, solver: str
) -> tuple[Float[ndarray, " k"], Float[ndarray, "n k"]]:
    n = len(mass)
    _check_size(n, k, solver)
    if not (mass > 0).all():
        raise ValueError(
            f"{int((mass <= 0).sum())} of {n} points have no area; clean the mesh first (pullback.geometry.cleaning)"
        )
    try:
        evals, evecs = _in_order(*_SOLVERS[solver](stiffness, mass, k), mass)
    except ConvergenceError as error:
        if solver != "auto":
            raise EigenbasisError(f"the eigenproblem of {n} points did not converge: {error}") from error
        evals, evecs = _in_order(*_second_attempt(stiffness, mass, k, error), mass)
    if solver != "lobpcg":
        reached = accuracy(stiffness, mass, evals, evecs)
        if not _is_accurate(reached):
            evals, evecs = _in_order(*_inverse_iteration(stiffness, mass, evecs), mass)
            reached = accuracy(stiffness, mass, evals, evecs)
        if not _is_accurate(reached):
            _check_accuracy(reached, rounding=_rounding(stiffness, mass, evecs) / max(float(evals.max()), 1.0))
    return evals, evecs


def _in_order(
    evals: Float[ndarray, " k"], evecs: Float[ndarray, "n k"], mass: Float[ndarray, " n"]
) -> tuple[ndarray, ndarray]:
    """Ascending, not negative, of unit norm, with the signs of ``positive_extremes``."""
    order = np.argsort(evals, kind="stable")
    evals, evecs = np.clip(evals[order], 0, None), evecs if (order == np.arange(len(evals))).all() else evecs[:, order]
    for columns in _column_blocks(len(evals)):
        evecs[:, columns] /= np.sqrt(mass @ evecs[:, columns] ** 2)
        evecs[:, columns] *= positive_extremes(evecs[:, columns])
    return evals, evecs


def _second_attempt(
    stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int, error: ConvergenceError
) -> tuple[ndarray, ndarray]:
    log.warning(
        "the eigenproblem of %d points did not converge (%s); trying scipy's eigsh, which takes longer",
        len(mass),
        error,
    )
    try:
        return _eigsh(stiffness, mass, k)
    except (RuntimeError, ValueError) as second:  # of ARPACK, of a singular factor
        raise EigenbasisError(
            f"the eigenproblem of {len(mass)} points did not converge: {error}; and by eigsh: {second}"
        ) from error


def _inverse_iteration(
    stiffness: sp.spmatrix, mass: Float[ndarray, " n"], evecs: Float[ndarray, "n k"]
) -> tuple[ndarray, ndarray]:
    """Eigenpairs in the span of ``(S - s M)⁻¹ M Φ``, without the high frequencies that rounding left."""
    improved = factorise(stiffness - _SHIFT * sp.diags(mass))(mass[:, None] * evecs)
    if not np.isfinite(improved).all():
        raise EigenbasisError(
            f"the eigenproblem of {len(mass)} points cannot be solved: the operators are badly conditioned"
        )
    improved /= np.sqrt(mass @ improved**2)
    evals, coeffs = scipy.linalg.eigh(improved.T @ (stiffness @ improved), improved.T @ (mass[:, None] * improved))
    return evals, improved @ coeffs


def accuracy(
    stiffness: sp.spmatrix, mass: Float[ndarray, " n"], evals: Float[ndarray, " k"], evecs: Float[ndarray, "n k"]
) -> Accuracy:
    """Residual and orthogonality of eigenpairs."""
    gram = np.zeros((len(evals), len(evals)))
    for rows in (slice(start, start + _ROWS) for start in range(0, len(mass), _ROWS)):
        gram += (mass[rows, None] * evecs[rows]).T @ evecs[rows]
    residual = eigen_residual(stiffness, mass, evals, evecs) / max(float(evals.max()), 1.0)
    return Accuracy(residual, float(np.abs(gram - np.eye(len(evals))).max()))


def eigen_residual(
    stiffness: sp.spmatrix, mass: Float[ndarray, " n"], evals: Float[ndarray, " k"], evecs: Float[ndarray, "n k"]
) -> float:
    """The largest ``‖S φ - λ M φ‖`` of all eigenpairs, in the norm of the inverse mass."""
    norms = []
    for columns in _column_blocks(len(evals)):
        phi = np.ascontiguousarray(evecs[:, columns])
        norms.append(
            np.sqrt((((stiffness @ phi) - mass[:, None] * phi * evals[columns]) ** 2 / mass[:, None]).sum(axis=0))
        )
    return float(np.concatenate(norms).max())


def positive_extremes(evecs: Float[ndarray, "n k"]) -> Float[ndarray, " k"]:
    """The sign for each column that makes its entry of largest magnitude positive (the first of equals)."""
    return np.sign(evecs[np.abs(evecs).argmax(axis=0), np.arange(evecs.shape[1])])


def householder_signs(evecs: Float[ndarray, "n k"]) -> Float[ndarray, " k"]:
    """The sign for each column that turns orthonormal columns into the Q of their own QR decomposition.

    A column and its negative are reflected alike, so the Q does not depend on the signs of the columns. The sign of
    column j follows from its entry j, once the columns before it are reflected away: not from where it is largest, and
    so it seldom differs between eigenfunctions that differ a little.
    """
    diagonal = np.diagonal(np.linalg.qr(evecs, mode="r"))
    return np.where(diagonal < 0, -1.0, 1.0)


def _column_blocks(k: int) -> list[slice]:
    return [slice(start, start + _COLUMNS) for start in range(0, k, _COLUMNS)]


def _check_size(n: int, k: int, solver: str) -> None:
    if solver not in _SOLVERS:
        raise ValueError(f"solver={solver!r} is unknown: choose {', '.join(_SOLVERS)}")
    if not 0 < k <= n:
        raise ValueError(f"k={k} eigenfunctions were asked of a domain with {n} points; ask for at most {n}")
    if solver == "eigsh" and k == n:
        raise ValueError(f"Lanczos cannot find all k={k} eigenfunctions of {n} points; use solver=eigh or auto")
    if solver == "lobpcg" and n < 3 * k:
        raise ValueError(f"LOBPCG needs 3k points, and k={k} but there are {n}; use k={n // 3} or solver=auto")


def _is_accurate(reached: Accuracy) -> bool:
    return reached.residual <= _RESIDUAL and reached.orthogonality <= _ORTHOGONALITY


def _rounding(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], evecs: Float[ndarray, "n k"]) -> float:
    """The largest residual ``‖S φ - λ M φ‖`` that the rounding of products alone may leave."""
    terms = abs(sp.csr_matrix(stiffness))
    norms = [
        np.sqrt(((terms @ np.abs(evecs[:, columns])) ** 2 / mass[:, None]).sum(axis=0))
        for columns in _column_blocks(evecs.shape[1])
    ]
    return 100 * np.finfo(float).eps * float(np.concatenate(norms).max())


def _check_accuracy(reached: Accuracy, *, rounding: float) -> None:
    if not reached.residual <= _RESIDUAL + rounding:
        raise EigenbasisError(
            f"eigenvector residual {reached.residual:.1e} is too large; the operators are badly conditioned"
        )
    if not reached.orthogonality <= _ORTHOGONALITY:
        raise EigenbasisError(
            f"eigenvectors are off orthogonality by {reached.orthogonality:.1e}; the operators are badly conditioned"
        )


def _auto(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    return (_dense if _prefers_dense(len(mass), k) else _lanczos)(stiffness, mass, k)


def _prefers_dense(n: int, k: int) -> bool:
    return n <= _DENSE_SIZE or k > n // 2


def _dense(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    return scipy.linalg.eigh(stiffness.toarray(), np.diag(mass), subset_by_index=(0, k - 1))


def _lanczos(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    return _by_component(_connected_lanczos, stiffness, mass, k)


def _connected_lanczos(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    scale = sp.diags(mass**-0.5)
    evals, evecs = smallest_eigenpairs(scale @ stiffness @ scale, k)
    evecs *= mass[:, None] ** -0.5
    return evals, evecs


def _eigsh(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    return _by_component(_connected_eigsh, stiffness, mass, k)


def _connected_eigsh(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    start = np.random.default_rng(0).standard_normal(len(mass))
    return scipy.sparse.linalg.eigsh(stiffness.tocsc(), k=k, M=sp.diags(mass).tocsc(), sigma=_SHIFT, v0=start)


def _by_component(
    solve: Callable[[sp.spmatrix, ndarray, int], tuple[ndarray, ndarray]],
    stiffness: sp.spmatrix,
    mass: Float[ndarray, " n"],
    k: int,
) -> tuple[ndarray, ndarray]:
    """Each component alone: an iteration cannot count the zeros of many components."""
    n_components, label = connected_components(stiffness, directed=False)
    if n_components == 1:
        return solve(stiffness, mass, k)
    groups = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])
    if n_components >= k:
        return np.zeros(k), _indicators(groups[:k], len(mass))
    few = k - len(groups) + 1  # every component has an eigenvalue 0, which leaves this many for any one
    stiffness, parts = sp.csr_matrix(stiffness), []
    for nodes in groups:
        count = min(few, len(nodes))
        one = _dense if _prefers_dense(len(nodes), count) else solve
        parts.append(one(stiffness[nodes][:, nodes], mass[nodes], count))
    evals = np.concatenate([values for values, _ in parts])
    home = np.concatenate([np.full(len(values), group) for group, (values, _) in enumerate(parts)])
    place = np.concatenate([np.arange(len(values)) for values, _ in parts])
    chosen = np.argsort(evals, kind="stable")[:k]
    evecs = np.zeros((len(mass), k))
    for column, (group, own) in enumerate(zip(home[chosen], place[chosen], strict=True)):
        evecs[groups[group], column] = parts[group][1][:, own]
    return evals[chosen], evecs


def _indicators(groups: list[Int[ndarray, " _"]], n: int) -> Float[ndarray, "n k"]:
    """One column for each group of nodes: 1 on the group, 0 elsewhere."""
    columns = np.zeros((n, len(groups)))
    for column, nodes in enumerate(groups):
        columns[nodes, column] = 1
    return columns


def _lobpcg(stiffness: sp.spmatrix, mass: Float[ndarray, " n"], k: int) -> tuple[ndarray, ndarray]:
    """PyTorch's LOBPCG in float32, then a QR decomposition, in the symmetric form ``M^-½ S M^-½``."""
    scale = sp.diags(mass**-0.5)
    matrix = (scale @ stiffness @ scale).tocoo()
    index, value = torch.from_numpy(np.stack([matrix.row, matrix.col])), torch.from_numpy(matrix.data).float()
    sparse = torch.sparse_coo_tensor(index, value, matrix.shape, check_invariants=True).coalesce()
    start = torch.randn(len(mass), k, generator=torch.Generator().manual_seed(0))
    evals, evecs = torch.lobpcg(sparse, X=start, largest=False)
    evecs = torch.linalg.qr(evecs).Q.double().numpy()
    return evals.double().numpy(), scale @ evecs


_SOLVERS = {"auto": _auto, "lanczos": _lanczos, "eigh": _dense, "eigsh": _eigsh, "lobpcg": _lobpcg}
