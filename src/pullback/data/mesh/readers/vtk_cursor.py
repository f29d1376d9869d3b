"""Walks through a legacy VTK file: lines of words between blocks of numbers, as text or binary."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Num
from numpy import ndarray

from pullback.data.mesh.readers.source import Source
from pullback.data.mesh.readers.text import number_lines, whole

# Big-endian, as all binary files of this format are. 64-bit where the writer's machine decides.
_TYPES = {
    **{
        "char": ">i1",
        "unsigned_char": ">u1",
        "short": ">i2",
        "unsigned_short": ">u2",
        "int": ">i4",
        "unsigned_int": ">u4",
    },
    **{"long": ">i8", "unsigned_long": ">u8", "vtktypeint64": ">i8", "vtktypeint32": ">i4", "vtkidtype": ">i4"},
    **{"float": ">f4", "double": ">f8"},
}
_BEGINNING = re.compile(
    rb"\s*# vtk DataFile Version\s+([0-9]+)(?:\.[0-9]+)?[^\r\n]*(?:\r\n|\n|\r)[^\r\n]*(?:\r\n|\n|\r)", re.IGNORECASE
)
_LINE = re.compile(rb"\s*([^\r\n]*)(\r\n|\n|\r|$)")


@dataclass
class Cursor:
    """A place in the file, which every reading moves on."""

    source: Source
    version: int
    binary: bool
    place: int
    starts: Int[ndarray, " w"]  # where words begin, in a file of text

    @classmethod
    def of(cls, source: Source) -> "Cursor":
        """Behind the first three lines. Raises MeshError for a file that is not VTK."""
        if source.data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            source = source.as_text()
        beginning = _BEGINNING.match(source.data)
        if beginning is None:
            raise source.error(
                "not a legacy VTK file: the first line is not `# vtk DataFile Version`",
                advice="Export it as .vtk or .ply",
            )
        cursor = cls(source, int(beginning[1]), False, beginning.end(), np.empty(0, dtype=np.int64))
        words = cursor.line()
        if len(words) != 1 or words[0].upper() not in ("ASCII", "BINARY"):
            raise source.error(f"{' '.join(words)[:40]!r} stands where ASCII or BINARY should", line=3)
        cursor.binary = words[0].upper() == "BINARY"
        if not cursor.binary:
            blank = np.frombuffer(source.data, np.uint8) <= 32
            cursor.starts = np.flatnonzero(~blank & np.append(True, blank[:-1]))
        return cursor

    def line(self) -> list[str]:
        """The words of the next line that has any; none at the end of the file."""
        found = _LINE.match(self.source.data, self.place)
        assert found is not None  # it matches nothing, too
        self.place = found.end()
        return found[1].decode("latin-1").split()

    def line_number(self) -> int:
        """Of the last line that was read."""
        return self.line_of(self.place)

    def count(self, words: Sequence[str], i: int) -> int:
        """Word ``i`` of a line as a count. Raises MeshError."""
        if len(words) <= i or not re.fullmatch("[0-9]{1,12}", words[i]):
            raise self.source.error(
                f"{' '.join(words)[:40]!r} does not say how many numbers follow", line=self.line_number()
            )
        return int(words[i])

    def numbers(self, count: int, kind: str) -> Num[ndarray, " {count}"]:
        """The next numbers. Raises MeshError where there are fewer, or anything else among them."""
        item = _TYPES.get(kind.lower())
        if item is None:
            raise self.source.error(f"{kind[:40]!r} is not a known type of numbers", line=self.line_number())
        if self.binary:
            size = np.dtype(item).itemsize * count
            if len(self.source.data) - self.place < size:
                raise self.source.error(
                    f"{size} bytes announced after line {self.line_number()}, but the file ends before"
                )
            self.place += size
            return np.frombuffer(self.source.data, item, count, self.place - size)
        first = int(np.searchsorted(self.starts, self.place))
        if len(self.starts) - first < count:
            what = f"{count} numbers announced, {len(self.starts) - first} words follow"
            raise self.source.error(what, line=self.line_number())
        end = len(self.source.data) if first + count == len(self.starts) else int(self.starts[first + count])
        begin, self.place = self.place, end
        if not count:
            return np.empty(0)
        lines = number_lines(self.source.data[begin:end])
        if lines is None or len(lines.values) != count:
            raise self.source.error(f"not {count} numbers after it", line=self.line_of(begin))
        return lines.values

    def integers(self, count: int, kind: str) -> Int[ndarray, " {count}"]:
        """As ``numbers``, for whole ones."""
        begin = self.place
        integers = whole(self.numbers(count, kind).astype(np.float64))
        if integers is None:
            raise self.source.error("a number that is not whole is among those after it", line=self.line_of(begin))
        return integers

    def line_of(self, place: int) -> int:
        """The number of the line that ends at a place."""
        before = self.source.data[: max(place - 1, 0)]
        return 1 + before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")

    def skip_to_blank_line(self) -> None:
        blank = re.compile(rb"(\r\n|\n|\r)[ \t]*(\r\n|\n|\r|$)").search(self.source.data, self.place - 1)
        self.place = blank.end() if blank else len(self.source.data)
