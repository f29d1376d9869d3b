"""Configurations as the entry points get them, without running one."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from tests.remembered import remember_compositions

from pullback.runtime.foreign_fit import settled
from pullback.runtime.method_parts import tested
from pullback.runtime.recipes import fitted
from pullback.runtime.settings import register_resolvers

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"

remember_compositions()


def composed(program: str, *overrides: str, output_dir: Path | str = "unused") -> DictConfig:
    """What ``python {program}.py *overrides hydra.run.dir={output_dir}`` composes."""
    cfg = _composed(program, overrides).copy()
    cfg.paths.output_dir = str(output_dir)
    return cfg


@cache
def _composed(program: str, overrides: tuple[str, ...]) -> DictConfig:
    register_resolvers()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        cfg = compose(program, overrides=[*overrides, "paths.output_dir=unused"])
        return tested(fitted(settled(cfg, program, overrides), program, overrides), program, overrides)


def options(group: str) -> list[str]:
    """The choices of a config group."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def yaml_of(group: str, option: str) -> dict[str, Any]:
    """One file as it is written."""
    return yaml.safe_load((CONFIGS / group / f"{option}.yaml").read_text()) or {}
