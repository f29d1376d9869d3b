from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from tests.nn.photo_fakes import photo

from pullback.nn.image_backbone import ImageBackbone, grid_of, input_size, resize
from pullback.nn.weights_hash import sha256_of_weights
from pullback.types import Image


class PatchMeans(ImageBackbone):
    """Mean colour of each patch, and how the network was called."""

    def __init__(self, *, size=64, multiple=8, weight=1.0, **options):
        super().__init__(size=size, multiple=multiple, **options)
        self.scale = torch.nn.Parameter(torch.tensor(weight))
        self.calls = []
        self.freeze()

    def options(self):
        return {"colour": "mean"}

    def compute(self, images, photos):
        self.calls.append((tuple(images.shape), [one.name for one in photos]))
        return {"mean": torch.nn.functional.avg_pool2d(images, self.multiple) * self.scale}


SIZES = [((480, 640), (630, 840)), ((640, 480), (840, 630)), ((333, 500), (546, 840)), ((90, 90), (840, 840))]


@pytest.mark.parametrize(("size", "expected"), SIZES)
def test_the_longest_side_is_as_asked_and_the_other_is_rounded_down_to_patches(size, expected):
    assert input_size(photo(*size), size=840, multiple=14) == expected
    assert grid_of(photo(*size), size=840, multiple=14) == (expected[0] // 14, expected[1] // 14)


def test_a_size_that_is_no_multiple_of_the_patch_is_rounded_down_too():
    assert input_size(photo(50, 100), size=90, multiple=8) == (40, 88)


def test_a_photo_too_narrow_for_two_patches_is_refused_with_a_size_that_works():
    narrow = photo(20, 200, name="pencil")
    with pytest.raises(
        ValueError, match=r"^/photos/pencil\.png: 200 × 20 .* grid of 1 rows and 15 columns .* use size=320"
    ):
        input_size(replace(narrow, path="/photos/pencil.png"), size=240, multiple=16)
    assert grid_of(narrow, size=320, multiple=16) == (2, 20)


def test_resizing_is_the_bicubic_low_pass_of_pillow():
    original = photo(90, 120)
    ours = resize(original.pixels, (40, 70)) * 255
    theirs = np.asarray(
        PillowImage.fromarray(original.pixels.permute(1, 2, 0).numpy()).resize((70, 40), PillowImage.Resampling.BICUBIC)
    )
    # Pillow rounds after each direction
    assert (ours - torch.from_numpy(theirs.copy()).permute(2, 0, 1)).abs().max() < 1.01


def test_resizing_does_not_overshoot_an_edge_and_keeps_a_photo_of_that_size():
    edge = torch.zeros(3, 32, 32, dtype=torch.uint8)
    edge[:, :, 16:] = 255
    large = resize(edge, (64, 64))
    assert large.min() == 0 and large.max() == 1
    assert torch.equal(resize(edge, (32, 32)), edge.float() / 255)


def test_the_grid_covers_the_whole_photo_evenly():
    ramp = torch.arange(200, dtype=torch.uint8).expand(3, 100, 200).contiguous()  # colour = x
    mean = PatchMeans(size=64, multiple=8)([Image("ramp", ramp)])[0]["mean"] * 255
    centres = (torch.arange(8) + 0.5) * 200 / 8 - 0.5
    assert mean.shape == (3, 4, 8)
    # the border's low-pass is one-sided
    assert torch.allclose(mean[:, :, 1:-1], centres[1:-1].expand(3, 4, 6), atol=0.1)


def test_photos_of_one_size_go_together_and_come_back_in_order():
    photos = [photo(40, 80, seed=i, name=str(i)) if i % 2 else photo(64, 64, seed=i, name=str(i)) for i in range(7)]
    backbone = PatchMeans(max_batch=3)
    together = backbone(photos)
    assert backbone.calls == [
        ((3, 3, 64, 64), ["0", "2", "4"]),
        ((1, 3, 64, 64), ["6"]),
        ((3, 3, 32, 64), ["1", "3", "5"]),
    ]
    for one, maps in zip(photos, together, strict=True):
        assert torch.allclose(maps["mean"], backbone([one])[0]["mean"], atol=1e-6)
    assert backbone([]) == []


def test_features_can_be_differentiated_through_later_even_from_inference_mode():
    with torch.inference_mode():
        maps = PatchMeans()([photo(64, 64)])[0]["mean"]
    assert not maps.is_inference() and not maps.requires_grad and maps.dtype == torch.float32
    weight = torch.ones((), requires_grad=True)
    (maps * weight).sum().backward()
    assert weight.grad is not None


def test_a_backbone_stays_frozen_in_evaluation_mode():
    backbone = torch.nn.Sequential(PatchMeans()).train()
    assert not backbone[0].training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_the_fingerprint_tells_options_and_weights_apart_and_nothing_else():
    prints = [PatchMeans(**options).fingerprint() for options in ({}, {"size": 72}, {"weight": 2.0})]
    assert len({tuple(one.items()) for one in prints}) == 3
    assert PatchMeans(max_batch=1).fingerprint() == prints[0]
    assert prints[0]["backbone"] == "PatchMeans" and prints[0]["colour"] == "mean" and prints[0]["size"] == 64


def test_half_precision_changes_nothing_on_the_cpu_and_the_fingerprint_says_so():
    assert PatchMeans(precision="float16").fingerprint() == PatchMeans().fingerprint()
    one = photo(64, 64)
    assert torch.equal(PatchMeans(precision="bfloat16")([one])[0]["mean"], PatchMeans()([one])[0]["mean"])


def test_the_weights_are_hashed_once(monkeypatch):
    backbone = PatchMeans()
    first = backbone.fingerprint()
    monkeypatch.setattr("pullback.nn.image_backbone.sha256_of_weights", lambda module: pytest.fail("hashed again"))
    assert backbone.fingerprint() == first


def test_the_hash_depends_on_names_values_and_shapes():
    def linear(**changed):
        module = torch.nn.Linear(2, 3)
        module.load_state_dict({"weight": torch.zeros(3, 2), "bias": torch.zeros(3), **changed})
        return module

    base = sha256_of_weights(linear())
    assert base == sha256_of_weights(linear())
    assert base != sha256_of_weights(linear(bias=torch.tensor([0.0, 0.0, 1e-7])))
    assert base != sha256_of_weights(torch.nn.Sequential(linear()))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"precision": "half"}, "precision='half'"), ({"size": 15}, "size=15"), ({"max_batch": 0}, "max_batch=0")],
)
def test_options_out_of_range_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        PatchMeans(**options)


def test_the_pixels_alone_decide():
    one = photo(64, 64)
    other = replace(one, name="other", category="dog", mask=torch.ones(64, 64, dtype=torch.bool))
    assert torch.equal(PatchMeans()([one])[0]["mean"], PatchMeans()([other])[0]["mean"])
