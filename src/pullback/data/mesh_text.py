"""Millions of lines of numbers at once, for the text formats of meshes. What is out of the ordinary is left to the readers by line."""

import re
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

# Of each byte what it is to a reader: part of a word, blank, or the end of a line. Everything else (other line ends, other alphabets)
# is odd: such text is read line by line.
_WORD, _BLANK, _END, _ODD = range(4)
_KIND = np.full(256, _ODD, dtype=np.uint8)
_KIND[33:127] = _WORD
_KIND[[ord(" "), ord("\t")]] = _BLANK
_KIND[[ord("\n"), ord("\r")]] = _END


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

    def fans(self, rows: slice, *, counted: bool) -> Int[ndarray, "f 3"] | None:
        """Polygons as triangles around their first corner, in the order of the lines; None unless each line lists a polygon.

        ``counted``: a line begins with the number of its corners, and may go on after them.
        """
        start, room = self.start[rows], self.count[rows]
        size = self.values[start].astype(np.int64) if counted else room
        start = start + counted
        if not len(start) or size.min() < 3 or (size + counted > room).any() or (counted and (size != self.values[start - 1]).any()):
            return None
        line = np.repeat(np.arange(len(size)), size - 2)
        step = np.arange(len(line)) - np.repeat(np.cumsum(size - 2) - (size - 2), size - 2)
        corners = self.values[np.stack([start[line], start[line] + step + 1, start[line] + step + 2], axis=1)]
        faces = corners.astype(np.int64)
        return faces if np.array_equal(faces, corners) else None


def number_lines(data: bytes) -> NumberLines | None:
    """The numbers of a text, of which comments have been removed; None if any word of it is not a number, or any byte is odd."""
    kind = _kinds(data)
    if kind is None:
        return None
    try:
        with warnings.catch_warnings():
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


def lines_after(data: bytes, keyword: bytes) -> tuple[bytes, int] | None:
    """What follows a keyword in the lines that begin with it, and the number of these lines; None if any byte is odd."""
    text, kind = np.frombuffer(data, np.uint8), _kinds(data)
    if kind is None:
        return None
    words, ends = _word_starts(kind), np.append(np.flatnonzero(kind == _END), len(text))
    first = np.searchsorted(words, np.append(0, ends[:-1] + 1))
    some = first < len(words)
    starts, ends = words[first[some]], ends[some]
    chosen = starts + len(keyword) <= ends  # a line without words has the start of a later one
    for i, letter in enumerate(keyword):
        chosen &= text[np.minimum(starts + i, len(text) - 1)] == letter
    after = starts + len(keyword)
    chosen &= (after == len(text)) | (kind[np.minimum(after, len(text) - 1)] != _WORD)
    return _joined(text, after[chosen], ends[chosen]), int(chosen.sum())


def _kinds(data: bytes) -> UInt8[ndarray, " b"] | None:
    kind = _KIND[np.frombuffer(data, np.uint8)]
    return kind if len(kind) and kind.max() != _ODD else None


def _word_starts(kind: UInt8[ndarray, " b"]) -> Int[ndarray, " w"]:
    word = kind == _WORD
    word[1:] &= ~(kind == _WORD)[:-1]
    return np.flatnonzero(word)


def _joined(text: UInt8[ndarray, " b"], starts: Int[ndarray, " r"], stops: Int[ndarray, " r"]) -> bytes:
    """The pieces of a text from ``starts`` to ``stops``, with the byte that ends the line."""
    edge = np.zeros(len(text) + 2, dtype=np.int8)
    edge[starts] += 1
    edge[stops + 1] -= 1
    return text[np.cumsum(edge, dtype=np.int8)[: len(text)].astype(bool)].tobytes()
