import pytest
import torch
from tests.solvers.test_zoomout import landmarks_features, truth_of

from pullback.mapping.fmap import resolvent_mask
from pullback.solvers.regularised import RegularisedSolver


def slow_fmap(feat1, feat2, basis1, basis2, penalty):
    """One dense system after the other, in float64."""
    coeffs1, coeffs2 = (basis.project(feat).double() for basis, feat in ((basis1, feat1), (basis2, feat2)))
    rows = [
        torch.linalg.inv(coeffs1 @ coeffs1.T + torch.diag(penalty[a].double())) @ (coeffs1 @ coeffs2[a])
        for a in range(len(coeffs2))
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("mask", ["resolvent", "squared_difference"])
def test_the_map_is_that_of_one_system_after_the_other(tiny_pair, mask):
    generator = torch.Generator().manual_seed(0)
    feat1, feat2 = (torch.randn(shape.n, 40, generator=generator) for shape in (tiny_pair.shape1, tiny_pair.shape2))
    basis1, basis2 = tiny_pair.shape1.basis.first(20), tiny_pair.shape2.basis.first(20)
    evals1, evals2 = basis1.evals, basis2.evals
    penalty = resolvent_mask(evals1, evals2) if mask == "resolvent" else (evals2[:, None] - evals1[None, :]) ** 2
    match = RegularisedSolver(k=20, lam=0.01, mask=mask)(feat1, feat2, tiny_pair.shape1.basis, tiny_pair.shape2.basis)
    assert torch.allclose(match.fmap12.double(), slow_fmap(feat1, feat2, basis1, basis2, 0.01 * penalty), atol=1e-5)
    assert match.fmap12_init is match.fmap12 and match.reverse is None


def test_good_features_give_the_true_map(tiny_pair):
    feats = landmarks_features(tiny_pair, noise=0.0)
    match = RegularisedSolver(k=20)(*feats, tiny_pair.shape1.basis, tiny_pair.shape2.basis)
    assert (match.p2p21 == truth_of(tiny_pair)).float().mean() > 0.9
    assert (match.map21_init.nearest() == truth_of(tiny_pair)).all()


def test_the_two_way_variant_is_the_one_way_solver_on_exchanged_shapes(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.1)
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    both = RegularisedSolver(k=10, two_way=True)(feat1, feat2, basis1, basis2)
    assert torch.equal(both.reverse.fmap12, RegularisedSolver(k=10)(feat2, feat1, basis2, basis1).fmap12)


def test_flipped_eigenvectors_change_signs_of_the_map_only(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.1)
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    signs = torch.tensor([1.0, -1.0, -1.0]).repeat(basis1.k)[: basis1.k]
    flipped = type(basis1)(basis1.evals, basis1.evecs * signs, basis1.mass)
    solver = RegularisedSolver(k=15)
    plain, other = solver(feat1, feat2, basis1, basis2), solver(feat1, feat2, flipped, basis2)
    assert torch.allclose(other.fmap12, plain.fmap12 * signs[:15], atol=1e-5)
    assert torch.equal(other.p2p21, plain.p2p21)


def test_settings_without_meaning_are_refused(tiny_pair):
    with pytest.raises(ValueError, match="mask='hard' is unknown"):
        RegularisedSolver(mask="hard")
    with pytest.raises(ValueError, match=r"^lam=-1\.0 is too small; give 0 or more"):
        RegularisedSolver(lam=-1.0)
    with pytest.raises(ValueError, match=r"data\.k=61"):
        RegularisedSolver(k=61)(*landmarks_features(tiny_pair), tiny_pair.shape1.basis, tiny_pair.shape2.basis)
