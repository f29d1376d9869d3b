import torch

from pullback.solvers.nearest import FeatureNearest


def test_the_match_is_the_nearest_feature_and_its_functional_map(tiny_pair):
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    feat1, feat2 = torch.randn(basis1.n, 4), torch.randn(basis2.n, 4)
    match = FeatureNearest(k=7)(feat1, feat2, basis1, basis2)
    expected = torch.cdist(feat2.double(), feat1.double()).argmin(dim=1)
    assert torch.equal(match.p2p21, expected)
    assert torch.allclose(match.fmap12, basis2.first(7).project(basis1.first(7).evecs[expected]))
    assert match.fmap12_init is match.fmap12
