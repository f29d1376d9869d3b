"""How results name the weights they were made with."""

import inspect

import pytest
from omegaconf import OmegaConf
from tests.composing import composed, options

from pullback.runtime.origin import fine_tuning, with_origin
from pullback.runtime.settings import to_plain
from pullback.tasks.mesh.adaptation import FineTuning


def made_by(*overrides: str) -> dict:
    """The part of a fingerprint that tells of fine-tuning."""
    cfg = to_plain(composed("eval", *overrides))
    return {key: cfg[key] for key in ("adaptation", "loss")}


def test_fine_tuning_is_named_with_its_steps_rate_and_losses():
    assert fine_tuning({}) == fine_tuning(made_by()) == "off"
    terms = "loss=[orthogonality,consistency]"
    assert (
        fine_tuning(made_by("adaptation=fine_tuning", terms))
        == "15 Adam steps a pair, lr 0.001, on orthogonality + consistency"
    )
    options = ["optimizer@adaptation.optimizer=adamw", "adaptation.steps=3", "adaptation.train_mode=true"]
    other = made_by("adaptation=fine_tuning", *options, terms)
    assert (
        fine_tuning(other)
        == "3 AdamW steps a pair, lr 0.001, on orthogonality + consistency, with dropout and augmentation"
    )


def test_another_adaptation_is_named_with_its_options():
    assert (
        fine_tuning({"adaptation": {"_target_": "mine.Averaging", "decay": 0.9, "copies": 3}})
        == "Averaging (decay 0.9, copies 3)"
    )


@pytest.mark.parametrize("option", options("adaptation"))
def test_an_adaptation_is_written_with_all_its_options(option):
    written = to_plain(composed("eval", f"adaptation={option}")).pop("adaptation")
    assert set(inspect.signature(FineTuning.__init__).parameters) - {"self"} == set(written) - {"_target_"}


def test_a_method_beside_a_checkpoint_is_refused():
    cfg = OmegaConf.create({"ckpt": "run/best.ckpt"})
    with pytest.raises(
        ValueError, match=r"ckpt=run/best\.ckpt brings its own method, method=zoomout is another: drop one"
    ):
        with_origin(cfg, ["dataset=faust", "method=zoomout"])
