"""Files as they come: texts in whichever encoding, JSON within bounds."""

import codecs
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pullback.errors import UserError

_MOST_JSON = 64 * 2**20  # bytes; parsed, they take some twenty times as much memory
_DEEPEST_JSON = 50  # levels; ours have fewer than ten
# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class MissingFileError(UserError, FileNotFoundError):
    """There is no such file. The message names it."""


class UnreadableFileError(UserError, OSError):
    """A file that is there but cannot be read: a folder, or one that its owner keeps to himself.

    The message names it.
    """


class TextFileError(UserError, ValueError):
    """A file that should be text but is not. The message names it."""


class JsonError(UserError, ValueError):
    """A file that should hold JSON and does not, or more than anybody means. The message names it."""


def read_bytes(path: Path, *, what: str = "file") -> bytes:
    """All bytes of a file; ``what`` it is, for the message.

    Raises MissingFileError and UnreadableFileError, which name it.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode) and not path.is_dir():
            raise UnreadableFileError(
                f"the {what} {path} is no file but a device or a pipe, which may never end. Give a file"
            )
        return path.read_bytes()
    except UnreadableFileError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"there is no {what} {path}") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise UnreadableFileError(
            f"the {what} {path} cannot be read ({getattr(error, 'strerror', error)}). Is it a file, and yours to read?"
        ) from None


def read_text(path: Path, *, what: str = "file") -> str:
    """The text of a file, without byte order mark and with ``\\n`` at the end of every line.

    UTF-8, UTF-16 and UTF-32 are told apart by their marks, UTF-16 without one by its zeros; what is none of them is
    taken for Latin-1, so that accents in names and comments survive. Raises as ``read_bytes``, and TextFileError for
    damaged UTF-16 or UTF-32.
    """
    data = read_bytes(path, what=what)
    try:
        return decoded(data).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise TextFileError(
            f"{path}: begins like {error.encoding} text but is not ({error.reason}). Save it as UTF-8"
        ) from None


def read_lines(path: Path, *, what: str = "file") -> list[str]:
    """The lines of a text, split at line ends only (not at form feeds and the like).

    Raises as ``read_text``, and for a zero byte.
    """
    lines = read_text(path, what=what).rstrip("\0\x1a").split("\n")  # zeros and Ctrl-Z: how some systems fill up a file
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise TextFileError(
                f"{path}, line {number}: a zero byte, so it is damaged or not text. Copy the {what} again"
            )
    return lines


def worded_lines(path: Path, *, what: str = "file") -> Iterator[tuple[int, str, list[str]]]:
    """Number, text and words of each line of a text that has words: blanks, commas and semicolons part them.

    What follows a # is skipped. Raises as ``read_lines``.
    """
    for number, line in enumerate(read_lines(path, what=what), 1):
        words = [word for word in re.split(r"[\s,;]+", line.split("#", 1)[0]) if word]
        if words:
            yield number, line.strip(), words


def decoded(data: bytes) -> str:
    """Bytes as text, in the encoding that they seem to have; line ends as they are. Raises UnicodeDecodeError."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace" if encoding == "utf-8" else "strict")
    unmarked = _unmarked_utf16(data[:1000])
    if unmarked:
        return data.decode(unmarked)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 of a western text has a zero in every second byte, and no other."""
    even, odd = head[0::2], head[1::2]
    if len(head) >= 4 and odd.count(0) > 0.7 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(head) >= 4 and even.count(0) > 0.7 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None


def read_json(path: str | Path) -> Any:
    """What a JSON file holds, in UTF-8 (with a byte order mark or without), UTF-16 or UTF-32.

    Raises as ``read_bytes``, and JsonError for what is no JSON (NaN and Infinity are none), larger than 64 MiB, or
    nested more than 50 levels deep.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"there is no JSON file {path}")
    try:
        size = path.stat().st_size
        if size > _MOST_JSON:
            raise JsonError(
                f"{path}: {size / 2**20:.0f} MiB are more than a JSON file of "
                f"ours holds ({_MOST_JSON // 2**20} MiB at most)"
            )
        content = json.loads(read_bytes(path, what="JSON file"), parse_constant=_no_number)
    except RecursionError:
        raise JsonError(f"{path}: nested more than {_DEEPEST_JSON} levels deep. Is it damaged?") from None
    except UserError:
        raise
    except (ValueError, MemoryError) as error:
        raise JsonError(f"{path}: not a JSON file ({str(error) or 'no memory left'}). Copy it again") from None
    if _is_too_deep(content):
        raise JsonError(f"{path}: nested more than {_DEEPEST_JSON} levels deep. Is it damaged?")
    return content


def _is_too_deep(content: Any) -> bool:
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(_DEEPEST_JSON):
        below = [value for parent in level for value in (parent.values() if isinstance(parent, dict) else parent)]
        level = [value for value in below if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
