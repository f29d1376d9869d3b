"""What Hydra computes for every composition is computed once: tests compose a thousand configurations of the same two
hundred files. What is composed is the same: files that change are read again, and every caller gets a copy of its own.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from omegaconf import _utils, base, grammar_parser

_read = ConfigRepository.load_config
_load = ConfigLoaderImpl._load_single_config
_merge = ConfigLoaderImpl._compose_config_from_defaults_list
_choices = defaults_list._create_interpolation_map
_known: dict[tuple[Any, ...], bytes] = {}


def remember_compositions() -> None:
    """From now on, in this process."""
    ConfigRepository.load_config = _load_config
    ConfigLoaderImpl._load_single_config = lambda self, default, repo: (
        default if isinstance(default, _Merged) else _load(self, default, repo)
    )
    ConfigLoaderImpl._compose_config_from_defaults_list = _compose_config_from_defaults_list
    defaults_list._create_interpolation_map = _create_interpolation_map
    _utils.parse = base.parse = cache(grammar_parser.parse)  # who resolves an interpolation walks through its tree


def _load_config(self: ConfigRepository, config_path: str) -> Any:
    """A file, parsed once."""
    source = self._find_object_source(config_path=config_path, object_type=ObjectType.CONFIG)
    if source is None:
        return None
    key = (source.scheme(), source.provider, source.path, config_path, *_state(source, config_path))
    result = _remembered(key, lambda: _read(self, config_path))
    result.remembered_by = key
    return result


def _state(source: Any, config_path: str) -> tuple[int, ...]:
    """What changes when a file is written, or a name registered, again."""
    name = source._normalize_file_name(config_path)
    if source.scheme() == "structured":
        return (id(ConfigStore.instance()._load(name).node),)
    if source.scheme() != "file":
        return ()
    found = (Path(source.path) / name).stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass
class _Merged:
    """Several files, merged: stands for them in a list of defaults."""

    config: Any


def _compose_config_from_defaults_list(self: ConfigLoaderImpl, defaults: list, repo: Any) -> Any:
    """The same files at the same places, merged once; Hydra's own, with which every list begins, once for all."""
    files = [(repo.load_config(each.config_path).remembered_by, each.package, each.primary) for each in defaults]
    count = sum(1 for _ in takewhile(lambda each: each.config_path.startswith("hydra/"), defaults))

    def merged() -> Any:
        first = _remembered(("merged", *files[:count]), lambda: _merge(self, defaults[:count], repo))
        return _merge(self, [_Merged(first), *defaults[count:]], repo)

    return _remembered(("merged", *files), merged)


def _create_interpolation_map(overrides: Any, defaults: list, self_added: bool) -> Any:
    """By what interpolations in a list of defaults are resolved, where there is one."""
    return _choices(overrides, defaults, self_added) if any("${" in str(vars(each)) for each in defaults) else None


def _remembered(key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
    if key not in _known:
        _known[key] = pickle.dumps(compute())
    return pickle.loads(_known[key])
