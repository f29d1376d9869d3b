"""How diagonal, how orthogonal and how commuting a functional map is: numbers beside a picture of it."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.fmap import eigenvalue_difference


class FmapMeasures(NamedTuple):
    """Of a map between the lowest eigenfunctions of two domains. None depends on signs of eigenfunctions."""

    dominance: float  # 1: a diagonal; 1/k: entries of one size
    orthogonality: float  # 0: orthogonal columns of length 1
    commutativity: float | None  # 0: commutes with the Laplacians, 1: not at all; None without eigenvalues

    def words(self) -> str:
        """For a reader: "diagonal 0.31, orthogonal to 0.45, commutes to 0.02"."""
        commutes = "" if self.commutativity is None else f", commutes to {self.commutativity:.2f}"
        return f"diagonal {self.dominance:.2f}, orthogonal to {self.orthogonality:.2f}{commutes}"


def measure_fmap(
    fmap12: Float[Tensor, "k2 k1"],
    evals1: Float[Tensor, " k1"] | None = None,
    evals2: Float[Tensor, " k2"] | None = None,
) -> FmapMeasures:
    """All of them; the eigenvalues belong to the columns and to the rows."""
    commutes = None if evals1 is None or evals2 is None else float(commutativity_error(fmap12, evals1, evals2))
    return FmapMeasures(float(diagonal_dominance(fmap12)), float(orthogonality_error(fmap12)), commutes)


def diagonal_dominance(fmap12: Float[Tensor, "k2 k1"]) -> Float[Tensor, ""]:
    """The mean over rows of the share that the diagonal entry has in the magnitudes of its row.

    Rows without a diagonal entry do not count; a row of zeros has the share 0.
    """
    size = fmap12[: min(fmap12.shape)].abs()
    tiny = torch.finfo(fmap12.dtype).tiny
    return (size.diagonal() / size.sum(dim=1).clamp_min(tiny)).mean()


def orthogonality_error(fmap12: Float[Tensor, "k2 k1"]) -> Float[Tensor, ""]:
    """``‖Cᵀ C - I‖ / √k1``: the root mean square over columns; 1 for a map that is zero."""
    k1 = fmap12.shape[1]
    return (fmap12.T @ fmap12 - torch.eye(k1).to(fmap12)).norm() / k1**0.5


def commutativity_error(
    fmap12: Float[Tensor, "k2 k1"], evals1: Float[Tensor, " k1"], evals2: Float[Tensor, " k2"]
) -> Float[Tensor, ""]:
    """``‖Λ2 C - C Λ1‖ / (‖Λ2 C‖ + ‖C Λ1‖)``, between 0 and 1; the size of C and the unit of eigenvalues cancel."""
    parts = (evals2[:, None] * fmap12).norm() + (fmap12 * evals1).norm()
    difference = (eigenvalue_difference(evals1, evals2) * fmap12).norm()
    return difference / parts.clamp_min(torch.finfo(fmap12.dtype).tiny)
