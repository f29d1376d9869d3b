"""Yaml files are parsed once for Hydra: tests compose a thousand configurations of the same two hundred files."""

import pickle
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType

_read = ConfigRepository.load_config
_known: dict[tuple[Any, ...], bytes] = {}


def remember_yaml_files() -> None:
    """From now on, in this process. A file that changed is read again."""
    ConfigRepository.load_config = _load_config


def _load_config(self: ConfigRepository, config_path: str) -> Any:
    source = self._find_object_source(config_path=config_path, object_type=ObjectType.CONFIG)
    if source is None or source.scheme() == "structured":
        return _read(self, config_path)
    key = (source.scheme(), source.provider, source.path, config_path, *_state(source, config_path))
    if key not in _known:
        _known[key] = pickle.dumps(_read(self, config_path))
    return pickle.loads(_known[key])


def _state(source: Any, config_path: str) -> tuple[int, ...]:
    """Of the file of a folder: what changes when it is written again."""
    if source.scheme() != "file":
        return ()
    found = (Path(source.path) / source._normalize_file_name(config_path)).stat()
    return found.st_mtime_ns, found.st_size, found.st_ino
