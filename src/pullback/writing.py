"""Files that exist whole or not at all, however a run ends."""

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path

from pullback.errors import UserError
from pullback.locks import try_lock

_PARTIAL = ".partial"
# seconds without a write after which a temporary file is given up where the disk knows no locks
_UNLOCKABLE_AFTER = 3600.0

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ADVICE = {
    **dict.fromkeys(_FULL, "Make room there"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "Make the folder writable for you"),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "Remove what stands where a folder belongs"),
    **dict.fromkeys((errno.EISDIR, errno.ENOTEMPTY), "Remove the folder that stands where a file belongs"),
    errno.ELOOP: "Remove the link that leads in a circle",
}


class CannotWrite(UserError, OSError):
    """A file that cannot be written, and what to do about it. ``errno`` and ``reason`` say why."""

    reason: str = ""
    advice: str = ""

    @classmethod
    def of(cls, path: Path, error: OSError) -> "CannotWrite":
        """What an error of the operating system means for the user."""
        reason, advice = error.strerror or str(error), _ADVICE.get(error.errno or 0, "Look after the disk")
        told = cls(f"{path} cannot be written: {reason}. {advice}, or choose another folder (hydra.run.dir=DIR)")
        told.errno, told.reason, told.advice = error.errno, reason, advice
        return told


class FolderGone(UserError, FileNotFoundError):
    """The folder of a run is not there any more."""


def write_atomically(path: Path, write: Callable[[BufferedIOBase], object], *, previous: Path | None = None) -> None:
    """``write`` fills a temporary file beside ``path``, which then takes its place in one step.

    Makes the folder if needed.

    The file that was there before is kept as ``previous``, if that is given. Raises CannotWrite; nothing is changed
    then.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}{_PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            with contextlib.suppress(OSError):
                try_lock(file.fileno())  # tells `sweep` that somebody is at work
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.utime(temporary)  # the last moment is unlocked, but young
        if previous is not None:
            _keep(path, previous)
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        if isinstance(error, UserError):
            raise
        raise CannotWrite.of(path, error) from error
    except BaseException:
        _remove(temporary)
        raise


def write_text_atomically(path: Path, text: str) -> None:
    """The text in UTF-8, with its line ends as they are. Raises CannotWrite."""
    write_atomically(path, lambda file: file.write(text.encode()))


def sweep(folder: Path, *, older_than: float = 2.0) -> None:
    """Removes temporary files of killed processes from a folder and the two levels below it.

    Files touched in the last ``older_than`` seconds are left alone.
    """
    for pattern in ("", "*/", "*/*/"):
        with contextlib.suppress(OSError):
            for path in folder.glob(f"{pattern}.*{_PARTIAL}"):
                with contextlib.suppress(OSError):
                    age = time.time() - path.stat().st_mtime
                    if age > older_than and _is_abandoned(path, age):
                        path.unlink()


@contextlib.contextmanager
def telling_full_disks(folder: Path) -> Iterator[None]:
    """Within, a full or read-only disk ends the program with a sentence, whoever was writing.

    So does the end of the folder itself, which somebody has removed meanwhile.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and _was_removed(error.filename, folder):
            raise FolderGone(f"{folder} was removed, or a part of it, while it was in use; begin anew there") from error
        if isinstance(error, UserError) or error.errno not in (*_FULL, errno.EROFS):
            raise
        raise CannotWrite.of(Path(error.filename or folder), error) from error


def _was_removed(name: object, folder: Path) -> bool:
    """Whether a file could not be opened for the folder it was to lie in, below that of a run."""
    if not isinstance(name, str | os.PathLike):
        return False
    path = Path(name).absolute()
    return path.is_relative_to(folder.absolute()) and not path.parent.is_dir()


def _keep(path: Path, previous: Path) -> None:
    """The file stays in its place and gets a second name; on a disk without hard links it moves."""
    link = previous.with_name(f".{uuid.uuid4().hex}{_PARTIAL}")
    try:
        os.link(path, link)
        os.replace(link, previous)
    except FileNotFoundError:
        return  # there is none yet
    except OSError:
        _remove(link)
        if path.is_file():
            os.replace(path, previous)


def _is_abandoned(path: Path, age: float) -> bool:
    try:
        with open(path, "r+b") as file:
            return try_lock(file.fileno())
    except OSError:
        return age > _UNLOCKABLE_AFTER


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
