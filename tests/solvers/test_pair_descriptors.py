from dataclasses import replace

import pytest
import torch
from tests.patch_pairs import twin_pair, unrelated_pair

from pullback.solvers.pair_descriptors import PairDescriptors
from pullback.solvers.pair_solver import natural_scale, projector
from pullback.types import PatchPair


def scaled_features(pair, factor, shift):
    images = (replace(image, feat=factor * image.feat + shift) for image in (pair.image1, pair.image2))
    return PatchPair(pair.name, *images)


@pytest.mark.parametrize("normalise", ["patch", "channel"])
def test_the_scale_and_the_mean_of_features_do_not_matter(normalise):
    pair = unrelated_pair()
    descriptors = PairDescriptors(normalise=normalise)
    plain = descriptors.coefficients(pair)
    moved = descriptors.coefficients(scaled_features(pair, 30.0, torch.arange(12.0)))
    assert torch.allclose(plain[0], moved[0], atol=1e-4)
    assert torch.allclose(plain[1], moved[1], atol=1e-4)


def test_patch_normalisation_makes_rows_of_one_length():
    feats = PairDescriptors(normalise="patch").features(unrelated_pair())
    assert all(torch.allclose(feat.square().mean(dim=1), torch.ones(len(feat))) for feat in feats)


def test_channel_normalisation_makes_channels_of_unit_variance():
    feat1, feat2 = PairDescriptors(normalise="channel").features(unrelated_pair())
    assert torch.allclose(feat1.var(dim=0, correction=0) + feat2.var(dim=0, correction=0), torch.full((12,), 2.0))


def test_features_that_correspond_still_do():
    pair, fmap12 = twin_pair(torch.tensor([1.0, -1, 1, 1, -1, 1, -1, 1]))
    for normalise in ("none", "patch", "channel"):
        coeffs1, coeffs2 = PairDescriptors(normalise=normalise, source="both").coefficients(pair)
        assert torch.allclose(fmap12 @ coeffs1, coeffs2, atol=1e-4)


def test_sources():
    pair = unrelated_pair()
    raw = {"centre": False, "normalise": "none"}
    plain = {
        source: PairDescriptors(source=source, **raw).features(pair)[0] for source in ("descriptors", "basis", "both")
    }
    assert torch.equal(plain["descriptors"], pair.image1.feat)
    assert torch.equal(plain["basis"], pair.image1.basis_feat)
    assert torch.equal(plain["both"], torch.cat([pair.image1.feat, pair.image1.basis_feat], dim=1))


def test_the_constant_is_a_column_with_the_energy_of_all_others():
    pair = unrelated_pair()
    with_it, without = (PairDescriptors(constant=constant) for constant in (1.0, 0.0))
    coeffs1, coeffs2 = with_it.coefficients(pair)
    assert torch.equal(coeffs1[:, :-1], without.coefficients(pair)[0])
    level = torch.tensor(12.0).sqrt()  # rows of 12 channels have length √12
    assert torch.allclose(coeffs1[:, -1], level * projector(pair, 1) @ torch.ones(pair.image1.n), atol=1e-5)
    assert torch.allclose(coeffs2[:, -1], level * projector(pair, 2) @ torch.ones(pair.image2.n), atol=1e-5)


def test_unit_area_bases_are_orthonormal_and_scale_maps_naturally():
    pair = unrelated_pair()
    n1 = pair.image1.n
    evecs = pair.image1.basis.evecs * n1**0.5
    assert torch.allclose(projector(pair, 1) @ evecs, torch.eye(8), atol=1e-5)
    assert torch.allclose(natural_scale(pair), torch.tensor(28 / 30).sqrt())


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="source='third'"):
        PairDescriptors(source="third")
    with pytest.raises(ValueError, match="normalise='l2'"):
        PairDescriptors(normalise="l2")
