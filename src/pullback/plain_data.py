"""Strangers' data as plain containers of bounded size: strings and numbers that are what they look like."""

import re
from collections.abc import Mapping
from typing import Any

from pullback.errors import UserError

_DEEPEST = 32  # containers in containers
_MOST = 20_000  # values altogether, each counted as often as it is reached
_LONGEST = 10_000  # characters of one text
_LARGEST = 2**64  # of whole numbers
# What a terminal obeys (C0 and C1 except tabs and line ends), what turns the direction of writing, and what is no
# character at all.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class PlainDataError(UserError, ValueError):
    """Data from a file hold something else than texts, numbers, lists and mappings of them, or too much of it."""


def plain_data(value: Any, *, what: str) -> Any:
    """A copy of the value in dicts with texts as keys, lists, texts, numbers, truth values and None.

    Containers that hold themselves, that are nested without reason, or that unfold to millions of values are refused,
    and so are texts with control characters, which a terminal would obey. Raises PlainDataError with ``what`` as the
    subject of its message.
    """
    counted = 0

    def copied(value: Any, place: str, depth: int) -> Any:
        nonlocal counted
        counted += 1
        if counted > _MOST:
            raise PlainDataError(f"{what} holds more than {_MOST:,} values; no configuration of this project does")
        if depth > _DEEPEST:
            raise PlainDataError(f"{what} is nested more than {_DEEPEST} deep, or in itself, at {place[:60]}…")
        if isinstance(value, Mapping):
            return {
                _text(key, place, what): copied(below, f"{place}.{key}".lstrip("."), depth + 1)
                for key, below in value.items()
            }
        if isinstance(value, list | tuple):
            return [copied(below, f"{place}[{i}]", depth + 1) for i, below in enumerate(value)]
        if value is None or type(value) in (bool, float):
            return value
        if type(value) is int and abs(value) < _LARGEST:
            return value
        return _text(value, place, what)

    return copied(value, "", 0)


def printable(text: str, *, longest: int = _LONGEST) -> str:
    """A text without the characters that a terminal would obey, cut off where it is longer than ``longest``."""
    return _CONTROLS.sub("", text[:longest])


def with_visible_controls(text: str) -> str:
    """A text for the terminal, in which what it would obey is written out: ``\x1b`` is four characters.

    File names stay as they are.
    """
    return _CONTROLS.sub(lambda found: found[0] if found[0] >= "\ud800" else repr(found[0])[1:-1], text)


def _text(value: Any, place: str, what: str) -> str:
    where = f" at {place[:200]}" if place else ""
    if type(value) is int:
        kind = "a number of more than 64 bits" if abs(value) >= _LARGEST else "a number as the name of a value"
        raise PlainDataError(f"{what} holds {kind}{where}")
    if type(value) is not str:
        raise PlainDataError(f"{what} holds a {type(value).__name__}{where}; plain texts and numbers are expected")
    if len(value) > _LONGEST:
        raise PlainDataError(f"{what} holds a text of {len(value):,} characters{where}")
    if value != printable(value):
        raise PlainDataError(f"{what} holds a text with control characters{where}: {value[:80]!r}")
    return value
