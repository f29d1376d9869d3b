import math
from dataclasses import replace

import pytest
import torch
from tests.patch_pairs import patch_image

from pullback.mapping.patch_batch import pad_patches
from pullback.nn.refiner import Refiner, instance_norm, sinusoids

SMALL = {"hidden": 8, "heads": 2, "layers": 2}


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def refine(refiner, pairs, seeds, weights=None):
    """Refined features of every pair (image1, image2), without the padding."""
    drawn = generators(*seeds)
    sides = [refiner.prepare(pad_patches([p[i] for p in pairs], [p[i].feat for p in pairs]), drawn) for i in (0, 1)]
    weights = weights or refiner.draw_weights(pairs[0][0].feat.shape[1], drawn)
    refined = refiner(weights, *sides)
    return [[refined[i][j, : pair[i].n] for i in (0, 1)] for j, pair in enumerate(pairs)]


def plain_reference(refiner, weights, feat1, feat2):
    """One pair, one head at a time, in float64, without a batch, a mask or fused attention."""
    weights = {name: weight[0].double() for name, weight in weights.items()}

    def linear(x, name):
        return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def look(layer, x, source):
        query, key, value = (
            linear(tokens, f"{layer}.{name}") for tokens, name in ((x, "query"), (source, "key"), (source, "value"))
        )
        width = refiner.hidden // refiner.heads
        heads = []
        for start in range(0, refiner.hidden, width):
            part = slice(start, start + width)
            heads.append(torch.softmax(query[:, part] @ key[:, part].T / math.sqrt(width), dim=1) @ value[:, part])
        inner = linear(torch.cat([x, linear(torch.cat(heads, dim=1), f"{layer}.output")], dim=1), f"{layer}.mlp1")
        inner = (inner - inner.mean(dim=0)) / torch.sqrt(inner.var(dim=0, correction=0) + 1e-5)
        return linear(inner.clamp_min(0), f"{layer}.mlp2")

    x1, x2 = linear(feat1.double(), "first"), linear(feat2.double(), "first")
    for layer in range(refiner.layers):
        x1 = x1 + look(layer, x1, x2)
        x2 = x2 + look(layer, x2, x1)
    return linear(x1, "last"), linear(x2, "last")


def test_the_network_agrees_with_a_plain_loop():
    refiner = Refiner(**SMALL, encoding="none", skip=False)
    images = patch_image((3, 4)), patch_image((5, 2), seed=1)
    weights = refiner.draw_weights(12, generators(0))
    expected = plain_reference(refiner, weights, images[0].feat, images[1].feat)
    for refined, plain in zip(refine(refiner, [images], [0], weights)[0], expected, strict=True):
        assert torch.allclose(refined.double(), plain, atol=1e-5)


@pytest.mark.parametrize("keys", [None, 5])
def test_a_pair_is_refined_alone_as_in_a_batch_of_other_sizes(keys):
    refiner = Refiner(**SMALL, skip=False, keys=keys)
    small = patch_image((2, 2)), patch_image((3, 4), seed=1)
    large = patch_image((5, 6), seed=2), patch_image((1, 7), seed=3)
    together = refine(refiner, [small, large], [4, 5])
    alone = [*refine(refiner, [small], [4]), *refine(refiner, [large], [5])]
    for one, other in zip(together, alone, strict=True):
        assert torch.allclose(one[0], other[0], atol=1e-5)
        assert torch.allclose(one[1], other[1], atol=1e-5)


def test_padding_does_not_leak():
    refiner = Refiner(**SMALL, skip=False)
    images = [patch_image((2, 2)), patch_image((3, 4), seed=1)]
    padded = pad_patches(images, [image.feat for image in images])
    poisoned = replace(padded, feat=padded.feat.masked_fill(~padded.present[:, :, None], 1e4))
    weights = refiner.draw_weights(12, generators(0, 1))
    outputs = []
    for patches in (padded, poisoned):
        side = refiner.prepare(patches, generators(0, 1))
        outputs.append(refiner(weights, side, side)[0][0, :4])
    assert torch.equal(*outputs)


def test_with_a_skip_the_refiner_starts_as_the_identity():
    images = patch_image((3, 4)), patch_image((5, 2), seed=1)
    refined = refine(Refiner(**SMALL), [images], [0])[0]
    assert torch.equal(refined[0], images[0].feat)
    assert torch.equal(refined[1], images[1].feat)


def test_the_released_encoding_and_weights():
    refiner = Refiner(**SMALL, encoding="raster", skip=False)
    image = patch_image((3, 4))
    encoding = refiner.positions(pad_patches([image], [image.feat]))[0]
    for index in (0, 5, 11):
        for channel in range(0, 12, 2):
            angle = index / 10000 ** (channel / 12)
            assert encoding[index, channel].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert encoding[index, channel + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)
    weights = refiner.draw_weights(12, generators(0))
    for layer in range(2):
        copies = [weights[f"{layer}.{name}.weight"] for name in ("query", "key", "value", "output")]
        assert all(torch.equal(copies[0], copy) for copy in copies)
        assert not weights[f"{layer}.mlp2.bias"].any()
    assert weights["last.weight"].abs().max() <= 1 / math.sqrt(8)
    assert weights["last.weight"].any()


def test_the_grid_encoding_depends_on_the_place_in_the_photograph_not_on_the_number_of_patches():
    refiner = Refiner(**SMALL)
    coarse, fine = patch_image((1, 3)), patch_image((3, 9), seed=1)
    encoded = [refiner.positions(pad_patches([image], [image.feat]))[0] for image in (coarse, fine)]
    assert torch.allclose(encoded[0], encoded[1].view(3, 9, -1)[1, 1::3], atol=1e-5)


def test_an_odd_number_of_channels_is_encoded_too():
    assert sinusoids(torch.arange(3.0)[None], 5).shape == (1, 3, 5)


def test_shuffled_patches_give_shuffled_features():
    refiner = Refiner(**SMALL, skip=False)
    one, two = patch_image((3, 4)), patch_image((5, 2), seed=1)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    shuffled = replace(one, patches=one.patches[order], feat=one.feat[order])
    straight, crooked = (refine(refiner, [(image, two)], [0])[0] for image in (one, shuffled))
    assert torch.allclose(straight[0][order], crooked[0], atol=1e-5)
    assert torch.allclose(straight[1], crooked[1], atol=1e-5)


def test_as_many_keys_as_patches_change_nothing():
    images = patch_image((3, 4)), patch_image((5, 2), seed=1)
    refiners = Refiner(**SMALL, skip=False), Refiner(**SMALL, skip=False, keys=12)
    weights = refiners[0].draw_weights(12, generators(0))
    all_keys, drawn = (refine(refiner, [images], [0], weights)[0] for refiner in refiners)
    assert torch.allclose(all_keys[0], drawn[0], atol=1e-5)
    assert torch.allclose(all_keys[1], drawn[1], atol=1e-5)


def test_masked_instance_norm_is_that_of_the_rows_that_are_there():
    values = torch.randn(1, 7, 3, generator=torch.Generator().manual_seed(0))
    present = torch.tensor([[True] * 5 + [False] * 2])
    expected = torch.nn.functional.instance_norm(values[:, :5].mT).mT
    assert torch.allclose(instance_norm(values, present)[:, :5], expected, atol=1e-5)
    assert torch.allclose(instance_norm(values[:, :5], None), expected, atol=1e-5)


def test_options_without_meaning_are_refused():
    with pytest.raises(ValueError, match="encoding='polar'"):
        Refiner(encoding="polar")
    with pytest.raises(ValueError, match="hidden=10 must be a multiple of heads=4"):
        Refiner(hidden=10)
    with pytest.raises(ValueError, match="keys=0"):
        Refiner(keys=0)
