"""Where weights and predictions come from: what a run takes from them, and how its results name them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import nn

from pullback.runtime.settings import inherit, made
from pullback.tasks.store import PredictionStore
from pullback.tasks.weights import load_checkpoint


def with_origin(cfg: DictConfig, overrides: Sequence[str]) -> tuple[DictConfig, Mapping[str, Any] | None]:
    """The configuration with what its checkpoint (or its stored predictions, where nothing is matched) was made with; the checkpoint.

    ``overrides`` are those of the command line: they win. With ``untrained`` the checkpoint lends its configuration only.
    """
    if cfg.ckpt is not None:
        checkpoint = load_checkpoint(cfg.ckpt)
        return inherit(cfg, checkpoint["config"], overrides), None if cfg.get("untrained") else checkpoint
    if "score" in cfg.get("run", []) and "match" not in cfg.run:
        name = next(iter(made(cfg.dataset).values())).name
        return inherit(cfg, PredictionStore.open(Path(cfg.predictions) / name).fingerprint, overrides), None
    return cfg, None


def rule_of(cfg: DictConfig, module: nn.Module, checkpoint: Mapping[str, Any] | None) -> str:
    """How the weights of a module were chosen, for the protocol of its results."""
    if checkpoint is not None:
        return described(checkpoint, cfg.ckpt)
    trainable = any(parameter.requires_grad for parameter in module.parameters())
    return f"none: untrained, seed {cfg.seed}" if trainable else "none: nothing to train"


def described(checkpoint: Mapping[str, Any], path: str | Path) -> str:
    """The rule that chose the weights of a checkpoint, for the protocol of its results."""
    config, rule = checkpoint["config"], Path(path).stem
    if rule == "best":
        on = "test pairs (data.select_on_test=true)" if config["data"]["select_on_test"] else "pairs of held-out training shapes"
        rule = f"best {config['monitor']} on {on}"
    return f"{rule}, step {checkpoint['global_step']}, trained on {' + '.join(config['dataset'])}"


def refinement(solver: dict[str, Any]) -> str:
    """What the solver does at test time: ``DiffZoomOut 30 → 130 by 10 (blur 0.01, …)``."""
    rest = dict(solver)
    name, k, step, n_steps = (rest.pop(key, None) for key in ("_target_", "k_init", "step", "n_steps"))
    rest.pop("backend", None)  # changes the time, not the map
    if not rest.get("two_way"):
        rest.pop("two_way", None)
    sizes = f" {k} → {k + step * n_steps} by {step}" if n_steps else ""
    if "blur" in rest and rest["blur"] is None:
        rest["blur"] = "none: nearest neighbours"
        rest.pop("init_blur")
    numbers = ", ".join(f"{key} {value}" for key, value in rest.items())
    return name.rsplit(".", 1)[-1] + sizes + (f" ({numbers})" if numbers else "")
