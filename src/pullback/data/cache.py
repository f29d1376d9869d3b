"""A cache of computed values: addressed by what they were computed from, whole or absent, deletable at any time."""

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from pullback.files import write_atomically

log = logging.getLogger(__name__)

T = TypeVar("T")
KeyPart = str | int | float | bool | None | bytes | np.ndarray


def content_hash(key: Mapping[str, KeyPart]) -> str:
    """Hash of named values that tells apart their types, shapes and order: equal keys, equal hashes, and (surely) no others."""
    digest = hashlib.sha256()
    for name, value in sorted(key.items()):
        if isinstance(value, np.ndarray):
            kind, data = f"array {value.dtype.str} {value.shape}", np.ascontiguousarray(value).tobytes()
        elif isinstance(value, bytes):
            kind, data = "bytes", value
        else:
            kind, data = type(value).__name__, repr(value).encode()
        digest.update(f"{name!r} {kind} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def cached(path: Path, compute: Callable[[], T], *, save: Callable[[BinaryIO, T], object], load: Callable[[Path], T]) -> T:
    """What ``load`` reads from ``path`` if it is there; else it is computed and stored first.

    The file's name must be the ``content_hash`` of all that the value depends on: a version of the function, its parameters, the
    bytes of its inputs. It appears in one step, so that interruptions leave nothing half-written and several processes may
    compute the same value. A file that ``load`` cannot read is computed anew, with a warning.
    """
    if path.exists():
        try:
            return load(path)
        except Exception as error:
            log.warning("the cache entry %s is damaged (%s: %s) and is computed anew", path, type(error).__name__, error)
    value = compute()
    write_atomically(path, lambda file: save(file, value))
    return load(path)


def sweep(cache_dir: Path, *, older_than: float = 3600.0) -> None:
    """Removes what killed processes left behind: temporary files that nobody has written to for that many seconds."""
    for path in cache_dir.glob("*/.*.partial"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > older_than:
                path.unlink()
