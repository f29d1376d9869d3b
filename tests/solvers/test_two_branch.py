from dataclasses import replace

import pytest
import torch
from tests.solvers.test_zoomout import LargestTensor, landmarks_features, truth_of

from pullback.losses import Bijectivity, Consistency, Orthogonality
from pullback.mapping.fmap import fmap_from_pointmap, pointmap_from_fmap
from pullback.solvers.regularised import RegularisedSolver
from pullback.solvers.two_branch import TwoBranch
from pullback.types import Eigenbasis


def bases(pair):
    return pair.shape1.basis, pair.shape2.basis


def match_of(pair, noise=0.1, **options):
    return TwoBranch(**{"k": 20, "lam": 0.1} | options)(*landmarks_features(pair, noise=noise), *bases(pair))


def rows_on_the_sphere(feats):
    return [feat / feat.norm(dim=1, keepdim=True) for feat in feats]


def test_the_soft_branch_is_the_softmax_of_cosines(tiny_pair):
    basis1, basis2 = (basis.first(20) for basis in bases(tiny_pair))
    match = match_of(tiny_pair, init_blur=0.07**0.5)
    unit1, unit2 = rows_on_the_sphere(landmarks_features(tiny_pair, noise=0.1))
    weights = torch.softmax(unit2 @ unit1.T / 0.07, dim=1)
    assert torch.allclose(match.fmap12, basis2.project(weights @ basis1.evecs), atol=1e-5)
    cosines = unit2.double() @ unit1.double().T
    assert (cosines.gather(1, match.map21_init.nearest()[:, None])[:, 0] >= cosines.amax(dim=1) - 1e-6).all()


def test_the_other_branch_is_the_regularised_solver(tiny_pair):
    alone = RegularisedSolver(k=20, lam=0.1, mask="resolvent")(
        *landmarks_features(tiny_pair, noise=0.1), *bases(tiny_pair)
    )
    assert torch.equal(match_of(tiny_pair).fmap12_init, alone.fmap12)


def test_projected_features_are_compared_within_the_span_of_the_basis(tiny_pair):
    basis1, basis2 = (basis.first(20) for basis in bases(tiny_pair))
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.1)
    smooth1, smooth2 = basis1.evecs @ basis1.project(feat1), basis2.evecs @ basis2.project(feat2)
    weights = torch.softmax(-(torch.cdist(smooth2, smooth1) ** 2) / (2 * 0.5**2), dim=1)
    match = match_of(tiny_pair, embedding="projected", init_blur=0.5)
    assert torch.allclose(match.fmap12, basis2.project(weights @ basis1.evecs), atol=1e-4)


def test_every_read_out_is_the_map_that_it_names(tiny_pair):
    basis1, basis2 = (basis.first(20) for basis in bases(tiny_pair))
    matches = {
        name: match_of(tiny_pair, read_out=name) for name in ("features", "spectral", "soft_spectral", "regularised")
    }
    features = matches["features"].map21_init.nearest()
    expected = {
        "features": features,
        "spectral": pointmap_from_fmap(fmap_from_pointmap(features, basis1, basis2), basis1, basis2),
        "soft_spectral": pointmap_from_fmap(matches["features"].fmap12, basis1, basis2),
        "regularised": pointmap_from_fmap(matches["features"].fmap12_init, basis1, basis2),
    }
    for name, match in matches.items():
        assert torch.equal(match.p2p21, expected[name]), name
        assert torch.equal(
            match.map21.pull_back(torch.arange(basis1.n)[:, None].float())[:, 0].long(), expected[name]
        ), name
    assert not torch.equal(expected["spectral"], features)


@pytest.mark.parametrize("read_out", ["features", "spectral", "soft_spectral", "regularised"])
def test_where_nothing_is_learned_the_same_map_comes_with_the_functional_map_of_the_read_out(tiny_pair, read_out):
    basis1, basis2 = (basis.first(20) for basis in bases(tiny_pair))
    feats = landmarks_features(tiny_pair, noise=0.1)
    solver = TwoBranch(k=20, lam=0.1, read_out=read_out)
    learning, match = solver(*feats, *bases(tiny_pair)), solver.matched(*feats, *bases(tiny_pair))
    assert torch.equal(match.p2p21, learning.p2p21)
    assert torch.equal(match.fmap12_init, learning.fmap12_init)
    assert torch.equal(match.map21_init.nearest(), learning.map21_init.nearest())
    if read_out == "features":
        assert torch.equal(match.fmap12, fmap_from_pointmap(match.p2p21, basis1, basis2))
    else:
        assert torch.equal(match.p2p21, pointmap_from_fmap(match.fmap12, basis1, basis2))


def test_an_evaluation_of_dense_meshes_computes_no_soft_map(tiny_pair, monkeypatch):
    monkeypatch.setattr("pullback.solvers.two_branch.fmap_from_softmap", lambda *_: pytest.fail("a soft map was read"))
    solver = TwoBranch(k=20, lam=0.1)
    assert solver.matched(*landmarks_features(tiny_pair, noise=0.1), *bases(tiny_pair)).p2p21.shape == (
        tiny_pair.shape2.n,
    )


def test_smoothing_the_neighbours_of_noisy_features_brings_them_nearer_to_the_truth(tiny_pair):
    truth = truth_of(tiny_pair)
    hits = {
        name: (match_of(tiny_pair, noise=0.3, read_out=name).p2p21 == truth).float().mean()
        for name in ("features", "spectral")
    }
    assert hits["spectral"] > hits["features"] + 0.1


def test_the_spectral_map_turns_round(tiny_pair):
    match = match_of(tiny_pair)
    assert torch.equal(match.map21.reverse().nearest(), match.reverse.p2p21)
    assert (match.map21.n1, match.map21.n2) == (tiny_pair.shape1.n, tiny_pair.shape2.n)


def test_nobody_searches_neighbours_in_training(tiny_pair, monkeypatch):
    monkeypatch.setattr("pullback.mapping.nearest_map.nearest", None)
    feats = [feat.requires_grad_() for feat in landmarks_features(tiny_pair, noise=0.1)]
    match = TwoBranch(k=20)(*feats, *bases(tiny_pair))
    total(match, tiny_pair).backward()
    assert all(feat.grad.abs().max() > 0 for feat in feats)
    assert not match.map21.query.requires_grad


def total(match, pair):
    """The losses of the ULRSSM recipe."""
    return sum(term(match, pair) for term in (Orthogonality(), Bijectivity(), Consistency(stop_gradient=False)))


def test_a_dense_soft_map_gives_the_same_losses_and_gradients(tiny_pair):
    results = []
    for backend in ("dense", "blocked"):
        feats = [feat.double().requires_grad_() for feat in landmarks_features(tiny_pair, noise=0.1)]
        pair = replace(tiny_pair, shape1=tiny_pair.shape1.to(torch.float64), shape2=tiny_pair.shape2.to(torch.float64))
        loss = total(TwoBranch(k=20, lam=0.1, backend=backend)(*feats, *bases(pair)), pair)
        loss.backward()
        results.append((loss.detach(), *(feat.grad for feat in feats)))
    for dense, blocked in zip(*results, strict=True):
        torch.testing.assert_close(blocked, dense, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fixed", ["fmap12", "fmap12_init"])
def test_each_branch_learns_from_the_other(tiny_pair, fixed):
    feats = [feat.requires_grad_() for feat in landmarks_features(tiny_pair, noise=0.1)]
    match = TwoBranch(k=20, lam=0.1)(*feats, *bases(tiny_pair))
    match = replace(match, **{fixed: getattr(match, fixed).detach()}, reverse=None)
    Consistency(stop_gradient=False)(match, tiny_pair).backward()
    assert all(feat.grad.abs().max() > 0 for feat in feats)


def test_losses_fall_when_features_are_trained(tiny_pair):
    # not the pair's own eigenfunctions
    feats = [feat.clone().requires_grad_() for feat in landmarks_features(tiny_pair, noise=0.3)]
    solver, optimiser, losses = TwoBranch(k=15, lam=1.0), torch.optim.Adam(feats, lr=0.01), []
    for _ in range(15):
        losses.append(total(solver(*feats, *bases(tiny_pair)), tiny_pair))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("embedding", ["unit_rows", "projected", "features"])
def test_nothing_as_large_as_a_dense_map_is_ever_held(one_thread, embedding):
    n1, n2 = 4000, 3500
    generator = torch.Generator().manual_seed(0)
    basis1, basis2 = (
        Eigenbasis(torch.arange(12.0), torch.randn(n, 12, generator=generator), torch.full((n,), 1 / n))
        for n in (n1, n2)
    )
    feat1, feat2 = (torch.randn(n, 4, generator=generator).requires_grad_() for n in (n1, n2))
    with LargestTensor() as largest:
        match = TwoBranch(k=12, embedding=embedding)(feat1, feat2, basis1, basis2)
        (match.fmap12 - match.fmap12_init).square().sum().backward()
        assert len(match.p2p21) == n2
    assert 12 * n1 <= largest.entries < n1 * n2 / 8


def test_settings_without_meaning_are_refused():
    with pytest.raises(ValueError, match="embedding='raw' is unknown; use one of unit_rows, projected, features"):
        TwoBranch(embedding="raw")
    with pytest.raises(
        ValueError, match="read_out='hard' is unknown; use one of spectral, soft_spectral, regularised, features"
    ):
        TwoBranch(read_out="hard")
    with pytest.raises(ValueError, match="mask='hard' is unknown"):
        TwoBranch(mask="hard")
