"""One process at a time: locks on files, which the system takes back when their owner dies."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FIRST_WORD = 1.0  # seconds of waiting before anything is said
_LONGEST_NAP = 0.5


def try_lock(descriptor: int) -> bool:
    """Locks an open file unless another one has it locked.

    Closing it ends the lock. Raises OSError where the disk knows no locks.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextlib.contextmanager
def turn(path: Path, *, waiting: Callable[[], object]) -> Iterator[None]:
    """Within, no other process (or thread) is in a ``turn`` of the same path.

    ``waiting`` is called once when it takes longer.

    The file is there while somebody holds the lock, and goes with the last one; a killed owner leaves the file, but not
    the lock. Raises OSError where no file can be made, or none can be locked. Ctrl-C ends the wait.
    """
    descriptor = _waited_for(path, waiting)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file: it stays, unlocked
            path.unlink()
        os.close(descriptor)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Within, no other process is in an ``alone`` or a ``turn`` of the same path; False where one is already.

    Nobody waits. Where no file can be made or locked (a disk without locks), True: nobody can know.
    """
    try:
        descriptor = _taken(path)
        if descriptor is None:
            time.sleep(0.05)  # it was going away just then, or stays
            descriptor = _taken(path)
    except OSError:
        yield True
        return
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _waited_for(path: Path, waiting: Callable[[], object]) -> int:
    begun, told, nap = time.monotonic(), False, 0.01
    while (descriptor := _taken(path)) is None:
        if not told and time.monotonic() - begun > _FIRST_WORD:
            told = True
            waiting()
        time.sleep(nap)
        nap = min(2 * nap, _LONGEST_NAP)
    return descriptor


def _taken(path: Path) -> int | None:
    """The locked file, open; None if another process has it, or has just removed it from its place."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if try_lock(descriptor) and _is_at(descriptor, path):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def remove_if_free(path: Path) -> None:
    """Removes the file of a lock that nobody holds. Raises OSError where it cannot be opened or locked."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        if try_lock(descriptor) and _is_at(descriptor, path):
            path.unlink()
    finally:
        os.close(descriptor)
