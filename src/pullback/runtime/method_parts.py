"""What a method or an experiment says of training is left out where nothing is trained."""

import logging
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, open_dict

from pullback.runtime.parts import ConfigError

log = logging.getLogger(__name__)
_OF_TRAINING = ("optimizer", "scheduler", "callbacks", "recipe", "monitor")


def tested(cfg: DictConfig, program: str | None, overrides: Sequence[str]) -> DictConfig:
    """The configuration of ``eval`` without what a method sets for training alone; that is said in the log.

    Its loss terms stay where test pairs are tuned by them. Raises ConfigError for an option of training that was
    typed.
    """
    if program != "eval":
        return cfg
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    typed = {one.key_or_group: one.input_line for one in parsed if one.package is None}  # not those of adaptation=
    for key, line in typed.items():
        allowed = key == "callbacks.progress" or str(line).startswith(("~", "+callbacks."))
        if key.split(".")[0] in _OF_TRAINING and not allowed:
            raise ConfigError(f"{line} is for training, and eval.py trains nothing; leave it out, or use train.py")
    lost = [key for key in ("optimizer", "scheduler", "monitor") if cfg.get(key)]
    tuned = cfg.get("adaptation") is not None
    lost += ["loss"] if cfg.get("loss") and not tuned and not any(key.split(".")[0] == "loss" for key in typed) else []
    with open_dict(cfg):
        for key in _OF_TRAINING:
            if key not in ("callbacks", "recipe", "monitor"):
                cfg[key] = None
            elif key != "callbacks":
                cfg.pop(key, None)
        if "loss" in lost:
            cfg.loss = {}
        added = {key.split(".")[1] for key, line in typed.items() if str(line).startswith("+callbacks.")}
        cfg.callbacks = {
            name: one for name, one in (cfg.get("callbacks") or {}).items() if name in {"progress", *added} and one
        }
    if lost:
        log.info("%s: what it sets for training alone is left out: %s", cfg.get("method_name"), ", ".join(lost))
    return cfg
