"""Faults of disks and processes, made to order."""

import contextlib
import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Within, no file grows beyond so many bytes: writing more fails, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def a_file(cache: Path, patch: pytest.MonkeyPatch) -> None:
    cache.write_text("not a folder")


def below_a_file(cache: Path, patch: pytest.MonkeyPatch) -> None:
    """The name leads through a file: the folder cannot be created."""
    cache.symlink_to(cache.with_name("plain.txt") / "below")
    cache.with_name("plain.txt").write_text("a file")


def a_loop(cache: Path, patch: pytest.MonkeyPatch) -> None:
    cache.symlink_to(cache.with_name("other"))
    cache.with_name("other").symlink_to(cache)


def a_dead_link(cache: Path, patch: pytest.MonkeyPatch) -> None:
    cache.symlink_to(cache.with_name("gone") / "for" / "good")


def read_only(cache: Path, patch: pytest.MonkeyPatch) -> None:
    """The administrator is bound by no permissions: the system call itself says no."""
    _failing_below(cache, errno.EROFS, patch)


def forbidden(cache: Path, patch: pytest.MonkeyPatch) -> None:
    _failing_below(cache, errno.EACCES, patch)


def full(cache: Path, patch: pytest.MonkeyPatch) -> None:
    """Files can be made, but not written to."""

    def refused(descriptor: int) -> None:
        if str(cache) in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "fsync", refused)


def _failing_below(cache: Path, number: int, patch: pytest.MonkeyPatch) -> None:
    def guarded(call: Callable) -> Callable:
        def checked(path, flags=0, *arguments, **options):
            opened = (isinstance(flags, int) and flags & os.O_CREAT) or (
                isinstance(flags, str) and set(flags) & set("xwa")
            )
            if (call is os.mkdir or opened) and not isinstance(path, int) and Path(path).is_relative_to(cache):
                raise OSError(number, os.strerror(number), str(path))
            return call(path, flags, *arguments, **options)

        return checked

    import builtins

    cache.mkdir()
    patch.setattr(os, "mkdir", guarded(os.mkdir))
    patch.setattr(os, "open", guarded(os.open))
    patch.setattr(builtins, "open", guarded(open))


BROKEN_CACHES = [a_file, below_a_file, a_loop, a_dead_link, read_only, forbidden, full]
