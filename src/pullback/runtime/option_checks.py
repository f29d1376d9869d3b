"""Every option that is set is one that the chosen class has."""

from collections.abc import Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

from pullback.runtime.parts import ConfigError, class_of, declaration, objects_in

# Whose classes are built of what is written. Others (optimisers, trainers) are other people's, and say it themselves.
_PARTS = ("backbone", "fusion", "graph", "solver", "loss", "adaptation")


def check_options(cfg: Mapping[str, Any]) -> None:
    """Raises ConfigError for an option that its class does not have.

    The message names what sets it: a method or an experiment that is made for another class, or the command line.
    """
    for part in _PARTS:
        for place, written in objects_in(cfg.get(part), part):
            known = declaration(written)
            for option in written:
                if not option.startswith("_") and not known.takes(option):
                    raise ConfigError(_told(f"{place}.{option}", written, known.options or (), cfg))


def _told(key: str, written: Mapping[str, Any], known: Any, cfg: Mapping[str, Any]) -> str:
    place, name = key.rsplit(".", 1)[0], class_of(written)
    told = f"{key} is no option of {name}"
    if key in _typed():
        return f"{told}, which has {', '.join(sorted(known)) or 'none'}"
    setting = [f"{group}={choice}" for group, choice in _choices(cfg).items()]
    remedy = f"leave {' or '.join(setting)} out, or choose another {place.split('.')[0]}" if setting else f"drop ~{key}"
    return f"{told}, but {' or '.join(setting) or 'the configuration'} sets it; {remedy}"


def _typed() -> list[str]:
    if not HydraConfig.initialized():
        return []
    parsed = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    return [override.key_or_group for override in parsed]


def _choices(cfg: Mapping[str, Any]) -> dict[str, str]:
    """What may set options of several parts at once, as it was chosen."""
    chosen = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {"method": cfg.get("method_name")}
    groups = ("method", "experiment", "sweep", "debug")
    return {group: str(chosen[group]) for group in groups if chosen.get(group) not in (None, "simplified")}
