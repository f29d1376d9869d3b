"""The basis of a block Lanczos iteration, kept orthonormal at the least cost."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pullback.geometry.factor import BlockSolve

_ROWS = 1 << 15  # rows of the basis that are combined at a time
_ROUNDING = 1e-15  # what one image gains along each basis vector, over the largest eigenvalue of the inverse
_DRIFT = 1e-10  # estimated products of basis vectors that call for orthogonalisation; real ones are a tenth and less


class ConvergenceError(RuntimeError):
    """The iteration used up its steps."""


class KrylovBasis:
    """Orthonormal vectors, and the projection on them of the inverted matrix.

    In exact arithmetic the image of a block has parts in that block, in the one before it and outside of the basis.
    Only these two are taken off it; off the first image after the basis was compressed, all are, and twice, for it has
    parts everywhere (Wu & Simon 2000). What rounding adds along all others grows from block to block; ``drift`` and
    ``gram`` follow it by Simon's recurrence (1984), and before it matters the last two blocks are made orthogonal to
    all vectors at once. Blocks are stored vector by vector, as the basis is.
    """

    def __init__(self, solve: BlockSolve, n: int, capacity: int):
        self.solve, self.n, self.capacity, self.size = solve, n, capacity, 0
        self.stored = np.empty((capacity, n))  # pages that are not in use take no memory
        self.vectors = torch.from_numpy(self.stored)
        self.projected = torch.zeros(capacity, capacity, dtype=torch.float64)
        self.solved: tuple[Tensor, Tensor] | None = None  # eigenvalues and eigenvectors of the projection
        self.gram = torch.eye(capacity, dtype=torch.float64)  # estimated products of the vectors
        self.drift = torch.zeros(0, 0, dtype=torch.float64)  # and of the vectors with the next block
        self.last = 0  # where the last block begins
        self.linked = 0  # where the vectors begin in which the image of the next block has parts
        self.is_chain = True  # every block is what was left of the image of the one before
        self.random_numbers = np.random.default_rng(0)

    def random(self, width: int) -> Float[Tensor, "b n"]:
        """Smooth random vectors orthogonal to the basis, not yet orthonormal. They break the chain of blocks."""
        block = self.image(self._noise(min(width, self.n - self.size), self.n))
        self.is_chain, self.linked = self.size == 0, 0
        self.detach(block)
        return block

    def image(self, block: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """The image of vectors under the inverted matrix."""
        return torch.from_numpy(self.solve(block.numpy().T)).T.contiguous()

    def append(self, block: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """Adds orthonormal vectors; returns what of their image lies outside the basis."""
        old, self.size = self.size, self.size + len(block)
        new, linked = slice(old, self.size), slice(self.linked, self.size)
        self.vectors[new] = block
        self.gram[:old, new], self.gram[new, :old] = self.drift, self.drift.T
        image = self.image(block)
        coeffs = self._remove(image, linked)
        if not self.is_chain or self.linked == 0:
            linked, (near, coeffs) = slice(0, self.size), (coeffs, self._remove(image, slice(0, self.size)))
            coeffs[-len(near) :] += near
        if not coeffs.isfinite().all():
            raise ConvergenceError("the matrix could not be factorised; it is not positive semi-definite")
        self.projected[linked, new], self.projected[new, linked] = coeffs, coeffs.T
        products = self.gram[: self.size]
        self.drift = self.projected[: self.size, : self.size] @ products[:, new] - products[:, linked] @ coeffs
        self.drift += _ROUNDING * float(self.projected.diagonal().max()) * self._noise(*self.drift.shape)
        self.drift[linked] = 0.0
        self.last = self.linked = old
        return image

    def orthonormalise(self, block: Float[Tensor, "b n"]) -> Float[Tensor, "c n"]:
        """An orthonormal basis, orthogonal to this one, of the span of the vectors.

        Of fewer vectors where the span is smaller.
        """
        smallest = 1e-13 * float(self.projected[: self.size, : self.size].diagonal().max()) if self.size else 0.0
        for _ in range(2):
            squares, directions = torch.linalg.eigh(block @ block.T)
            keep = squares > max(smallest**2, 1e-24 * float(squares[-1]))
            scaled = directions[:, keep] / squares[keep].sqrt()
            block, self.drift = scaled.T @ block, self.drift @ scaled
            if not len(block):
                break
            if self.size and (not keep.all() or squares[0] < (1e-6 if self.is_chain else 1e-3) * squares[-1]):
                self.detach(block)
            elif squares[0] > 1e-3 * squares[-1]:  # the products are as exact as the arithmetic, but for a factor 1000
                break
            smallest = 0.5
        if bool((self.drift.abs() > _DRIFT).any()):
            self._reorthogonalise(block)
        room = self.capacity - self.size
        self.drift = self.drift[:, :room]
        return block[:room]

    def detach(self, block: Float[Tensor, "b n"]) -> None:
        """Makes the vectors orthogonal to the whole basis, in place."""
        self._remove(block, slice(0, self.size))
        self.drift = block.new_zeros(self.size, len(block))

    def _remove(self, block: Float[Tensor, "b n"], part: slice) -> Float[Tensor, "m b"]:
        """Makes the vectors orthogonal to a part of the basis, in place; returns the coefficients taken off."""
        vectors, norm = self.vectors[part], block.norm(dim=1)
        total = block.new_zeros(len(vectors), len(block))
        for _ in range(3):
            coeffs = vectors @ block.T
            block.addmm_(coeffs.T, vectors, alpha=-1)
            total += coeffs
            before, norm = norm, block.norm(dim=1)
            if bool((norm > 0.5 * before).all()):  # little cancelled: rounding errors are those of the arithmetic
                break
        return total

    def _reorthogonalise(self, block: Float[Tensor, "b n"]) -> None:
        """Makes the last block and the next one, in place, orthogonal to all vectors."""
        before, last = slice(0, self.last), slice(self.last, self.size)
        both = torch.cat([self.vectors[last], block])
        both.addmm_((self.vectors[before] @ both.T).T, self.vectors[before], alpha=-1)
        self.vectors[last], block[:] = both.split([self.size - self.last, len(block)])
        block.addmm_((self.vectors[last] @ block.T).T, self.vectors[last], alpha=-1)
        self.gram[before, last] = self.gram[last, before] = 0.0
        self.drift.zero_()

    def _noise(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.random_numbers.standard_normal(shape))

    def ritz(self, k: int) -> tuple[Float[Tensor, " k"], Float[Tensor, "m k"]]:
        """The k largest eigenvalues of the projection, descending, and their eigenvectors."""
        if self.solved is None or len(self.solved[0]) != self.size:
            self.solved = torch.linalg.eigh(self.projected[: self.size, : self.size])
        theta, coeffs = self.solved
        return theta.flip(0)[:k], coeffs.flip(1)[:, :k]

    def compress(self, keep: int, pending: Float[Tensor, "b n"]) -> None:
        """Reduces the basis to the Ritz vectors of the ``keep`` largest eigenvalues.

        Makes what is left outside of it orthogonal to them, in place.
        """
        old, (theta, coeffs) = self.size, self.ritz(keep)
        self._combine(coeffs)
        self.size, self.last, self.linked = keep, keep, 0
        self.projected.zero_()[:keep, :keep] = torch.diag(theta)
        gram, self.gram = self.gram[:old, :old], torch.eye(self.capacity, dtype=torch.float64)
        self.gram[:keep, :keep] = coeffs.T @ gram @ coeffs
        self.solved = None
        self.detach(pending)

    def release(self, coeffs: Float[Tensor, "m k"]) -> Float[ndarray, "n k"]:
        """The combinations of the first basis vectors with these coefficients, in place of the basis."""
        self._combine(coeffs)
        del self.solve, self.vectors  # a copy beside the factor and the whole basis would be the peak of memory
        self.stored.resize((coeffs.shape[1], self.n), refcheck=False)
        return np.ascontiguousarray(self.stored.T)

    def _combine(self, coeffs: Float[Tensor, "m c"]) -> None:
        """Writes combinations of the first m vectors over the first of them."""
        for start in range(0, self.n, _ROWS):
            rows = slice(start, start + _ROWS)
            self.vectors[: coeffs.shape[1], rows] = coeffs.T @ self.vectors[: len(coeffs), rows]
