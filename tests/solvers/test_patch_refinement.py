"""A refined map is the one that both photographs' patches agree on, and not a matter of how it is computed."""

import pytest
import torch
from tests.patch_images import flipped_copy, patch_image, resampled_copy

from pullback.mapping.fmap import fmap_from_pointmap
from pullback.mapping.grid_match import patch_centres
from pullback.mapping.readout import Readout
from pullback.solvers.patch_refinement import SoftMapRefinement, mutual_pull_back, spread
from pullback.types import PatchPair

ROWS = Readout(embedding=["spectral", "adjoint"], normalise="patch")


@pytest.fixture(scope="module")
def image():
    return patch_image((8, 10), (80, 120), k=40, channels=64)


def test_the_mutual_softmax_is_the_product_of_both_softmaxes():
    logits = 3 * torch.randn(6, 9, generator=torch.Generator().manual_seed(0)).double()
    feat1 = torch.randn(9, 4, generator=torch.Generator().manual_seed(1)).double()
    product = logits.softmax(dim=1) * logits.softmax(dim=0)
    torch.testing.assert_close(mutual_pull_back(logits, feat1), product / product.sum(dim=1, keepdim=True) @ feat1)


def test_rows_whose_weights_all_underflow_are_still_means():
    logits = torch.tensor([[-1e4, -2e4], [0.0, 0.0]])
    assert mutual_pull_back(logits, torch.eye(2)).sum(dim=1).tolist() == pytest.approx([1, 1])


def test_the_true_map_is_found_again_from_none(image):
    flipped, p2p21 = flipped_copy(image)
    fmap12 = SoftMapRefinement(embedding=["basis", "descriptors"], weights=None, temperature=0.02, sizes=[40])(
        PatchPair("flip", image, flipped)
    )
    true = fmap_from_pointmap(p2p21, image.basis, flipped.basis)
    assert (fmap12 - true).norm() < 0.1 * true.norm()
    assert torch.equal(ROWS(PatchPair("flip", image, flipped), fmap12)[0], p2p21)


def test_a_poor_map_is_made_better(image):
    flipped, p2p21 = flipped_copy(image)
    pair = PatchPair("flip", image, flipped)
    true = fmap_from_pointmap(p2p21, image.basis, flipped.basis)
    poor = true + 0.3 * torch.randn(true.shape, generator=torch.Generator().manual_seed(5))
    refined = SoftMapRefinement(sizes=[20, 40], temperature=0.05)(pair, poor)
    before, after = ((ROWS(pair, fmap12)[0] == p2p21).float().mean() for fmap12 in (poor, refined))
    assert before < 0.9 and after == 1


def test_signs_of_eigenfunctions_change_signs_of_the_map_and_nothing_else(image):
    flipped, _ = flipped_copy(image)
    signs = torch.where(torch.arange(40) % 3 == 0, -1.0, 1.0)
    mirrored = type(image.basis)(image.basis.evals, image.basis.evecs * signs, image.basis.mass)
    turned = type(image)(image.name, image.grid, image.size, image.patches, mirrored, image.basis_feat, image.feat)
    refine = SoftMapRefinement(embedding=["basis", "descriptors"], weights=None, sizes=[40])
    one, other = refine(PatchPair("a", image, flipped)), refine(PatchPair("b", turned, flipped))
    torch.testing.assert_close(other, one * signs, rtol=1e-3, atol=1e-4)


def test_fewer_questions_give_about_the_same_map():
    image = patch_image((16, 20), (160, 240), k=20, channels=32)
    copy = resampled_copy(image, grid=(20, 18), size=(200, 216), k=20)
    pair = PatchPair("resampled", image, copy)
    options = dict(embedding=["basis", "descriptors"], weights=None, sizes=[20])
    every, some = SoftMapRefinement(**options)(pair), SoftMapRefinement(**options, max_questions=100)(pair)
    assert len(spread(copy, 100)) == 90
    assert (every - some).norm() < 0.15 * every.norm()
    # the true place of a patch is the same share of the other photograph
    xy21 = ROWS(pair, some)[1]
    true = patch_centres(copy.grid, image.size)
    assert (xy21 - true).norm(dim=1).median() < 12  # a patch is 10 × 12 pixels


def test_questions_are_spread_over_a_mask():
    inside = torch.arange(6 * 6).view(6, 6)[:3].flatten()
    image = patch_image((6, 6), (60, 60), k=3, patches=inside)
    asked = spread(image, 5)
    assert image.patches[asked].tolist() == [7, 9, 11]  # row 1, columns 1, 3, 5
    assert torch.equal(spread(image, 18), torch.arange(18))


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"sizes": []}, {"sizes": [0]}, {"max_questions": 0}])
def test_options_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        SoftMapRefinement(**wrong)
