"""Weights and configuration from a checkpoint, read without executing anything in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn


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
