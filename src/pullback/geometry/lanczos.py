"""Block Lanczos with a direct solver: the smallest eigenpairs of a large sparse symmetric matrix.

The matrix L is shifted and inverted, ``(L + s)⁻¹``, which turns the smallest eigenvalues λ into the largest, θ = 1 / (λ
+ s). Every new block of the Krylov basis is made orthogonal to all earlier ones by matrix products (ARPACK has
matrix-vector products there, and solves for one vector at a time), and the eigenpairs are those of the projection on
the basis (Grimes, Lewis & Simon 1994, without their slices).
"""

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pullback.geometry.factor import BlockSolve, factorise
from pullback.threads import one_thread

_PROBE = 4  # random vectors that look for missed eigenvectors at the end
_PROBE_STEPS = 4
_ROWS = 1 << 15  # rows of the basis that are combined at a time
_FULL_BASES = 20
_PATIENCE = 2  # full bases within which the error must be halved
_RELATIVE_THETA = 1e-12  # accuracy of the eigenvalues θ where rounding hides that of λ
_ORTHOGONALITY = 1e-12


class ConvergenceError(RuntimeError):
    """The iteration used up its steps."""


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
    eigenvectors may need an inverse iteration for their residual. Memory beyond the matrix, in bytes: ``8 n (m + k + 6
    block)`` and the factor (about 750 n on a surface of a million vertices), with m ≤ ``capacity`` basis vectors in use
    (by default at most 5k + 10 block; k = 200 took 650, which makes 9 GB for a million vertices); a full basis is
    compressed and the iteration goes on. One thread (``one_thread``): the same input gives the same bits. ``backend``:
    see ``factorise``. Raises ValueError for a matrix that is not finite or a basis too small for k, ConvergenceError.
    """
    with one_thread():
        return _smallest_eigenpairs(matrix, k, tolerance, block, capacity, backend)


def _smallest_eigenpairs(
    matrix: sp.spmatrix, k: int, tolerance: float, block: int, capacity: int | None, backend: str
) -> tuple[Float[ndarray, " k"], Float[ndarray, "n k"]]:
    n = matrix.shape[0]
    capacity = min(n, 5 * k + 10 * block if capacity is None else capacity)
    if k + 2 * block > capacity:
        raise ValueError(
            f"Lanczos needs a basis of k + 2 block = {k + 2 * block} vectors, "
            f"and has room for {capacity}; use solver=eigh"
        )
    if not np.isfinite(matrix.data).all():
        raise ValueError(f"{int((~np.isfinite(matrix.data)).sum())} entries of the matrix are NaN or infinite")
    shift = _shift(matrix)
    shifted = (sp.csr_matrix(matrix) + shift * sp.eye(n)).tocsr()
    basis = _Basis(factorise(shifted, backend=backend), n, capacity)
    pending = basis.random(block)
    while True:
        pending = _converge(basis, pending, shifted, k=k, tolerance=tolerance)
        found = _probe(basis, k)
        if found is None:
            theta, coeffs = basis.ritz(k)
            return (1 / theta - shift).numpy(), basis.combine(coeffs).numpy()
        pending = torch.cat([pending, found, basis.random(pending.shape[1])], dim=1)


class _Basis:
    """Orthonormal vectors, and the projection on them of the inverted matrix.

    Blocks of b vectors have the shape (n, b) and are stored vector by vector, as the basis is. Their products with the
    basis, which take most of the time, are torch's; what is subtracted from them is numpy's product, which takes half
    as long as torch's for few long rows.
    """

    def __init__(self, solve: BlockSolve, n: int, capacity: int):
        self.solve, self.n, self.capacity, self.size = solve, n, capacity, 0
        self.vectors = torch.empty(capacity, n, dtype=torch.float64)  # pages that are not in use take no memory
        self.projected = torch.zeros(capacity, capacity, dtype=torch.float64)
        self.solved: tuple[Tensor, Tensor] | None = None  # eigenvalues and eigenvectors of the projection
        self.random_numbers = np.random.default_rng(0)

    def random(self, width: int) -> Float[Tensor, "n b"]:
        """Smooth random vectors orthogonal to the basis, not yet orthonormal."""
        block = self.image(self.random_numbers.standard_normal((self.n, min(width, self.n - self.size))))
        self.remove(block)
        return block

    def image(self, block: Float[ndarray, "n b"]) -> Float[Tensor, "n b"]:
        """The image of vectors under the inverted matrix."""
        return _by_vectors(torch.from_numpy(self.solve(block)))

    def append(self, block: Float[Tensor, "n b"]) -> Float[Tensor, "n b"]:
        """Adds orthonormal vectors; returns what of their image lies outside the basis."""
        old, self.size = self.size, self.size + block.shape[1]
        self.vectors[old : self.size] = block.T
        image = self.image(block.numpy())
        if not image.isfinite().all():
            raise ConvergenceError("the matrix could not be factorised; it is not positive semi-definite")
        # In exact arithmetic the image lies in the last two blocks and outside of the basis; what rounding adds is
        # found by `remove`.
        near = self.vectors[max(0, old - block.shape[1]) : self.size]
        first = near @ image
        _subtract(image, near, first)
        coeffs = self.remove(image)
        coeffs[self.size - len(near) :] += first
        self.projected[: self.size, old : self.size] = coeffs
        self.projected[old : self.size, : self.size] = coeffs.T
        return image

    def remove(self, block: Float[Tensor, "n b"]) -> Float[Tensor, "m b"]:
        """Makes the columns orthogonal to the basis, in place, and returns the coefficients that were taken off."""
        vectors, norm = self.vectors[: self.size], block.norm(dim=0)
        total = block.new_zeros(self.size, block.shape[1])
        for _ in range(3):
            coeffs = vectors @ block
            share = float((coeffs.norm(dim=0) / norm).nan_to_num().max())
            total += coeffs
            if share > _ORTHOGONALITY:
                _subtract(block, vectors, coeffs)
            if share <= 1e-4:  # rounding errors of this step are below those of the arithmetic
                break
            norm = block.norm(dim=0)
        return total

    def orthonormalise(self, block: Float[Tensor, "n b"]) -> Float[Tensor, "n c"]:
        """An orthonormal basis, orthogonal to this one, of the span of the columns.

        Of fewer columns where the span is smaller.
        """
        smallest = 1e-13 * float(self.projected[: self.size, : self.size].diagonal().max()) if self.size else 0.0
        for _ in range(2):
            squares, directions = torch.linalg.eigh(block.T @ block)
            keep = squares > max(smallest**2, 1e-24 * float(squares[-1]))
            block = _by_vectors(block @ (directions[:, keep] / squares[keep].sqrt()))
            if not block.shape[1]:
                break
            if self.size and (not keep.all() or squares[0] < 1e-6 * squares[-1]):
                self.remove(block)
            smallest = 0.5
        return block[:, : self.capacity - self.size]

    def ritz(self, k: int) -> tuple[Float[Tensor, " k"], Float[Tensor, "m k"]]:
        """The k largest eigenvalues of the projection, descending, and their eigenvectors."""
        if self.solved is None or len(self.solved[0]) != self.size:
            self.solved = torch.linalg.eigh(self.projected[: self.size, : self.size])
        theta, coeffs = self.solved
        return theta.flip(0)[:k], coeffs.flip(1)[:, :k]

    def combine(self, coeffs: Float[Tensor, "m k"]) -> Float[Tensor, "n k"]:
        """The combinations of the basis vectors with these coefficients."""
        combined = torch.empty(self.n, coeffs.shape[1], dtype=torch.float64)
        for start in range(0, self.n, _ROWS):
            combined[start : start + _ROWS] = self.vectors[: self.size, start : start + _ROWS].T @ coeffs
        return combined

    def compress(self, keep: int) -> None:
        """Reduces the basis to the Ritz vectors of the ``keep`` largest eigenvalues."""
        theta, coeffs = self.ritz(keep)
        for start in range(0, self.n, _ROWS):
            rows = slice(start, start + _ROWS)
            self.vectors[:keep, rows] = coeffs.T @ self.vectors[: self.size, rows]
        self.size = keep
        self.projected[:keep, :keep] = torch.diag(theta)
        self.solved = None


def _by_vectors(block: Float[Tensor, "n b"]) -> Float[Tensor, "n b"]:
    """The same, stored vector by vector."""
    return block.T.contiguous().T


def _subtract(block: Float[Tensor, "n b"], vectors: Float[Tensor, "m n"], coeffs: Float[Tensor, "m b"]) -> None:
    """Takes the combinations of the vectors off the block, which is stored vector by vector."""
    rows = block.T.numpy()
    rows -= coeffs.T.numpy() @ vectors.numpy()


def _converge(
    basis: _Basis, pending: Float[Tensor, "n b"], shifted: sp.csr_matrix, *, k: int, tolerance: float
) -> Float[Tensor, "n c"]:
    """Extends the basis until its k leading Ritz vectors are eigenvectors; returns what is left outside of it."""
    width = pending.shape[1]
    check, steps, error = max(3 * k, basis.size + width), 0, np.inf
    best, since = np.inf, 0  # the smallest error, and the vectors made since it was halved
    rounding = np.finfo(float).eps * float(shifted.diagonal().max())
    for _ in range(_FULL_BASES * basis.capacity // width):
        if basis.size + width > basis.capacity < basis.n:
            basis.compress((k + basis.capacity) // 2)
            check = basis.size + width
        block = basis.orthonormalise(pending)
        if block.shape[1] == 0:  # the images of the basis lie inside it
            block = basis.orthonormalise(basis.random(width))
        pending, steps, since = basis.append(block), steps + 1, since + block.shape[1]
        if basis.size == basis.n:
            return pending
        if basis.size >= check:
            before, error = error, _error(basis, pending, shifted, k=k, last=block.shape[1])
            if error <= tolerance or _is_drowned(
                basis, pending, rounding, k=k, last=block.shape[1], tolerance=tolerance
            ):
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


def _error(basis: _Basis, pending: Float[Tensor, "n b"], shifted: sp.csr_matrix, *, k: int, last: int) -> float:
    """The largest residual ``‖L φ - λ φ‖`` of the k leading Ritz vectors over the k-th eigenvalue.

    With A = L + s and the part P of the images of the ``last`` vectors outside the basis, ``A⁻¹ φ = θ φ + P y``, hence
    ``A φ - φ / θ = -A P y / θ``, where y holds the last coefficients of φ. No vector of length n is formed.
    """
    theta, coeffs = basis.ritz(k)
    outside = torch.from_numpy(shifted @ pending.numpy())
    return float((_norms(outside, coeffs[-last:]) / theta).max() * theta[-1])


def _is_drowned(
    basis: _Basis, pending: Float[Tensor, "n b"], rounding: float, *, k: int, last: int, tolerance: float
) -> bool:
    """Whether ``rounding`` of the shifted matrix exceeds the tolerance though the inverse has converged."""
    theta, coeffs = basis.ritz(k)
    if rounding * float(theta[-1]) <= tolerance:
        return False
    return float(_norms(pending, coeffs[-last:]).max() / theta[-1]) <= _RELATIVE_THETA


def _norms(outside: Float[Tensor, "n b"], tail: Float[Tensor, "b k"]) -> Float[Tensor, " k"]:
    return (tail * (outside.T @ outside @ tail)).sum(dim=0).clamp(min=0).sqrt()


def _probe(basis: _Basis, k: int) -> Float[Tensor, "n b"] | None:
    """Extends the basis from random vectors; None where the leading Ritz values stay, else the remainder.

    An eigenvector that the iteration has missed is among the smoothest functions orthogonal to the basis, so a few
    steps bring it up.
    """
    if basis.size == basis.n:
        return None
    if basis.capacity < basis.n and basis.size + _PROBE * _PROBE_STEPS > basis.capacity:
        basis.compress((k + basis.capacity) // 2)
    before, _ = basis.ritz(k)
    pending = basis.random(_PROBE)
    for _ in range(_PROBE_STEPS):
        block = basis.orthonormalise(pending) if pending.shape[1] else pending
        if block.shape[1] == 0:
            return None
        pending = basis.append(block)
    after, _ = basis.ritz(k)
    return pending if bool((after > before * (1 + 1e-8)).any()) else None


def _shift(matrix: sp.spmatrix) -> float:
    """About a third of a square domain's first eigenvalue: it leaves A well conditioned."""
    diagonal = matrix.diagonal()
    positive = diagonal[diagonal > 0]
    return 0.3 * float(np.median(positive)) / len(diagonal) if len(positive) else 1.0
