import pytest
import torch
from tests.solvers.test_zoomout import landmarks_features, truth_of
from torch.nn.functional import normalize

from pullback.solvers.discrete import DiscreteOptimisation
from pullback.solvers.zoomout import ZoomOut

SIZES = {"k_init": 10, "step": 5, "n_steps": 4}
WEIGHTS = {"orthogonality": 1.0, "bijectivity": 0.5, "coupling": 2.0, "features": 3.0}


def slow_maps(fmap12, fmap21, phi1, phi2, feat1, feat2, weights):
    """Every point of shape 2 tries every point of shape 1, term by term."""
    cost = weights["orthogonality"] * torch.cdist(phi2, phi1 @ fmap12.T) ** 2
    cost += weights["bijectivity"] * torch.cdist(phi2, phi1 @ fmap21) ** 2
    cost += weights["coupling"] * torch.cdist(phi2 @ fmap12, phi1) ** 2
    cost += weights["features"] * len(fmap12) * (2 - 2 * normalize(feat2, dim=1) @ normalize(feat1, dim=1).T)
    return cost.argmin(dim=1)


def test_both_maps_are_those_of_a_brute_force_loop(tiny_pair):
    feat1, feat2 = (feat.double() for feat in landmarks_features(tiny_pair, noise=0.3))
    basis1, basis2 = (shape.basis.to(torch.float64) for shape in (tiny_pair.shape1, tiny_pair.shape2))
    match = DiscreteOptimisation(**SIZES, **WEIGHTS)(feat1, feat2, basis1, basis2)
    distance = torch.cdist(feat2, feat1)
    p2p21, p2p12 = distance.argmin(dim=1), distance.argmin(dim=0)
    for k in (10, 15, 20, 25, 30):
        phi1, phi2 = basis1.evecs[:, :k], basis2.evecs[:, :k]
        fmap12, fmap21 = basis2.first(k).project(phi1[p2p21]), basis1.first(k).project(phi2[p2p12])
        p2p21 = slow_maps(fmap12, fmap21, phi1, phi2, feat1, feat2, WEIGHTS)
        p2p12 = slow_maps(fmap21, fmap12, phi2, phi1, feat2, feat1, WEIGHTS)
    assert torch.equal(match.p2p21, p2p21) and torch.equal(match.reverse.p2p21, p2p12)
    assert torch.allclose(match.fmap12, fmap12) and torch.allclose(match.reverse.fmap12, fmap21)


def test_orthogonality_alone_is_zoomout(tiny_pair):
    feats = landmarks_features(tiny_pair, noise=0.3)
    bases = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    match = DiscreteOptimisation(**SIZES, bijectivity=0.0, coupling=0.0)(*feats, *bases)
    zoomed = ZoomOut(**SIZES, two_way=True)(*feats, *bases)
    assert torch.equal(match.p2p21, zoomed.p2p21) and torch.equal(match.reverse.p2p21, zoomed.reverse.p2p21)
    assert torch.equal(match.fmap12, zoomed.fmap12) and torch.equal(match.fmap12_init, zoomed.fmap12_init)


def test_the_maps_of_both_directions_undo_each_other_better_than_those_of_zoomout(tiny_pair):
    feats = landmarks_features(tiny_pair, noise=1.5)
    bases = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    sizes, there_and_back = {"k_init": 10, "step": 5, "n_steps": 2}, []
    for solver in (DiscreteOptimisation(**sizes), ZoomOut(**sizes, two_way=True)):
        match = solver(*feats, *bases)
        there_and_back.append(match.p2p21[match.reverse.p2p21] == torch.arange(tiny_pair.shape1.n))
    discrete, zoomed = (hits.float().mean() for hits in there_and_back)
    assert discrete > zoomed + 0.3


def test_the_true_map_is_recovered_from_noisy_features(tiny_pair):
    match = DiscreteOptimisation(**SIZES)(
        *landmarks_features(tiny_pair, noise=0.3), tiny_pair.shape1.basis, tiny_pair.shape2.basis
    )
    assert (match.p2p21 == truth_of(tiny_pair)).float().mean() > 0.95
    assert (match.map21_init.nearest() == truth_of(tiny_pair)).float().mean() < 0.9
    assert match.fmap12_init.shape == (10, 10) and match.fmap12.shape == (30, 30)


def test_with_features_alone_the_map_stays_theirs_whatever_their_length(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.3)
    solver = DiscreteOptimisation(**SIZES, orthogonality=0.0, bijectivity=0.0, coupling=0.0, features=0.1)
    lengths = torch.linspace(0.5, 2.0, len(feat1))[:, None]
    match = solver(feat1 * lengths, feat2, tiny_pair.shape1.basis, tiny_pair.shape2.basis)
    assert torch.equal(match.p2p21, (normalize(feat2, dim=1) @ normalize(feat1, dim=1).T).argmax(dim=1))


def test_settings_without_meaning_are_refused():
    with pytest.raises(ValueError, match="step=0"):
        DiscreteOptimisation(step=0)
    with pytest.raises(ValueError, match=r"bijectivity=-1\.0"):
        DiscreteOptimisation(bijectivity=-1.0)
    with pytest.raises(ValueError, match="leave nothing to minimise"):
        DiscreteOptimisation(orthogonality=0.0, bijectivity=0.0, coupling=0.0)
