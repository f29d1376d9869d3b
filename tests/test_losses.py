import math
from dataclasses import replace

import pytest
import torch

from pullback.losses import (
    Bijectivity,
    Consistency,
    LaplacianCommutativity,
    Likelihood,
    Orthogonality,
    Supervised,
    bijectivity,
    commutativity,
    orthogonality,
    surprise,
)
from pullback.mapping.fmap import fmap_from_pointmap, resolvent_mask
from pullback.mapping.hard_map import HardMap
from pullback.mapping.softmap import soft_map
from pullback.types import Match


def rotation(k: int, seed: int = 0) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(k, k, generator=torch.Generator().manual_seed(seed)))[0]


def match_of(fmap12, fmap12_init, reverse=None) -> Match:
    somewhere = HardMap(torch.zeros(3, dtype=torch.int64), n1=3)
    return Match(fmap12, somewhere, fmap12_init, somewhere, reverse)


def test_orthogonality_vanishes_on_rotations_and_counts_squared_entries_elsewhere():
    assert float(orthogonality(rotation(6))) == pytest.approx(0, abs=1e-9)
    assert float(orthogonality(torch.zeros(6, 6))) == 6
    assert float(orthogonality(2 * torch.eye(3))) == 27


def test_orthogonality_of_a_rectangular_map_is_that_of_its_columns():
    assert float(orthogonality(torch.eye(5, 3))) == 0


def test_bijectivity_vanishes_on_inverse_maps_only():
    fmap = rotation(5)
    assert float(bijectivity(fmap, fmap.T)) == pytest.approx(0, abs=1e-9)
    assert float(bijectivity(fmap, fmap)) > 1


def test_commutativity_vanishes_on_maps_between_equal_eigenvalues():
    evals = torch.tensor([0.0, 1.0, 4.0, 9.0])
    mask = resolvent_mask(evals, evals)
    assert float(commutativity(torch.diag(torch.randn(4)), mask)) == pytest.approx(0, abs=1e-9)
    assert float(commutativity(torch.ones(4, 4), mask)) > 0.1


def test_each_term_is_its_weight_times_its_function(tiny_pair):
    k = 12
    init = rotation(k) + 0.1
    final = rotation(20, seed=1)
    match = match_of(final, init)
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    mask = resolvent_mask(basis1.evals[:k], basis2.evals[:k])
    expected = {
        Orthogonality(3.0): 3 * orthogonality(init),
        Orthogonality(3.0, of="final"): 3 * orthogonality(final),
        Consistency(2.0): 2 * ((init - final[:k, :k]) ** 2).sum(),
        LaplacianCommutativity(5.0): 5 * ((init * mask) ** 2).sum(),
        Orthogonality(1.0, scale="mean"): orthogonality(init) * 100 / k**2,
    }
    for term, value in expected.items():
        assert torch.allclose(term(match, tiny_pair), value)


def test_a_two_way_match_adds_both_directions(tiny_pair):
    forward, backward = match_of(rotation(9), rotation(5) + 0.2), match_of(rotation(9), rotation(5) - 0.3)
    both = replace(forward, reverse=backward)
    term = Orthogonality()
    assert torch.allclose(term(both, tiny_pair), term(forward, tiny_pair) + term(backward, tiny_pair))
    assert float(Bijectivity()(both, tiny_pair)) == pytest.approx(
        float(bijectivity(forward.fmap12_init, backward.fmap12_init))
    )


def test_the_consistency_target_is_fixed_unless_asked_otherwise(tiny_pair):
    init, final = rotation(5).requires_grad_(), rotation(9).requires_grad_()
    Consistency()(match_of(final, init), tiny_pair).backward()
    assert init.grad is not None
    assert final.grad is None
    Consistency(stop_gradient=False)(match_of(final, init), tiny_pair).backward()
    assert final.grad is not None


def test_supervision_vanishes_on_the_true_maps(tiny_pair):
    basis1, basis2 = tiny_pair.shape1.basis.first(20), tiny_pair.shape2.basis.first(20)
    truth = torch.empty_like(tiny_pair.corr2)
    truth[tiny_pair.corr2] = tiny_pair.corr1
    fmap12 = fmap_from_pointmap(truth, basis1, basis2)
    assert float(Supervised()(match_of(fmap12, fmap12[:8, :8]), tiny_pair)) == pytest.approx(0, abs=1e-4)
    assert float(Supervised()(match_of(fmap12, -fmap12[:8, :8]), tiny_pair)) > 1


def test_terms_that_lack_something_say_what_to_do(tiny_pair):
    match = match_of(rotation(9), rotation(5))
    with pytest.raises(ValueError, match="two_way=true"):
        Bijectivity()(match, tiny_pair)
    with pytest.raises(ValueError, match="needs ground truth"):
        Supervised()(match, replace(tiny_pair, corr1=None, corr2=None))
    with pytest.raises(ValueError, match="scale='max'"):
        Orthogonality(scale="max")
    with pytest.raises(ValueError, match="of='last'"):
        Orthogonality(of="last")


def test_a_map_that_knows_nothing_is_surprised_by_each_of_its_points_alike_and_a_certain_one_by_none():
    blind = soft_map(torch.zeros(5, 2), torch.zeros(7, 2), blur=0.2, relative=False)
    assert float(surprise(blind, torch.arange(5), torch.arange(5))) == pytest.approx(math.log(7))
    places = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    certain = soft_map(places[[3, 1]], places, blur=1e-3, relative=False)
    assert float(surprise(certain, torch.tensor([0, 1]), torch.tensor([3, 1]))) == pytest.approx(0, abs=1e-6)
    assert float(surprise(certain, torch.tensor([0, 1]), torch.tensor([1, 3]))) > 100


def test_likelihood_draws_features_of_corresponding_points_together(tiny_pair):
    generator = torch.Generator().manual_seed(0)
    feat1, feat2 = (torch.randn(642, 4, generator=generator).requires_grad_() for _ in range(2))
    term, optimizer, seen = Likelihood(landmarks=64), torch.optim.Adam([feat1, feat2], lr=0.1), []
    truth = torch.arange(642)
    pair = replace(tiny_pair, corr1=truth, corr2=truth)
    for _ in range(60):
        somewhere = HardMap(truth, n1=642)
        soft = soft_map(feat2, feat1, blur=0.5, relative=False)
        loss = term(Match(torch.eye(4), somewhere, torch.eye(4), soft), pair)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert seen[-1] < 0.6 * seen[0]


def test_likelihood_says_what_it_lacks(tiny_pair):
    blind = replace(tiny_pair, corr1=None, corr2=None)
    with pytest.raises(ValueError, match=r"needs ground truth, and pair .* has none"):
        Likelihood()(match_of(torch.eye(4), torch.eye(4)), blind)
    truth = torch.arange(3)
    with pytest.raises(ValueError, match="soft maps of features; use solver=diff_zoomout"):
        Likelihood()(match_of(torch.eye(4), torch.eye(4)), replace(tiny_pair, corr1=truth, corr2=truth))
    with pytest.raises(ValueError, match="landmarks=0 is too small"):
        Likelihood(landmarks=0)
