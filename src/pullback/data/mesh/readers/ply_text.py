"""The rows of a PLY file of text: a line each, or words whose lines may end anywhere."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.data.mesh.readers.ply_header import Element, Header
from pullback.data.mesh.readers.ply_table import Table
from pullback.data.mesh.readers.source import Source
from pullback.data.mesh.readers.text import NumberLines, number, number_lines, spread
from pullback.geometry.cleaning import MeshError

# What is no number, as older compilers of Windows print it: common in the qualities and normals of vertices.
_WINDOWS_NAN = re.compile(rb"[-+]?1\.#(?:QNAN|SNAN|IND|INF)[0-9]*")


class _RowError(Exception):
    """A row that cannot be what the header says; ``row`` counts from 0, over all elements."""

    def __init__(self, row: int, what: str):
        super().__init__(what)
        self.row = row


def read_text_tables(source: Source, header: Header) -> tuple[dict[str, Table], tuple[str, ...]]:
    """The elements by name, and what was remarkable.

    Raises MeshError, with the line, for rows that are not as announced.
    """
    elements = [element for element in header.elements if element.properties]  # rows without any property are blank
    rows = sum(element.count for element in elements)
    body = source.data[header.begin :]
    body = _WINDOWS_NAN.sub(b"nan", body) if b".#" in body else body
    lines = number_lines(body)
    notes: tuple[str, ...] = ()
    if lines is None:  # perhaps only because of what comes after the last row
        wanted = b"\n".join(text for _, text in islice(_filled_lines(body, header), rows))
        lines, notes = (
            number_lines(wanted),
            (f"what follows the last {elements[-1].name if elements else 'row'} was ignored",),
        )
        if not wanted:
            lines = NumberLines(np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    if lines is None:
        raise _not_a_number(source, header, body)
    try:
        if len(lines.count) < rows:
            shown = ", ".join(f"{element.count} of {element.name}" for element in elements)
            raise source.error(f"the header announces {shown}, but only {len(lines.count)} lines follow")
        tables = _tables(elements, lines.values, lines.start, lines.count, lambda row: _line_of(body, header, row))
        beyond = len(lines.count) - rows
        return tables, (f"what follows the last {elements[-1].name} was ignored",) if beyond and elements else notes
    except (_RowError, MeshError) as error:
        # as many lines as rows: they are the rows
        by_word = None if len(lines.count) == rows else _tables_by_word(elements, lines.values)
        if by_word is not None:
            return by_word, ()
        if isinstance(error, MeshError):
            raise
        raise source.error(str(error), line=_line_number(body, header, error.row)) from None


def _tables(
    elements: Sequence[Element],
    values: Float[ndarray, " v"],
    start: Int[ndarray, " r"],
    count: Int[ndarray, " r"],
    place: Callable[[int], str],
) -> dict[str, Table]:
    """``start`` and ``count``: where the numbers of each row are among the values. Raises _RowError."""
    tables: dict[str, Table] = {}
    row = 0
    for element in elements:
        rows = slice(row, row + element.count)
        tables.setdefault(element.name, _table(element, values, start[rows], count[rows], row, place))
        row += element.count
    return tables


def _table(
    element: Element,
    values: Float[ndarray, " v"],
    start: Int[ndarray, " r"],
    count: Int[ndarray, " r"],
    row: int,
    place: Callable[[int], str],
) -> Table:
    columns, lists, at, stop = {}, {}, start.copy(), start + count
    for each in element.properties:
        short = np.flatnonzero(at >= stop)
        if len(short):
            raise _RowError(
                row + int(short[0]), f"this {element.name} has {count[short[0]]} numbers, too few for {each.name}"
            )
        first = values[at]
        at += 1
        if each.count_type is None:
            columns[each.name] = first
            continue
        bad = np.flatnonzero(~((first >= 0) & (first == np.floor(first)) & (first <= stop - at)))
        if len(bad):
            raise _RowError(
                row + int(bad[0]),
                f"the list {each.name} of this {element.name} does not have as many numbers as it announces",
            )
        sizes = first.astype(np.int64)
        lists[each.name] = values[spread(at, sizes)], sizes
        at += sizes
    more = np.flatnonzero(at != stop)
    if len(more):
        raise _RowError(
            row + int(more[0]),
            f"this {element.name} has {stop[more[0]] - at[more[0]]} numbers more than the header says",
        )
    return Table(element, columns, lists, lambda i: place(row + i))


def _tables_by_word(elements: Sequence[Element], values: Float[ndarray, " v"]) -> dict[str, Table] | None:
    """The elements where lines end anywhere; None unless they take all numbers, to the last one."""
    at, starts = 0, []
    listed = values.tolist()
    for element in elements:
        if element.count > len(listed) - at:
            return None
        for _ in range(element.count):
            starts.append(at)
            for each in element.properties:
                size = 0 if each.count_type is None else listed[at] if at < len(listed) else -1
                if not 0 <= size <= len(listed) - at or size != int(size):
                    return None
                at += 1 + int(size)
    if at != len(listed):
        return None
    start = np.array(starts, dtype=np.int64)
    return _tables(elements, values, start, np.diff(start, append=at), lambda row: f"row {row + 1} after the header")


def _filled_lines(body: bytes, header: Header) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line that is not blank."""
    text = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return ((i, line) for i, line in enumerate(text.split(b"\n"), start=header.lines + 1) if line.strip())


def _line_number(body: bytes, header: Header, row: int) -> int:
    return next(islice(_filled_lines(body, header), row, None))[0]


def _line_of(body: bytes, header: Header, row: int) -> str:
    return f"line {_line_number(body, header, row)}"


def _not_a_number(source: Source, header: Header, body: bytes) -> MeshError:
    for line, text in _filled_lines(body, header):
        for word in text.split():
            if number(word.decode("latin-1")) is None:
                return source.error(f"{word.decode('latin-1')[:40]!r} is not a number", line=line)
    return source.error("only blank lines follow the header")
