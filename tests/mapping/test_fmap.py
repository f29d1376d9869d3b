"""The conventions of the project, each a property on a stretched icosphere and its permuted twin."""

import pytest
import torch

from pullback.mapping.fmap import (
    fmap_from_pointmap,
    fmap_from_softmap,
    penalty_mask,
    pointmap_from_fmap,
    regularised_fmap,
    resolvent_mask,
    spectral_embeddings,
)
from pullback.mapping.hard_map import HardMap
from pullback.types import Eigenbasis


def test_the_fmap_of_a_point_map_is_its_least_squares_fit(tiny_pair):
    """fmap12 = evecs2ᵀ diag(mass2) evecs1[p2p21]."""
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    p2p21 = torch.randint(basis1.n, (basis2.n,), generator=torch.Generator().manual_seed(0))
    root = basis2.mass.sqrt()[:, None]
    expected = torch.linalg.lstsq(root * basis2.evecs, root * basis1.evecs[p2p21]).solution
    assert torch.allclose(fmap_from_pointmap(p2p21, basis1, basis2), expected, atol=1e-4)


def test_the_identity_map_has_the_identity_fmap(tiny_shape):
    basis = tiny_shape.basis
    assert torch.allclose(fmap_from_pointmap(torch.arange(basis.n), basis, basis), torch.eye(basis.k), atol=1e-4)


def test_a_permutation_has_an_orthogonal_fmap_that_gives_it_back(tiny_pair):
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    truth = true_map(tiny_pair)
    fmap12 = fmap_from_pointmap(truth, basis1, basis2)
    assert torch.allclose(fmap12.T @ fmap12, torch.eye(basis1.k), atol=1e-3)
    assert torch.equal(pointmap_from_fmap(fmap12, basis1, basis2), truth)


def test_maps_compose_in_opposite_orders(tiny_pair):
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    p2p21 = true_map(tiny_pair)
    # shape 3 is shape 1 seen through another permutation
    p2p32 = torch.randperm(basis2.n, generator=torch.Generator().manual_seed(1))
    basis3 = Eigenbasis(basis2.evals, basis2.evecs[p2p32], basis2.mass[p2p32])
    fmap13 = fmap_from_pointmap(p2p21[p2p32], basis1, basis3)
    assert torch.allclose(
        fmap13, fmap_from_pointmap(p2p32, basis2, basis3) @ fmap_from_pointmap(p2p21, basis1, basis2), atol=1e-3
    )


def test_a_hard_map_pulls_back_the_identity_to_its_own_matrix(tiny_pair):
    truth = true_map(tiny_pair)
    n1 = tiny_pair.shape1.n
    assert torch.equal(HardMap(truth, n1=n1).pull_back(torch.eye(n1)).argmax(dim=1), truth)


def test_hard_maps_and_point_maps_have_the_same_fmap(tiny_pair):
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    truth = true_map(tiny_pair)
    assert torch.allclose(
        fmap_from_softmap(HardMap(truth, n1=basis1.n), basis1, basis2), fmap_from_pointmap(truth, basis1, basis2)
    )


def test_flipping_eigenvector_signs_changes_signs_of_the_fmap_and_keeps_the_point_map(tiny_pair):
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    truth = true_map(tiny_pair)
    signs = torch.tensor([1.0, -1.0, -1.0]).repeat(basis1.k)[: basis1.k]
    flipped = Eigenbasis(basis1.evals, basis1.evecs * signs, basis1.mass)
    fmap12 = fmap_from_pointmap(truth, flipped, basis2)
    assert torch.equal(fmap12, fmap_from_pointmap(truth, basis1, basis2) * signs)
    assert torch.equal(pointmap_from_fmap(fmap12, flipped, basis2), truth)


def test_the_principal_block_of_a_proper_fmap_is_the_proper_fmap_of_that_size(tiny_pair):
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    truth = true_map(tiny_pair)
    small = fmap_from_pointmap(truth, basis1.first(7), basis2.first(9))
    assert torch.allclose(fmap_from_pointmap(truth, basis1, basis2)[:9, :7], small, atol=1e-6)


def test_embeddings_live_in_the_coordinates_of_basis_2(tiny_pair):
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    query, reference = spectral_embeddings(torch.ones(4, 6), basis1, basis2)
    assert query.shape == (basis2.n, 4)
    assert reference.shape == (basis1.n, 4)


def test_the_resolvent_mask_is_the_squared_distance_of_complex_resolvents():
    evals1, evals2 = torch.tensor([0.0, 2.0, 5.0]), torch.tensor([0.0, 3.0])

    def resolvent(evals):
        return 1 / (torch.complex((evals / 5) ** 0.5, -torch.ones_like(evals)))

    expected = (resolvent(evals2)[:, None] - resolvent(evals1)[None, :]).abs() ** 2
    assert torch.allclose(resolvent_mask(evals1, evals2), expected, atol=1e-6)


def test_the_resolvent_mask_survives_slightly_negative_eigenvalues():
    mask = resolvent_mask(torch.tensor([-1e-9, 1.0]), torch.tensor([-1e-8, 1.0]))
    assert torch.isfinite(mask).all()
    assert mask.diagonal().abs().max() < 1e-6


def test_asking_for_more_eigenfunctions_than_stored_says_what_to_type(tiny_shape):
    with pytest.raises(ValueError, match=rf"only {tiny_shape.basis.k} were prepared.*data.k=999"):
        tiny_shape.basis.first(999)


def true_map(pair):
    """p2p21 from the landmarks, which cover every vertex of shape 2 once."""
    truth = torch.empty_like(pair.corr2)
    truth[pair.corr2] = pair.corr1
    return truth


def coefficients(seed: int = 0, rank: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of a 6 × 4 problem in float64; with ``rank`` below 4, linearly dependent ones."""
    generator = torch.Generator().manual_seed(seed)
    coeffs1, coeffs2 = (torch.randn(k, rank, dtype=torch.float64, generator=generator) for k in (4, 6))
    return coeffs1, coeffs2


def test_without_a_penalty_the_regularised_map_is_the_least_squares_fit():
    coeffs1, coeffs2 = coefficients()
    expected = torch.linalg.lstsq(coeffs1.T, coeffs2.T).solution.T
    torch.testing.assert_close(
        regularised_fmap(coeffs1, coeffs2, torch.zeros(6, 4, dtype=torch.float64)), expected, rtol=1e-6, atol=1e-6
    )


def test_the_regularised_map_is_a_minimum_of_its_energy():
    coeffs1, coeffs2 = coefficients()
    penalty = torch.rand(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    fmap12 = regularised_fmap(coeffs1, coeffs2, penalty).requires_grad_()
    (((fmap12 @ coeffs1 - coeffs2) ** 2).sum() + (penalty * fmap12**2).sum()).backward()
    assert fmap12.grad.abs().max() < 1e-6


def test_features_of_lower_rank_than_the_map_are_solved_and_differentiated():
    coeffs1, coeffs2 = (values.float().requires_grad_() for values in coefficients(rank=2))
    fmap12 = regularised_fmap(coeffs1, coeffs2, torch.zeros(6, 4))
    fmap12.sum().backward()
    assert torch.allclose(fmap12 @ coeffs1, coeffs2, atol=1e-3)
    assert all(torch.isfinite(values.grad).all() for values in (coeffs1, coeffs2))
    assert torch.isfinite(regularised_fmap(torch.zeros(4, 3), torch.zeros(6, 3), torch.zeros(6, 4))).all()


def test_a_large_penalty_empties_exactly_the_entries_that_it_falls_on():
    coeffs1, coeffs2 = coefficients()
    penalty = torch.zeros(6, 4, dtype=torch.float64)
    penalty[2, 3] = 1e9
    fmap12 = regularised_fmap(coeffs1, coeffs2, penalty)
    assert abs(fmap12[2, 3]) < 1e-6
    free = regularised_fmap(coeffs1, coeffs2, torch.zeros_like(penalty))
    assert torch.allclose(fmap12[[0, 1, 3, 4, 5]], free[[0, 1, 3, 4, 5]])


def test_masks_have_the_rows_of_shape_2_and_vanish_on_equal_eigenvalues():
    evals1, evals2 = torch.tensor([0.0, 2.0, 5.0]), torch.tensor([0.0, 5.0])
    assert torch.equal(
        penalty_mask("squared_difference", evals1, evals2), torch.tensor([[0.0, 4.0, 25.0], [25.0, 9.0, 0.0]])
    )
    assert torch.equal(penalty_mask("resolvent", evals1, evals2, gamma=1.0), resolvent_mask(evals1, evals2, gamma=1.0))
    assert torch.equal(penalty_mask("none", evals1, evals2), torch.ones(2, 3))
    with pytest.raises(ValueError, match="mask='hard' is unknown; use one of resolvent, squared_difference, none"):
        penalty_mask("hard", evals1, evals2)
