"""Recipes set what they fit: options that the chosen parts have.

A recipe is a diff, as an experiment is, and lists under ``recipe.sets`` what it writes into parts that may be chosen
otherwise: options that mean something only together are one list. Such a group is set as a whole, or not at all where
one of the chosen parts lacks one of its options; the parts then keep the values that they have without the recipe.
"""

import logging
from collections.abc import Sequence

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from pullback.runtime.parts import ConfigError, declaration

log = logging.getLogger(__name__)
_ABSENT = object()


def fitted(cfg: DictConfig, program: str | None, overrides: Sequence[str]) -> DictConfig:
    """The configuration with those values of its recipe that fit. ``overrides`` are those it was composed with.

    Raises ConfigError for a typed option that only the recipe had brought into a part.
    """
    if cfg.get("recipe") is None:
        return cfg
    cfg = cfg.copy()
    groups = [[group] if isinstance(group, str) else list(group) for group in cfg.recipe.sets]
    lacking = {tuple(group): lost for group in groups if (lost := [key for key in group if not _has(cfg, key)])}
    if lacking:
        typed = OverridesParser.create().parse_overrides(list(overrides))
        own = compose(program, overrides=[*(one.input_line or "" for one in typed if _chooses(one)), "~recipe"])
        for key in [key for group in lacking for key in group]:
            _restore(cfg, key, own, typed)
        log.info("%s", _told(cfg.recipe.name, lacking))
    with open_dict(cfg):
        del cfg["recipe"]
    return cfg


def _has(cfg: DictConfig, key: str) -> bool:
    """Whether the part that was chosen has an option."""
    place, _, option = key.rpartition(".")
    part = OmegaConf.select(cfg, place)
    return OmegaConf.is_dict(part) and "_target_" in part and declaration(part).takes(option)


def _chooses(override: Override) -> bool:
    """Whether an override chooses a part, rather than setting a value."""
    key = override.key_or_group
    return override.package is not None or (not ("." in key or key in ("seed", "recipe")) and not override.is_add())


def _restore(cfg: DictConfig, key: str, own: DictConfig, typed: Sequence[Override]) -> None:
    """Gives an option the value that it has without the recipe, unless it is typed."""
    value = OmegaConf.select(own, key, default=_ABSENT)
    is_typed = key in [override.key_or_group for override in typed]
    place, _, option = key.rpartition(".")
    if value is not _ABSENT:
        if not is_typed:
            parent = OmegaConf.select(own, place)
            OmegaConf.update(cfg, key, parent._get_node(option), merge=False)
        return
    if is_typed:
        part = key.split(".")[0]
        raise ConfigError(f"{key} does not exist in what was chosen; leave it out, or choose another {part}")
    while place and OmegaConf.select(cfg, place) is not None:
        with open_dict(cfg):
            del OmegaConf.select(cfg, place)[option]
        if OmegaConf.select(cfg, place):
            return
        place, _, option = place.rpartition(".")


def _told(recipe: str, lacking: dict[tuple[str, ...], list[str]]) -> str:
    """What the recipe does not set, and what lacks it."""
    said = []
    for group, lost in lacking.items():
        rest = [key for key in group if key not in lost]
        said.append(", ".join(lost) + (f" (and hence {', '.join(rest)})" if rest else ""))
    return f"recipe={recipe} does not set what the chosen parts do not have: {', '.join(said)}"
