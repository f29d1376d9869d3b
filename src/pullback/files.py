"""Files that exist whole or not at all, however a run ends; and files of others, read within bounds."""

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from pullback.errors import UserError

_MOST_JSON = 64 * 2**20  # bytes; parsed, they take some twenty times as much memory
_DEEPEST_JSON = 50  # levels; ours have fewer than ten


class JsonError(UserError, ValueError):
    """A file that should hold JSON and does not, or more than anybody means. The message names it."""


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """``write`` fills a temporary file beside ``path``, which then takes its place in one step. Makes the folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: str | Path) -> Any:
    """What a JSON file holds, in UTF-8 (with a byte order mark or without), UTF-16 or UTF-32.

    Raises FileNotFoundError, and JsonError for what is no JSON (so are NaN and Infinity), larger than 64 MiB or nested more than 50
    levels deep.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > _MOST_JSON:
            raise JsonError(f"{path}: {size / 2**20:.0f} MiB are more than a JSON file of ours holds ({_MOST_JSON // 2**20} MiB at most)")
        content = json.loads(path.read_bytes(), parse_constant=_no_number)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise JsonError(f"{path}: cannot be opened ({error.strerror})") from None
    except RecursionError:
        raise JsonError(f"{path}: nested more than {_DEEPEST_JSON} levels deep. Is it damaged?") from None
    except (ValueError, MemoryError) as error:
        if isinstance(error, JsonError):
            raise
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
