"""Weights and configuration from a checkpoint, read without executing anything in it."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pullback.nn.foreign_weights import ForeignWeightsError, load_foreign

log = logging.getLogger(__name__)


def load_checkpoint(path: str | Path) -> Mapping[str, Any]:
    """A checkpoint of this project: weights and plain data. Raises FileNotFoundError, or ValueError for a file of another kind."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; give ckpt=RUN/checkpoints/best.ckpt of a run, or ckpt=null for none")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damaged and foreign files in many ways
        raise ValueError(f"{path} is no checkpoint of plain tensors, or is damaged ({type(error).__name__}: {error})") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "config"} <= checkpoint.keys():
        raise ValueError(f"{path} was not written by train.py: it holds no state_dict and config")
    return checkpoint


def load_weights(module: nn.Module, checkpoint: Mapping[str, Any]) -> None:
    """Puts the checkpoint's weights into the module. Raises ValueError when they are those of another network."""
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise ValueError(
            "the weights of the checkpoint do not fit the backbone; drop the backbone overrides, and the checkpoint's own is taken. "
            f"{error}"
        ) from error


def load_weights_of_others(module: nn.Module, path: str | Path) -> str:
    """Puts the DiffusionNet weights that a file of another code base (or a checkpoint of ours) holds into ``module.backbone``.

    Returns in words where they come from, for the protocol of results; logs what else the file holds, which is ignored. Raises
    FileNotFoundError, or ForeignWeightsError naming the file, the layer, both shapes and the overrides that would fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights={path} does not exist; give a file with the weights of a DiffusionNet, or weights=null")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damaged and foreign files in many ways
        raise ForeignWeightsError(
            f"weights={path} is damaged, or holds more than tensors and plain data ({type(error).__name__}), which is not read because it "
            f'could execute code; where you trust it: torch.save(torch.load(FILE, weights_only=False)["networks"], "weights.pth")'
        ) from error
    try:
        found = load_foreign(module.backbone, content)
    except ForeignWeightsError as error:
        raise ForeignWeightsError(f"weights={path} {error}") from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    name = found.prefix.rstrip(".") or "the network"
    log.info("%s: %s with the names of %s; ignored around it: %s", path, name, found.layout, found.ignored() or "nothing")
    inputs = type(module.backbone.descriptor).__name__
    log.info("%s: which input features they were trained with is not in the file; this backbone gives them %s", path, inputs)
    return f"{path.name} from elsewhere (names of {found.layout}, sha256 {digest})"
