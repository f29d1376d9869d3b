"""The configuration as a value: its resolvers, its plain form, and the parts that a checkpoint brings."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from pullback.errors import UserError
from pullback.places import cache, embedded, results, root
from pullback.ranges import NumberError
from pullback.runtime.machines import asked, cores
from pullback.runtime.offered import check_offered
from pullback.runtime.parts import UnknownTarget

# Taken from the configuration of a checkpoint or of stored predictions, as far as it has them, unless the command line
# says otherwise.
INHERITED = (
    *("backbone", "fusion", "graph", "solver", "data.k", "data.laplacian", "data.align", "data.crop", "data.margin"),
    *("method_name", "landmarks", "mirrored"),
)
# Taken too where test pairs are tuned: what they are tuned by.
INHERITED_BY_ADAPTATION = ("loss",)


def register_resolvers() -> None:
    """Makes ``${place:NAME}``, ``${first_of:a,b}`` and ``${quotient:a,b}`` known to the yaml files.

    A NAME is one of ``places``: root, embedded, cache, runs, sweeps. ``${cores:most}`` is the number of cores that this
    process may use, ``${slurm:…}`` what a job asks of Slurm (``machines.asked``), and ``${notice:minutes}`` how many
    seconds before its end it is told of it.
    """
    known: dict[str, Callable[[], Path]] = {"root": root, "embedded": embedded, "cache": cache}
    known |= {kind: functools.partial(results, kind) for kind in ("runs", "sweeps")}
    OmegaConf.register_new_resolver("place", lambda name: str(known[name]()), replace=True)
    OmegaConf.register_new_resolver("project_root", lambda: str(root()), replace=True)  # of yaml files of users
    OmegaConf.register_new_resolver(
        "first_of", lambda *values: next(value for value in values if value not in (None, "")), replace=True
    )
    OmegaConf.register_new_resolver("quotient", lambda total, part: total // part, replace=True)
    OmegaConf.register_new_resolver(
        "id_of", lambda folder: sha256(str(Path(folder).resolve()).encode()).hexdigest()[:16], replace=True
    )
    OmegaConf.register_new_resolver("cores", lambda most: min(most, cores()), replace=True)
    OmegaConf.register_new_resolver("notice", lambda minutes: min(120, 30 * minutes), replace=True)
    OmegaConf.register_new_resolver("slurm", asked, replace=True, use_cache=True)


class ForeignKeyError(UserError, ValueError):
    """The command line changes what a checkpoint's configuration does not have."""


def to_plain(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration as dicts, lists, numbers and strings: what checkpoints, stores and loggers hold."""
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))


def as_written(cfg: DictConfig) -> dict[str, Any]:
    """The configuration in plain containers, references as they are written: for checks of what need not resolve."""
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))


def as_yaml(config: Mapping[str, Any]) -> str:
    """A plain configuration as it is written to disk.

    Nothing in it is looked up: a text with ``${…}`` stays that text.
    """
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def instantiate(cfg: Any, **arguments: Any) -> Any:
    """The object that a part of the configuration describes, built from plain lists and dicts, from the inside out.

    A mapping with ``_target_`` becomes a call of what it names, one with ``_partial_: true`` a function that waits for
    the rest; ``arguments`` take the place of its options. What a constructor says of its arguments comes through as it
    is said. References to other parts are resolved once, before anything is built: a text that comes out of one is a
    text, whatever it looks like. Not ``hydra.utils.instantiate``, which looks references up a second time, so that a
    stranger's text would have to be escaped as often as its version does that, and which hides what constructors say in
    an error of its own. Raises UnknownTarget when there is nothing of that name, and NumberError naming the option as
    it is typed.
    """
    content: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True) if OmegaConf.is_config(cfg) else cfg
    place = cfg._get_full_key(None) if OmegaConf.is_config(cfg) else ""
    return _built({**content, **arguments} if arguments else content, place)


def _built(value: Any, place: str = "") -> Any:
    if isinstance(value, list):
        return [_built(below, place) for below in value]
    if not isinstance(value, dict):
        return value
    instructions = {key: value[key] for key in _INSTRUCTIONS if key in value}
    options = {key: below for key, below in value.items() if key not in _INSTRUCTIONS}
    if instructions.get("_recursive_", True):
        options = {key: _built(below, f"{place}.{key}" if place else key) for key, below in options.items()}
    if "_target_" not in instructions:
        return options
    call, given = located(instructions["_target_"]), [_built(below) for below in instructions.get("_args_", ())]
    if instructions.get("_partial_"):
        return functools.partial(call, *given, **options)
    try:
        return call(*given, **options)
    except NumberError as error:
        raise error.at(_typed_place(place)) from None


def _typed_place(place: str) -> str:
    """Where an option of a part is typed: what a module or the data are made of has its place at the top."""
    for inside, at_top in (("data.datasets", "dataset"), ("data.test", "test"), ("module.losses", "loss")):
        if place.startswith(f"{inside}."):
            return f"{at_top}{place.removeprefix(inside)}"
    return place.removeprefix("module.")


# everything is plain here: the last changes nothing
_INSTRUCTIONS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def located(target: Any) -> Any:
    """What a dotted name stands for. Raises UnknownTarget."""
    if not isinstance(target, str):
        raise UnknownTarget(repr(target), "it is no dotted name, such as pullback.solvers.zoomout.ZoomOut")
    try:
        return get_object(target)
    except Exception as error:  # whatever importing it raises
        raise UnknownTarget(target, error.__cause__ or error) from error


def inherit(
    cfg: DictConfig,
    trained: Mapping[str, Any],
    overrides: Sequence[str],
    *,
    source: str = "the checkpoint",
    built: bool = True,
) -> DictConfig:
    """The configuration with the parts that a checkpoint was trained with, as far as the project offers what they name.

    ``trained`` are plain containers out of the file ``source``; texts in them stay texts, also those that look like
    ``${…}``. ``solver=zoomout`` on the command line keeps the whole part as composed; ``solver.blur=0.02`` changes one
    key of the checkpoint's. ``built`` is false where the parts are described only. Raises ForeignConfigError for what
    the project does not offer, ForeignKeyError for a typed key that the checkpoint's part does not have.
    """
    typed = _typed(overrides)
    result = cfg.copy()
    for part in _taken(cfg, trained, typed):
        content = _part(trained, part)
        changed = [key for key in typed if key.startswith(f"{part}.")]
        check_offered(part, content, source=source, typed=changed, built=built)
        OmegaConf.update(result, part, _unresolved(content), merge=False, force_add=True)
        for key in changed:
            if OmegaConf.select(result, key, default=_ABSENT) is _ABSENT:
                where = f"the checkpoint's {part}{_kind(content)}"
                raise ForeignKeyError(f"{key} does not exist in {where}; choose another one with {part}=NAME first")
            OmegaConf.update(result, key, OmegaConf.select(cfg, key), merge=False)
    return result


def inherited(cfg: DictConfig, trained: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    """The parts that ``inherit`` takes as they are, without a change by the command line."""
    typed = _typed(overrides)
    return [part for part in _taken(cfg, trained, typed) if not any(key.startswith(f"{part}.") for key in typed)]


def _typed(overrides: Sequence[str]) -> list[str]:
    return [override.key_or_group for override in OverridesParser.create().parse_overrides(list(overrides))]


def _taken(cfg: DictConfig, trained: Mapping[str, Any], typed: Sequence[str]) -> list[str]:
    parts = INHERITED if cfg.get("adaptation") is None else INHERITED + INHERITED_BY_ADAPTATION
    return [part for part in parts if part not in typed and _part(trained, part) is not None]


def _part(trained: Mapping[str, Any], part: str) -> Any:
    """``data.k`` of plain containers; None where it is absent."""
    found: Any = trained
    for key in part.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _unresolved(value: Any) -> Any:
    """Plain containers whose texts OmegaConf gives back as they are: ``${`` and backslashes are escaped."""
    if isinstance(value, Mapping):
        return {key: _unresolved(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_unresolved(below) for below in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def _kind(content: Any) -> str:
    """``, a DiffZoomOut`` where the part is one object."""
    target = content.get("_target_") if isinstance(content, Mapping) else None
    return "" if target is None else f", a {target.rsplit('.', 1)[-1]}"


_ABSENT = object()
