"""What is said of a functional map beside its picture, in cases that are known in closed form."""

import pytest
import torch

from pullback.mapping.fmap_measures import (
    commutativity_error,
    diagonal_dominance,
    measure_fmap,
    orthogonality_error,
)


def rotation(k: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(k, k, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]


def test_a_diagonal_of_signs_is_diagonal_orthogonal_and_commutes():
    evals = torch.arange(4.0).double()
    found = measure_fmap(torch.diag(torch.tensor([1.0, -1.0, 1.0, -1.0])).double(), evals, evals)
    assert found == pytest.approx((1.0, 0.0, 0.0))


def test_entries_of_one_size_leave_the_diagonal_its_even_share():
    assert diagonal_dominance(torch.full((5, 5), -0.3)) == pytest.approx(0.2)


def test_rows_below_the_diagonal_of_a_tall_map_do_not_count():
    assert diagonal_dominance(torch.cat([torch.eye(3), torch.ones(2, 3)])) == pytest.approx(1.0)


def test_rotations_are_orthogonal_and_shrinking_them_is_told_by_how_much():
    fmap12 = rotation(6)
    assert orthogonality_error(fmap12) == pytest.approx(0.0, abs=1e-12)
    assert orthogonality_error(0.5 * fmap12) == pytest.approx(0.75)
    assert orthogonality_error(0 * fmap12) == pytest.approx(1.0)


def test_an_entry_between_distant_eigenvalues_costs_its_share_of_their_sum():
    fmap12 = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    error = commutativity_error(fmap12, torch.tensor([0.0, 3.0]), torch.tensor([1.0, 9.0]))
    assert error == pytest.approx((3 - 1) / (3 + 1))


def test_signs_of_eigenfunctions_and_the_unit_of_eigenvalues_change_nothing():
    fmap12, evals1, evals2 = rotation(5)[:4], torch.arange(5.0).double(), torch.arange(4.0).double() + 0.5
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0]).double()
    other = measure_fmap(signs[:, None] * fmap12, 7 * evals1, 7 * evals2)
    assert other == pytest.approx(measure_fmap(fmap12, evals1, evals2))
