from dataclasses import replace

import pytest
import torch
from tests.patch_pairs import K, patch_basis, self_pair, unrelated_pair

from pullback.nn.refiner import Refiner
from pullback.solvers.pair_release import GramObjective, LiteralObjective, ReleaseOptimiser

REFINER = Refiner(hidden=8, heads=2, layers=1, encoding="raster", skip=False)
QUICK = {"steps": 30, "lr": 1e-2, "cons_from": 10}


def objectives(pairs):
    solver = ReleaseOptimiser(REFINER)
    coeffs1, coeffs2 = solver.coefficients(pairs)
    delta = torch.rand(len(pairs), K, K, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return [kind(solver, coeffs1, coeffs2, delta) for kind in (GramObjective, LiteralObjective)]


@pytest.mark.parametrize("step", [499, 500])
def test_the_gram_form_has_the_values_and_gradients_of_the_literal_loss(step):
    fast, slow = objectives([unrelated_pair("a"), unrelated_pair("b", seed=4)])
    fmap12 = torch.randn(2, K, K, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(fast.terms(fmap12, step), slow.terms(fmap12, step))
    assert torch.allclose(fast.gradient(fmap12, step), slow.gradient(fmap12, step))
    assert bool(fast.terms(fmap12, step)[:, 2].any()) == (step == 500)


def test_the_whole_optimisation_agrees_with_its_slow_twin():
    pairs = [unrelated_pair("a"), unrelated_pair("b", seed=4)]
    fast, slow = (ReleaseOptimiser(REFINER, gram=gram, **QUICK)(pairs) for gram in (True, False))
    for one, other in zip(fast, slow, strict=True):
        assert torch.allclose(one.fmap12, other.fmap12, atol=1e-5)
        assert torch.allclose(one.losses, other.losses, rtol=1e-5)
        assert not torch.allclose(one.fmap12, one.fmap12_init, atol=1e-2)


def test_the_loss_and_the_clamp_are_those_of_the_release():
    """One pair, the loss written out, the transposed mask in a double loop."""
    pair = unrelated_pair()
    found = ReleaseOptimiser(REFINER, **QUICK)([pair])[0]
    coeffs1, coeffs2 = (coeffs[0] for coeffs in ReleaseOptimiser(REFINER).coefficients([pair]))
    evals1, evals2 = pair.image1.basis.evals.double(), pair.image2.basis.evals.double()
    fmap12 = torch.eye(K, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([fmap12], lr=1e-2)
    for step in range(30):
        loss = 0.1 * torch.linalg.norm(fmap12 @ coeffs1 - coeffs2)
        for a in range(K):
            for b in range(K):
                loss = loss + 5 * ((evals1[a] - evals2[b]) * fmap12[a, b]) ** 2
        if step >= 10:
            loss = loss + 1e-3 * (fmap12.square().sum() + K)
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            fmap12.clamp_(0, 1)
    assert torch.allclose(found.fmap12.double(), fmap12.detach(), atol=1e-5)


def test_entries_stay_between_0_and_1_and_start_from_the_identity():
    found = ReleaseOptimiser(REFINER, **QUICK)([unrelated_pair()])[0]
    assert found.fmap12.min() >= 0
    assert found.fmap12.max() <= 1
    assert torch.equal(found.fmap12_init, torch.eye(K))


def test_the_descriptors_are_those_of_the_basis_branch_unless_asked():
    pair = unrelated_pair()
    other_loss = replace(pair, image1=replace(pair.image1, feat=pair.image1.feat + 1))
    released = [ReleaseOptimiser(REFINER, **QUICK)([one])[0].fmap12 for one in (pair, other_loss)]
    assert torch.equal(*released)
    promised = [
        ReleaseOptimiser(REFINER, descriptors="descriptors", **QUICK)([one])[0].fmap12 for one in (pair, other_loss)
    ]
    assert not torch.allclose(*promised)


def test_a_pair_alone_and_in_a_batch():
    pairs = [unrelated_pair("a"), unrelated_pair("b", grids=((3, 4), (5, 2)), seed=3), unrelated_pair("a", seed=6)]
    solver = ReleaseOptimiser(REFINER, **QUICK)
    for pair, found in zip(pairs, solver(pairs), strict=True):
        assert torch.allclose(found.fmap12, solver([pair])[0].fmap12, atol=1e-4)


def test_the_random_network_follows_from_the_name_of_the_pair_and_the_seed():
    pair = unrelated_pair("a")
    solver = ReleaseOptimiser(REFINER, **QUICK)
    first = solver([pair])[0].fmap12
    assert torch.equal(first, solver([pair])[0].fmap12)
    assert not torch.allclose(first, solver([replace(pair, name="b")])[0].fmap12)
    assert not torch.allclose(first, ReleaseOptimiser(REFINER, seed=1, **QUICK)([pair])[0].fmap12)


def test_a_photograph_against_itself_keeps_the_identity():
    fmap12 = ReleaseOptimiser(Refiner(hidden=8, heads=2, layers=1, encoding="raster", skip=False), steps=600)(
        [self_pair()]
    )[0].fmap12
    assert torch.equal(fmap12.argmax(dim=1), torch.arange(K))
    assert (fmap12 - torch.eye(K)).abs().max() < 0.1


def test_bases_of_different_sizes_are_refused():
    pair = unrelated_pair("uneven")
    shorter = replace(pair, image2=replace(pair.image2, basis=patch_basis(pair.image2.grid, k=6, seed=1)))
    with pytest.raises(ValueError, match="uneven has 8 and 6"):
        ReleaseOptimiser(REFINER)([shorter])


def test_an_unknown_branch_is_refused():
    with pytest.raises(ValueError, match="descriptors='both'"):
        ReleaseOptimiser(REFINER, descriptors="both")
