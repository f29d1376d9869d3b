"""Typed values against the defaults that they replace: their kind and their range."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from pullback.runtime.parts import ConfigError

# The least values of numbers; of those that must be above 0 it is not allowed itself.
_AT_LEAST = {
    -1: ("trainer.max_steps", "trainer.max_epochs"),
    0: (
        *(
            "seed",
            "solver.n_steps",
            "data.num_workers",
            "data.val_pairs",
            "data.val_shapes",
            "data.margin",
            "optimizer.weight_decay",
        ),
        *("trainer.limit_train_batches", "trainer.limit_val_batches", "trainer.limit_predict_batches"),
    ),
    1: (
        *(
            "data.samples",
            "data.test_pairs",
            "data.batch_pairs",
            "data.memory_shapes",
            "data.coarsen",
            "data.prepare_workers",
        ),
        *("solver.k", "solver.k_init", "solver.step", "graph.k", "adaptation.steps", "landmarks"),
        *("trainer.accumulate_grad_batches", "trainer.log_every_n_steps"),
    ),
    3: ("data.k", "backbone.descriptor.k"),  # one is constant, and spectral descriptors need two more
}
_ABOVE_0 = ("solver.blur", "solver.init_blur", "optimizer.lr", "trainer.val_check_interval")
_LARGEST_SEED = 2**32 - 1
_AXES = "x y z -x -y -z"
# Words that parts know. The parts check them too, but after seconds of imports.
_ONE_OF = {
    "points_on": "source target",
    "mirrored": "never auto",
    "data.laplacian": "cotangent robust",
    "data.components": "dust largest all",
    "data.basis": "exact sampled",
    "data.geodesics": "dijkstra fast_marching heat",
    "dataset.smal.split": "species random",
    "dataset.shrec19.direction": "paper ulrssm",
    "dataset.tss.directions": "one both",
    "dataset.tss.mirrored": "keep drop",
    "evaluation.interpolation": "bilinear nearest",
    "solver.refinement": "soft soft_target hard",
    "trainer.accelerator": "auto cpu gpu cuda mps tpu",
    "trainer.gradient_clip_algorithm": "norm value",
    "trainer.precision": "32-true 16-mixed bf16-mixed 16-true bf16-true 64-true 32 16 bf16 64",
    "view.up": _AXES,
    "view.front": _AXES,
}
_SEVERAL_KINDS = (
    "trainer.devices",
    "trainer.val_check_interval",
    "trainer.precision",
    "trainer.accelerator",
    "trainer.profiler",
)


def check_given(raw: Mapping[str, Any]) -> None:
    """Nothing that has to be typed is missing."""
    missing = [key for key, value in leaves(raw) if value == "???"]
    if not missing:
        return
    if set(missing) & {"source", "target"}:
        given = "" if len(set(missing) & {"source", "target"}) == 2 else ", and one was given"
        raise ConfigError(f"match.py takes two files{given}: python match.py a.off b.off, or source=a.off target=b.off")
    key = missing[0]
    kind = "DIR" if key.endswith(".root") else "VALUE"
    whose = (
        f"{key.split('.')[0]}={key.split('.')[1]} needs a folder: give"
        if key.endswith(".root")
        else f"{key} has no value; give"
    )
    raise ConfigError(f"{whose} {key}={kind}")


def check_values(cfg: DictConfig) -> None:
    """Typed values are of the kind of the defaults that they replace, and in their range."""
    if not HydraConfig.initialized():
        return
    hydra = HydraConfig.get()
    typed = [(text, OverridesParser.create().parse_override(text)) for text in hydra.overrides.task]
    choices = [text for text, override in typed if not _is_value(override, cfg)]
    keys = [override.key_or_group for _, override in typed if _is_value(override, cfg) and not override.is_delete()]
    if keys:
        defaults = compose(hydra.job.config_name, overrides=[text for text in choices if not text.startswith("hydra")])
        for key in keys:
            check_value(key, OmegaConf.select(cfg, key), OmegaConf.select(defaults, key))


def _is_value(override: Any, cfg: DictConfig) -> bool:
    """Whether an override sets one value, rather than choosing parts."""
    key = override.key_or_group
    return (
        override.package is None
        and not key.startswith("hydra")
        and "/" not in key
        and key not in HydraConfig.get().runtime.choices
    )


def check_value(key: str, value: Any, default: Any) -> None:
    """One value against its default. Raises ConfigError."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}={value} is no number to work with; give a finite one" + _such_as(key, default))
    if value is None and OmegaConf.is_list(default):
        raise ConfigError(f"{key}=null: a list is wanted here; write {key}=[] for none")
    if default is not None and value is not None and key not in _SEVERAL_KINDS:
        _check_kind(key, value, default)
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check_range(key, value)
    if key in _ONE_OF and value is not None and str(value) not in _ONE_OF[key].split():
        raise ConfigError(f"{key}={value} is unknown; use one of {', '.join(_ONE_OF[key].split())}")


def _check_range(key: str, value: int | float) -> None:
    if key in _ABOVE_0 and value <= 0:
        raise ConfigError(f"{key}={value} is too small; give a number above 0")
    for least, keys in _AT_LEAST.items():
        if key in keys and value < least:
            raise ConfigError(f"{key}={value} is too small; give {least} or more")
    if key == "seed" and value > _LARGEST_SEED:
        raise ConfigError(f"seed={value} is too large; give {_LARGEST_SEED} or less")


def _check_kind(key: str, value: Any, default: Any) -> None:
    given = f"{key}={value if not isinstance(value, bool) else str(value).lower()}"
    if OmegaConf.is_list(default) and not OmegaConf.is_list(value):
        raise ConfigError(f"{given}: a list is wanted here; write {key}=[{value}]")
    if OmegaConf.is_dict(default) and not OmegaConf.is_dict(value):
        inside = ", ".join(f"{key}.{name}" for name in default if name != "_target_")
        raise ConfigError(f"{given}: {key} is a group of options, {inside}")
    if OmegaConf.is_config(value) and not OmegaConf.is_config(default):
        raise ConfigError(f"{given}: one value is wanted here" + _such_as(key, default))
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{given}: give {key}=true or {key}=false")
    elif isinstance(default, int) and (isinstance(value, bool) or not isinstance(value, int)):
        raise ConfigError(f"{given}: a whole number is wanted here" + _such_as(key, default))
    elif isinstance(default, float) and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ConfigError(f"{given}: a number is wanted here" + _such_as(key, default))


def _such_as(key: str, default: Any) -> str:
    return (
        "" if default is None else f", such as {key}={str(default).lower() if isinstance(default, bool) else default}"
    )


def leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested mappings."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
