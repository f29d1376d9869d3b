"""Millions of lines of numbers at once, for the text formats of meshes.

What is out of the ordinary is left to the readers by line.
"""

import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from pullback.warned import own_warnings

Value = TypeVar("Value", int, float)

_NUMBER = re.compile(r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE)

# Of each byte what it is to a reader: part of a word, blank, or the end of a line. Everything else (other line ends,
# other alphabets) is odd: such text is read line by line.
_WORD, _BLANK, _END, _ODD = range(4)
_KIND = np.full(256, _ODD, dtype=np.uint8)
_KIND[33:127] = _WORD
_KIND[[ord(letter) for letter in " \t\v\f"]] = _BLANK
_KIND[[ord("\n"), ord("\r")]] = _END
_KIND_OF_NAMES = _KIND.copy()
_KIND_OF_NAMES[128:] = _WORD


@dataclass(frozen=True)
class NumberLines:
    """The numbers of the lines that hold any, one after the other."""

    values: Float[ndarray, " v"]
    start: Int[ndarray, " r"]  # where those of each line begin
    count: Int[ndarray, " r"]  # how many it holds

    def columns(self, rows: slice, width: int, *, skip: int = 0) -> Float[ndarray, "r {width}"] | None:
        """``width`` numbers of each of some lines, after the first ``skip``; None where a line has fewer."""
        start, count = self.start[rows], self.count[rows]
        if len(count) and count.min() < skip + width:
            return None
        return self.values[start[:, None] + np.arange(skip, skip + width)]

    def polygons(self, rows: slice, *, counted: bool) -> tuple[Int[ndarray, " c"], Int[ndarray, " p"]] | None:
        """The corners of polygons, one a line, and how many each has; None unless they are whole numbers.

        ``counted``: a line begins with the number of its corners, and may go on after them.
        """
        start, room = self.start[rows], self.count[rows]
        sizes = whole(self.values[start]) if counted else room
        start = start + counted
        if sizes is None or not len(start) or sizes.min() < 0 or (sizes + counted > room).any():
            return None
        corners = whole(self.values[spread(start, sizes)])
        return None if corners is None else (corners, sizes)


def whole(values: Float[ndarray, " v"]) -> Int[ndarray, " v"] | None:
    """Numbers as integers; None unless all of them are whole, and small enough to tell neighbours apart."""
    if not (np.abs(values) < 2.0**53).all():
        return None
    integers = values.astype(np.int64)
    return integers if np.array_equal(integers, values) else None


def spread(start: Int[ndarray, " r"], count: Int[ndarray, " r"]) -> Int[ndarray, " v"]:
    """``count[i]`` numbers from ``start[i]`` on, for each i."""
    if len(count) and (count == count[0]).all():
        return (start[:, None] + np.arange(count[0])).ravel()
    return np.arange(count.sum()) + np.repeat(start - (np.cumsum(count) - count), count)


def number(word: str) -> float | None:
    """A number as the formats write it; None for anything else, also where Python would see one (1_0, ²)."""
    return float(word) if _NUMBER.fullmatch(word) else None


def integer(word: str) -> int | None:
    """A whole number, also one that is written as 3.0."""
    value = number(word)
    return int(value) if value is not None and abs(value) < 2.0**53 and value == int(value) else None


def numbers(words: Iterable[str]) -> list[float] | None:
    """The numbers of all words; None where one of them is none."""
    return _all_of(words, number)


def integers(words: Iterable[str]) -> list[int] | None:
    """The whole numbers of all words; None where one of them is none."""
    return _all_of(words, integer)


def _all_of(words: Iterable[str], read: Callable[[str], Value | None]) -> list[Value] | None:
    values = []
    for word in words:
        value = read(word)
        if value is None:
            return None
        values.append(value)
    return values


def number_lines(data: bytes) -> NumberLines | None:
    """The numbers of a text, of which comments have been removed.

    None if any word of it is not a number, or any byte is odd.
    """
    kind = _kinds(data)
    if kind is None:
        return None
    try:
        with own_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # how numpy says that a word is not a number
            values = np.fromstring(data, dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    words = _word_starts(kind)
    if len(words) != len(values):
        return None
    start = np.searchsorted(words, np.append(0, np.flatnonzero(kind == _END)))
    count = np.diff(start, append=len(values))
    return NumberLines(values, start[count > 0], count[count > 0])


def without_comments(data: bytes) -> bytes:
    """The text without what follows a # in its line."""
    return re.sub(rb"#[^\r\n]*", b"", data) if b"#" in data else data


@dataclass(frozen=True)
class WordLines:
    """The lines of a text that hold any word."""

    text: UInt8[ndarray, " b"]
    starts: Int[ndarray, " r"]  # where the first word of each begins
    stops: Int[ndarray, " r"]  # where each ends

    def joined(self, starts: Int[ndarray, " s"], stops: Int[ndarray, " s"]) -> bytes:
        """The pieces of the text from ``starts`` to ``stops``, with the byte that ends the line."""
        edge = np.zeros(len(self.text) + 2, dtype=np.int8)
        edge[starts] += 1
        edge[stops + 1] -= 1
        return self.text[np.cumsum(edge, dtype=np.int8)[: len(self.text)].astype(bool)].tobytes()

    def begin_with(self, keyword: bytes) -> Bool[ndarray, " r"]:
        """Which lines begin with these letters, and then a blank or their end."""
        last = max(len(self.text) - 1, 0)
        found = self.starts + len(keyword) <= self.stops
        for i, letter in enumerate(keyword):
            found &= self.text[np.minimum(self.starts + i, last)] == letter
        after = self.starts + len(keyword)
        return found & ((after == len(self.text)) | (_KIND_OF_NAMES[self.text[np.minimum(after, last)]] != _WORD))

    def after(self, keyword: bytes) -> "KeywordLines":
        """The lines whose first word is the keyword."""
        chosen = self.begin_with(keyword)
        return KeywordLines(self.joined(self.starts[chosen] + len(keyword), self.stops[chosen]), self.starts[chosen])


@dataclass(frozen=True)
class KeywordLines:
    """What follows a keyword in the lines that begin with it."""

    text: bytes
    starts: Int[ndarray, " r"]  # where in the file each of these lines has its keyword


def word_lines(data: bytes) -> WordLines | None:
    """The lines of a text; None if any byte is odd, apart from the letters of other alphabets, or there is none."""
    text, kind = np.frombuffer(data, np.uint8), _kinds(data, letters=True)
    if kind is None:
        return None
    words, ends = _word_starts(kind), np.append(np.flatnonzero(kind == _END), len(text))
    first = np.searchsorted(words, np.append(0, ends[:-1] + 1))
    some = first < len(words)
    starts, stops = words[first[some]], ends[some]
    own = starts < stops  # a line without words has the start of a later one
    return WordLines(text, starts[own], stops[own])


def _kinds(data: bytes, *, letters: bool = False) -> UInt8[ndarray, " b"] | None:
    """``letters``: those of other alphabets are part of words, as in names."""
    kind = (_KIND_OF_NAMES if letters else _KIND)[np.frombuffer(data, np.uint8)]
    return kind if len(kind) and kind.max() != _ODD else None


def _word_starts(kind: UInt8[ndarray, " b"]) -> Int[ndarray, " w"]:
    word = kind == _WORD
    word[1:] &= ~(kind == _WORD)[:-1]
    return np.flatnonzero(word)
