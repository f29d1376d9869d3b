"""The configuration as a value: what its yaml files may refer to, its plain form, and the parts that a checkpoint brings along."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

# Taken from the configuration of a checkpoint or of stored predictions, as far as it has them, unless the command line says otherwise.
INHERITED = ("backbone", "fusion", "graph", "solver", "data.k", "data.laplacian", "method_name", "landmarks")
# Taken too where test pairs are tuned: what they are tuned by.
INHERITED_BY_ADAPTATION = ("loss",)

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif")


def register_resolvers(root: Path) -> None:
    """Makes ``${project_root:}``, ``${first_of:a,b}`` and ``${quotient:a,b}`` known to the yaml files.

    ``root`` is the folder of the entry points.
    """
    OmegaConf.register_new_resolver("project_root", lambda: str(root.resolve()), replace=True)
    OmegaConf.register_new_resolver("first_of", lambda *values: next(value for value in values if value is not None), replace=True)
    OmegaConf.register_new_resolver("quotient", lambda total, part: total // part, replace=True)


def for_files(arguments: Sequence[str]) -> list[str]:
    """The command line of ``match.py`` with what follows from its files, unless it says otherwise.

    ``files=photos`` when the source has the ending of a photograph, ``backbone=landmarks`` when landmarks are given.
    """
    typed = {key: value.strip("'\"") for key, _, value in (argument.partition("=") for argument in arguments)}
    added = []
    photos = Path(typed.get("source", "")).suffix.lower() in PHOTO_SUFFIXES
    if photos and "files" not in typed:
        added.append("files=photos")
    elif not photos and typed.get("landmarks", "null") != "null" and "backbone" not in typed:
        added.append("backbone=landmarks")
    return [*arguments, *added]


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration as dicts, lists, numbers and strings: what checkpoints, stores and loggers hold."""
    return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)


def made(cfg: Any, **arguments: Any) -> Any:
    """The object that a part of the configuration describes, built from plain lists and dicts.

    What the constructor says of its arguments comes through as it is said.
    """
    try:
        return instantiate(cfg, **arguments, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError | OSError | ImportError):
            raise error.__cause__ from None
        raise


def inherit(cfg: DictConfig, trained: Mapping[str, Any], overrides: Sequence[str]) -> DictConfig:
    """The configuration with the parts that a checkpoint was trained with.

    ``solver=zoomout`` on the command line keeps the whole part as composed; ``solver.blur=0.02`` changes one key of the
    checkpoint's. Raises ValueError for a key that the checkpoint's part does not have.
    """
    typed = [override.key_or_group for override in OverridesParser.create().parse_overrides(list(overrides))]
    result, source = cfg.copy(), OmegaConf.create(dict(trained))
    for part in INHERITED if cfg.get("adaptation") is None else INHERITED + INHERITED_BY_ADAPTATION:
        if part in typed or OmegaConf.select(source, part) is None:
            continue
        OmegaConf.update(result, part, OmegaConf.select(source, part), merge=False, force_add=True)
        for key in (key for key in typed if key.startswith(f"{part}.")):
            if OmegaConf.select(result, key, default=_ABSENT) is _ABSENT:
                where = f"the checkpoint's {part}{_kind(source, part)}"
                raise ValueError(f"{key} does not exist in {where}; choose another one with {part}=NAME first")
            OmegaConf.update(result, key, OmegaConf.select(cfg, key), merge=False)
    return result


def _kind(source: DictConfig, part: str) -> str:
    """``, a DiffZoomOut`` where the part is one object."""
    target = OmegaConf.select(source, f"{part}._target_")
    return "" if target is None else f", a {target.rsplit('.', 1)[-1]}"


_ABSENT = object()
