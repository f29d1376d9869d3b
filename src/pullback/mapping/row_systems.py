"""Functional maps by regularised least squares: every row of the map is a small system of equations of its own."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def solve_rows(
    gram: Float[Tensor, "p 1 k1 k1"], ridge: Float[Tensor, "p r k1"], rhs: Float[Tensor, "p k2 k1"]
) -> Float[Tensor, "p k2 k1"]:
    """Solves ``(gram + diag(ridge_a)) c_a = rhs_a`` for each row a; r is k2, or 1 where all rows have the same ridge.

    Differentiable in gram, ridge and rhs by the factors of the forward pass: the backward pass factorises nothing and
    stores no gradient of the k2 systems.
    """
    return _RowSolve.apply(gram, ridge, rhs)


def factorise_rows(gram: Float[Tensor, "p 1 k1 k1"], ridge: Float[Tensor, "p r k1"]) -> Float[Tensor, "p r k1 k1"]:
    """Cholesky factors of ``gram + diag(ridge_a)`` for each row a.
    (``torch.linalg.solve`` prints oneMKL errors on such batches.)
    """
    system = gram.repeat(1, ridge.shape[1], 1, 1)
    system.diagonal(dim1=2, dim2=3).add_(ridge)
    return torch.linalg.cholesky(system)


def solve_factored(factor: Float[Tensor, "p r k1 k1"], rhs: Float[Tensor, "p k2 k1"]) -> Float[Tensor, "p k2 k1"]:
    """The rows of the map: row a from the factor of its own system, or all from one (r = 1)."""
    if factor.shape[1] == 1:
        return torch.cholesky_solve(rhs.mT, factor[:, 0]).mT
    return torch.cholesky_solve(rhs[..., None], factor)[..., 0]


class _RowSolve(torch.autograd.Function):
    """Solves a system for each row, and has its gradients.

    With ``w_a`` the solution of system a for the incoming gradient: the gradient of rhs is w, and that of a system
    ``-w_a c_aᵀ``.
    """

    @staticmethod
    def forward(ctx: Any, gram: Tensor, ridge: Tensor, rhs: Tensor) -> Tensor:
        factor = factorise_rows(gram, ridge)
        rows = solve_factored(factor, rhs)
        ctx.save_for_backward(factor, rows)
        return rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        factor, rows = ctx.saved_tensors
        solved = solve_factored(factor, grad)
        product = solved * rows
        grad_ridge = product if factor.shape[1] > 1 else product.sum(dim=1, keepdim=True)
        return -(solved.mT @ rows)[:, None], -grad_ridge, solved
