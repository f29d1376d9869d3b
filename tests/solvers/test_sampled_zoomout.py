from dataclasses import replace

import pytest
import torch
from tests.solvers.test_zoomout import landmarks_features, truth_of

from pullback.geometry.point_sample import sample_points
from pullback.losses import Consistency, Orthogonality
from pullback.solvers.sampled_zoomout import SampledZoomOut, on_sample
from pullback.solvers.zoomout import DiffZoomOut, ZoomOut
from pullback.types import Eigenbasis, PointSample, Shape

SIZES = {"k_init": 10, "step": 5, "n_steps": 4}


def sampled(shape: Shape, count: int) -> Eigenbasis:
    verts, mass = shape.verts.double().numpy(), shape.basis.mass.double().numpy()
    points, sample_mass = sample_points(verts, shape.faces.numpy(), mass, count=count)
    return replace(shape.basis, sample=PointSample(torch.from_numpy(points), torch.from_numpy(sample_mass).float()))


def bases_of(pair, count):
    return sampled(pair.shape1, count), sampled(pair.shape2, count)


def test_with_all_points_in_the_sample_it_is_zoomout(tiny_pair):
    feats, bases = landmarks_features(tiny_pair, noise=0.3), bases_of(tiny_pair, 642)
    mine, full = SampledZoomOut(**SIZES)(*feats, *bases), ZoomOut(**SIZES)(*feats, *bases)
    assert torch.allclose(mine.fmap12, full.fmap12, atol=1e-6)
    assert torch.allclose(mine.fmap12_init, full.fmap12_init, atol=1e-6)
    assert torch.equal(mine.p2p21, full.p2p21)
    assert torch.equal(mine.map21_init.nearest(), full.map21_init.nearest())


def test_with_all_points_and_a_blur_it_is_differentiable_zoomout(tiny_pair):
    feats, bases = landmarks_features(tiny_pair, noise=0.3), bases_of(tiny_pair, 642)
    grads = []
    for solver in (SampledZoomOut(**SIZES, blur=0.02, init_blur=0.1), DiffZoomOut(**SIZES, blur=0.02, init_blur=0.1)):
        feat1, feat2 = (feat.clone().requires_grad_() for feat in feats)
        match = solver(feat1, feat2, *bases)
        (Consistency()(match, tiny_pair) + Orthogonality(of="final")(match, tiny_pair)).backward()
        grads.append((match.fmap12.detach(), feat1.grad, feat2.grad))
    for mine, full in zip(*grads, strict=True):
        assert torch.allclose(mine, full, rtol=1e-4, atol=1e-5 * full.abs().max())


def test_a_third_of_the_points_finds_nearly_the_same_map(tiny_pair):
    feats, bases = landmarks_features(tiny_pair, noise=0.3), bases_of(tiny_pair, 214)
    match = SampledZoomOut(**SIZES)(*feats, *bases)
    assert len(match.p2p21) == 642
    dist = tiny_pair.geodesics1.dist
    error = dist[truth_of(tiny_pair), match.p2p21].mean()
    start = dist[truth_of(tiny_pair), match.map21_init.nearest()].mean()
    full = dist[truth_of(tiny_pair), ZoomOut(**SIZES)(*feats, *bases).p2p21].mean()
    assert error < full + 0.03  # half an edge
    assert error < start / 2


def test_nothing_but_the_sample_decides_the_functional_map(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.3)
    basis1, basis2 = bases_of(tiny_pair, 214)
    first = SampledZoomOut(**SIZES)(feat1, feat2, basis1, basis2)
    outside = torch.ones(642, dtype=torch.bool)
    outside[basis1.sample.points] = False
    changed = feat1.masked_fill(outside[:, None], 100.0)
    second = SampledZoomOut(**SIZES)(changed, feat2, basis1, basis2)
    assert torch.equal(first.fmap12, second.fmap12)


def test_gradients_reach_the_features_of_the_sample(tiny_pair):
    feat1, feat2 = (feat.clone().requires_grad_() for feat in landmarks_features(tiny_pair, noise=0.3))
    basis1, basis2 = bases_of(tiny_pair, 214)
    match = SampledZoomOut(**SIZES, blur=0.02, init_blur=0.1)(feat1, feat2, basis1, basis2)
    Orthogonality()(match, tiny_pair).backward()
    for feat, basis in ((feat1, basis1), (feat2, basis2)):
        reached = feat.grad.abs().sum(dim=1) > 0
        assert reached[basis.sample.points].float().mean() > 0.5
        reached[basis.sample.points] = False
        assert not reached.any()
    assert not match.map21.query.requires_grad and not match.map21.reference.requires_grad


def test_the_basis_on_the_sample_is_nearly_orthonormal(tiny_pair):
    part = on_sample(sampled(tiny_pair.shape1, 300).first(15))
    assert (part.n, part.k) == (300, 15)
    assert torch.allclose(part.project(part.evecs), torch.eye(15), atol=0.1)
    assert float(part.mass.sum()) == pytest.approx(1, abs=1e-5)


def test_both_directions_are_solved_when_asked_for(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.1)
    basis1, basis2 = bases_of(tiny_pair, 214)
    both = SampledZoomOut(**SIZES, two_way=True)(feat1, feat2, basis1, basis2)
    assert torch.equal(both.reverse.fmap12, SampledZoomOut(**SIZES)(feat2, feat1, basis2, basis1).fmap12)


def test_a_basis_without_a_sample_is_refused_with_what_to_set(tiny_pair):
    with pytest.raises(ValueError, match=r"a basis of 642 points has no sample.*data\.samples=3000"):
        SampledZoomOut(**SIZES)(*landmarks_features(tiny_pair), tiny_pair.shape1.basis, tiny_pair.shape2.basis)
