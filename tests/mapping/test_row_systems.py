"""Row-wise systems against one dense solve after the other, values and gradients."""

import pytest
import torch

from pullback.mapping.row_systems import solve_rows


def systems(rows: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two pairs with maps of 5 rows and 4 columns: coefficients whose Gram matrix it is, ridges and right-hand sides,
    in float64.
    """
    generator = torch.Generator().manual_seed(seed)
    coeffs = torch.randn(2, 4, 9, dtype=torch.float64, generator=generator)
    ridge = 0.1 + torch.rand(2, rows, 4, dtype=torch.float64, generator=generator)
    return coeffs, ridge, torch.randn(2, 5, 4, dtype=torch.float64, generator=generator)


def solved(coeffs: torch.Tensor, ridge: torch.Tensor, rhs: torch.Tensor) -> torch.Tensor:
    return solve_rows((coeffs @ coeffs.mT)[:, None], ridge, rhs)


def solved_one_by_one(coeffs: torch.Tensor, ridge: torch.Tensor, rhs: torch.Tensor) -> torch.Tensor:
    gram, ridge = coeffs @ coeffs.mT, ridge.expand(2, 5, 4)
    rows = [torch.linalg.inv(gram[p] + torch.diag(ridge[p, a])) @ rhs[p, a] for p in range(2) for a in range(5)]
    return torch.stack(rows).view(2, 5, 4)


@pytest.mark.parametrize("rows", [5, 1])
def test_every_row_is_the_solution_of_its_own_system(rows):
    torch.testing.assert_close(solved(*systems(rows)), solved_one_by_one(*systems(rows)))


@pytest.mark.parametrize("rows", [5, 1])
def test_gradients_are_those_of_one_solve_after_the_other(rows):
    weights = torch.randn(2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    grads = []
    for solve in (solved, solved_one_by_one):
        arguments = [values.clone().requires_grad_() for values in systems(rows)]
        (solve(*arguments).sin() * weights).sum().backward()
        grads.append([values.grad for values in arguments])
    for ours, expected in zip(*grads, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("rows", [5, 1])
def test_gradients_agree_with_finite_differences(rows):
    assert torch.autograd.gradcheck(solved, [values.requires_grad_() for values in systems(rows)])


def test_the_backward_pass_factorises_nothing(monkeypatch):
    arguments = [values.requires_grad_() for values in systems(5)]
    result = solved(*arguments)
    monkeypatch.setattr(torch.linalg, "cholesky", None)
    result.sum().backward()
    assert all(values.grad is not None for values in arguments)
