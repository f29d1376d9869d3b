"""Direct solution of sparse symmetric positive definite systems with many right-hand sides.
cholespy has its home here.
"""

import logging
from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg
from numpy import ndarray
from threadpoolctl import threadpool_limits

log = logging.getLogger(__name__)

# Right-hand sides that one pass over the factor of CHOLMOD serves: more at once are slower from 50,000 rows on.
_COLUMNS = 4

# (n, b) right-hand sides in, (n, b) solutions out, both float64; a solution lies in memory as its right-hand side does.
BlockSolve = Callable[[ndarray], ndarray]


def factorise(matrix: sp.spmatrix, *, backend: str = "auto") -> BlockSolve:
    """A function that solves ``matrix x = b`` for the columns of b: one factorisation serves all.

    ``backend``: "cholespy", the simplicial Cholesky factorisation of CHOLMOD after nested dissection; "superlu", that
    of scipy, whose solves take four to ten times as long and whose memory is several times as large beyond 100,000
    rows; "auto", cholespy where it is installed. Raises ValueError for another word or a matrix with entries that are
    not finite; of one that is not positive definite, "superlu" does too, while the solutions of "cholespy" are not
    finite.
    """
    if backend not in ("auto", "cholespy", "superlu"):
        raise ValueError(f"backend={backend!r} is unknown: choose auto, cholespy or superlu")
    matrix = sp.csc_matrix(matrix)
    matrix.sort_indices()
    if not np.isfinite(matrix.data).all():
        raise ValueError(
            f"{int((~np.isfinite(matrix.data)).sum())} entries of the matrix to factorise are NaN or infinite"
        )
    cholespy = None if backend == "superlu" else _import_cholespy()
    if cholespy is None and backend == "cholespy":
        raise ImportError("backend=cholespy needs the package cholespy: pip install cholespy")
    return _superlu(matrix) if cholespy is None else _cholesky(matrix, cholespy)


@cache
def _import_cholespy() -> ModuleType | None:
    """The package, or None where it is missing, which is said once."""
    try:
        import cholespy
    except ImportError:
        log.warning(
            "cholespy is not installed: eigenbases of large meshes take several times as long; pip install cholespy"
        )
        return None
    return cholespy


def _cholesky(matrix: sp.csc_matrix, cholespy: ModuleType) -> BlockSolve:
    n = matrix.shape[0]
    starts, rows = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32)
    solver = cholespy.CholeskySolverD(n, starts, rows, matrix.data.astype(np.float64), cholespy.MatrixType.CSC)

    def solve(right: ndarray) -> ndarray:
        solution = np.empty_like(right)
        for start in range(0, right.shape[1], _COLUMNS):
            columns = slice(start, start + _COLUMNS)
            part = np.ascontiguousarray(right[:, columns])
            result = np.empty_like(part)
            solver.solve(part, result)
            solution[:, columns] = result
        return solution

    return solve


def _superlu(matrix: sp.csc_matrix) -> BlockSolve:
    with threadpool_limits(limits=1, user_api="blas"):  # its many tiny products lose more than they gain from threads
        factor = scipy.sparse.linalg.splu(
            matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    if not (factor.U.diagonal() > 0).all():
        raise ValueError("the matrix to factorise is not positive definite")

    def solve(right: ndarray) -> ndarray:
        with threadpool_limits(limits=1, user_api="blas"):
            return factor.solve(right)

    return solve
