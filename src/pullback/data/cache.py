"""A cache of computed values: addressed by what they were computed from, whole or absent, deletable at any time.

Processes that want the same value take turns: one computes it, the others wait and read it.
"""

import contextlib
import errno
import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from io import BufferedIOBase
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pullback import locks, writing
from pullback.errors import UserError
from pullback.writing import CannotWrite, write_atomically

log = logging.getLogger(__name__)

T = TypeVar("T")
KeyPart = str | int | float | bool | None | bytes | np.ndarray

_ABSENT = object()
_LOCK = ".lock"
_required: ContextVar[bool] = ContextVar("storing_required", default=False)
_told: set[tuple[Path, str]] = set()


class CacheError(UserError, OSError):
    """The cache cannot keep what a run was started to put there."""


def content_hash(key: Mapping[str, KeyPart]) -> str:
    """Hash of named values, their types, shapes and order: equal for equal keys, and (surely) for no others."""
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


def cached(
    path: Path,
    compute: Callable[[], T],
    *,
    save: Callable[[BufferedIOBase, T], object],
    load: Callable[[Path | BufferedIOBase], T],
    what: str = "",
) -> T:
    """What ``load`` reads from ``path`` if it is there; else it is computed and stored first.

    ``what`` is its name, for messages.

    The file's name must be the ``content_hash`` of all that the value depends on: a version of the function, its
    parameters, the bytes of its inputs. It appears in one step, so that interruptions leave nothing half-written. A
    file that ``load`` cannot read, or that holds something of another kind, is computed anew, with a warning. ``load``
    takes a path or an open file.

    Where the cache cannot be written, the value is computed and not kept, with one warning for each cache; within
    ``storing_required`` that raises CacheError.
    """
    return cached_together([path], lambda _: [compute()], save=save, load=load, what=what)[0]


def cached_together(
    paths: Sequence[Path],
    compute: Callable[[list[Path]], Sequence[T]],
    *,
    save: Callable[[BufferedIOBase, T], object],
    load: Callable[[Path | BufferedIOBase], T],
    what: str = "",
) -> list[T]:
    """As ``cached``, for several values: ``compute`` makes in one go those that nobody has yet."""
    found = _read(paths, load)
    missing = [path for path in dict.fromkeys(paths) if path not in found]
    if missing:
        with _turns(missing, what):
            found |= _read(missing, load, level=logging.DEBUG)
            missing = [path for path in missing if path not in found]
            values = compute(missing) if missing else []
            found |= {path: _kept(path, value, save, load) for path, value in zip(missing, values, strict=True)}
    return [found[path] for path in paths]


@contextlib.contextmanager
def storing_required() -> Iterator[None]:
    """Within, a value that cannot be stored raises CacheError: filling the cache is what this is done for."""
    token = _required.set(True)
    try:
        yield
    finally:
        _required.reset(token)


def is_storing_required() -> bool:
    return _required.get()


def tell_unkept(message: str, cache_dir: Path) -> None:
    """Warns that values are not kept in a cache, once a process for each reason.

    Raises CacheError within ``storing_required``.
    """
    if is_storing_required():
        raise CacheError(message)
    if (cache_dir, message) not in _told:
        _told.add((cache_dir, message))
        log.warning("%s; until then all is computed and not kept", message)


def sweep(cache_dir: Path, *, older_than: float = 2.0) -> None:
    """Removes what killed processes left behind: temporary files and locks that nobody holds."""
    writing.sweep(cache_dir, older_than=older_than)
    with contextlib.suppress(OSError):
        for path in cache_dir.glob(f"*/.*{_LOCK}"):
            with contextlib.suppress(OSError):
                locks.remove_if_free(path)


def _read(
    paths: Sequence[Path], load: Callable[[Path | BufferedIOBase], T], *, level: int = logging.WARNING
) -> dict[Path, T]:
    """The values that are there and can be read. ``level``: how loudly the others are told."""
    found = {}
    for path in paths:
        try:
            if path.exists():
                found[path] = load(path)
        except FileNotFoundError:
            continue  # the cache is being deleted
        except Exception as error:  # damaged archives raise about anything
            log.log(
                level, "the cache entry %s is damaged (%s: %s) and is computed anew", path, type(error).__name__, error
            )
    return found


@contextlib.contextmanager
def _turns(paths: Sequence[Path], what: str) -> Iterator[None]:
    """The locks of all entries, in one order for everybody, so that nobody waits in a circle.

    None where there can be none.
    """
    with contextlib.ExitStack() as stack:
        for path in sorted(paths):
            # an unwritable cache, a disk without locks: several may compute the same then
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(
                    locks.turn(path.with_name(f".{path.name}{_LOCK}"), waiting=lambda: _tell_waiting(what))
                )
        yield


def _tell_waiting(what: str) -> None:
    log.warning("waiting for another process that prepares %s", what or "the same")


def _kept(
    path: Path, value: T, save: Callable[[BufferedIOBase, T], object], load: Callable[[Path | BufferedIOBase], T]
) -> T:
    try:
        write_atomically(path, lambda file: save(file, value))
        return load(path)
    except CannotWrite as error:
        cache_dir = path.parent.parent
        where = f" ({path.name} in {path.parent.name})" if error.errno in (errno.EISDIR, errno.ENOTEMPTY) else ""
        tell_unkept(
            f"the cache {cache_dir} cannot be written{where}: {error.reason}. {error.advice}, or give another one: "
            "paths.cache_dir=DIR",
            cache_dir,
        )
    except OSError as error:  # written, but gone or unreadable again
        log.debug("%s", error)
    memory = io.BytesIO()
    save(memory, value)
    memory.seek(0)
    return load(memory)


def check_arrays(arrays: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    """Raises ValueError unless the arrays are those of ``kinds``: a type and the sizes of each, as in ``float32 n 3``.

    Equal letters are equal sizes; ``n+1`` is one more. Floating-point values must be finite.
    """
    if arrays.keys() != kinds.keys():
        raise ValueError(f"it holds {', '.join(sorted(arrays)) or 'nothing'}, not {', '.join(sorted(kinds))}")
    sizes: dict[str, int] = {}
    for name, kind in kinds.items():
        array = arrays[name]
        dtype, *letters = kind.split()
        if array.dtype.kind != "U" if dtype == "text" else array.dtype != dtype:
            raise ValueError(f"its {name} is of type {array.dtype}, not {dtype}")
        expected = tuple(_size(letter, size, sizes) for letter, size in zip(letters, array.shape, strict=False))
        if len(letters) != array.ndim or expected != array.shape:
            raise ValueError(f"its {name} has the shape {array.shape}, not ({', '.join(letters)}) with {sizes}")
        with np.errstate(invalid="ignore"):
            if array.dtype.kind == "f" and not np.isfinite(array.sum(dtype=np.float64)):
                raise ValueError(f"its {name} holds values that are not finite")


def _size(letter: str, size: int, known: dict[str, int]) -> int:
    if letter.isdigit():
        return int(letter)
    if letter.endswith("+1"):
        return known.setdefault(letter[:-2], size - 1) + 1
    return known.setdefault(letter, size)
