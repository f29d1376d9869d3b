"""The rows of a binary PLY file, in either order of bytes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Num
from numpy import ndarray

from pullback.data.mesh.readers.ply_header import Element, Header, Property
from pullback.data.mesh.readers.ply_table import Table
from pullback.data.mesh.readers.source import Source


def read_binary_tables(source: Source, header: Header) -> tuple[dict[str, Table], tuple[str, ...]]:
    """The elements by name, and what was remarkable.

    Raises MeshError for a file that ends before what its header announces.
    """
    tables: dict[str, Table] = {}
    place = header.begin
    for element in header.elements:
        table, place = _read(source, element, place, header.order)
        tables.setdefault(element.name, table)
    beyond = source.data[place:]
    return tables, (
        f"{len(beyond)} bytes after the last {header.elements[-1].name} were ignored",
    ) if beyond.strip() else ()


def _read(source: Source, element: Element, place: int, order: str) -> tuple[Table, int]:
    least = sum(each.least_bytes for each in element.properties)
    if element.count * least > len(source.data) - place:
        have = (len(source.data) - place) // max(least, 1)
        raise source.error(f"{element.count} of {element.name} announced, but at most {have} follow")
    if not element.count or not element.properties:
        return _no_rows(element), place
    sizes = _first_sizes(source, element, place, order) if element.lists else ()
    return _read_alike(source, element, place, order, sizes) or _read_by_row(source, element, place, order)


def _no_rows(element: Element) -> Table:
    columns = {each.name: np.empty(0) for each in element.properties if each.count_type is None}
    lists = {each.name: (np.empty(0), np.empty(0, dtype=np.int64)) for each in element.lists}
    return Table(element, columns, lists, _place_of(element))


def _place_of(element: Element) -> Callable[[int], str]:
    return lambda row: f"{element.name} {row + 1} of {element.count}"


def _first_sizes(source: Source, element: Element, place: int, order: str) -> tuple[int, ...]:
    """How long the lists of the first row are."""
    sizes = []
    for each in element.properties:
        size = 1 if each.count_type is None else _count(source.data, place, each.count_type, order)
        sizes += [] if each.count_type is None else [size]
        place += int(each.type[1:]) * max(size, 0) + (0 if each.count_type is None else each.least_bytes)
    return tuple(sizes)


def _read_alike(
    source: Source, element: Element, place: int, order: str, sizes: Sequence[int]
) -> tuple[Table, int] | None:
    """An element whose every row has lists as long as the first; None if they differ."""
    room, left = len(source.data) - place, iter(sizes)
    fields: list[Any] = []
    for i, each in enumerate(element.properties):
        if each.count_type is None:
            fields.append((f"{i}", order + each.type))
            continue
        size = next(left)
        if not 0 <= size <= room // int(each.type[1:]):
            return None
        fields += [(f"{i}n", order + each.count_type), (f"{i}", order + each.type, (size,))]
    row = np.dtype(fields)
    if element.count * row.itemsize > room:
        return None
    rows = np.frombuffer(source.data, row, element.count, offset=place)
    columns: dict[str, ndarray] = {}
    lists: dict[str, tuple[ndarray, ndarray]] = {}
    left = iter(sizes)
    for i, each in enumerate(element.properties):
        if each.count_type is None:
            columns.setdefault(each.name, rows[f"{i}"])
            continue
        size = next(left)
        if not (rows[f"{i}n"] == size).all():
            return None
        lists.setdefault(each.name, (rows[f"{i}"].ravel(), np.full(element.count, size, dtype=np.int64)))
    return Table(element, columns, lists, _place_of(element)), place + element.count * row.itemsize


def _read_by_row(source: Source, element: Element, place: int, order: str) -> tuple[Table, int]:
    """An element with lists of any length: where each begins hangs on all before it."""
    data, end = source.data, len(source.data)
    steps = [(each.count_type, int(each.type[1:]), each.least_bytes) for each in element.properties]
    places: list[list[int]] = [[] for _ in steps]
    sizes: list[list[int]] = [[] for _ in steps]
    for row in range(element.count):
        for i, (count_type, item, least) in enumerate(steps):
            places[i].append(place)
            if count_type is None:
                place += item
                continue
            size = data[place] if count_type == "u1" and place < end else _count(data, place, count_type, order)
            sizes[i].append(size)
            place += least + item * size
            if size < 0 or place > end:
                break
        if place > end or (sizes[i] and sizes[i][-1] < 0):
            raise source.error(
                f"{element.name} {row + 1} of {element.count} goes on after the end of the file, or is damaged"
            )
    columns: dict[str, ndarray] = {}
    lists: dict[str, tuple[ndarray, ndarray]] = {}
    for each, at, count in zip(element.properties, places, sizes, strict=True):
        begin = np.array(at, dtype=np.int64)
        if each.count_type is None:
            columns.setdefault(each.name, _gathered(data, begin, np.ones_like(begin), each, order))
        else:
            counts = np.array(count, dtype=np.int64)
            lists.setdefault(each.name, (_gathered(data, begin + each.least_bytes, counts, each, order), counts))
    return Table(element, columns, lists, _place_of(element)), place


def _count(data: bytes, place: int, count_type: str, order: str) -> int:
    """The count of a list; -1 where the file ends before it."""
    piece = data[place : place + int(count_type[1:])]
    if len(piece) < int(count_type[1:]):
        return -1
    return int.from_bytes(piece, "little" if order == "<" else "big", signed=count_type.startswith("i"))


def _gathered(
    data: bytes, begin: Int[ndarray, " r"], count: Int[ndarray, " r"], each: Property, order: str
) -> Num[ndarray, " v"]:
    """``count[i]`` numbers from the byte ``begin[i]`` on, for each i."""
    item = int(each.type[1:])
    ends = np.cumsum(count)
    starts = np.repeat(begin, count) + item * (np.arange(ends[-1]) - np.repeat(ends - count, count))
    raw = np.frombuffer(data, np.uint8)[starts[:, None] + np.arange(item)]
    return raw.view(order + each.type).ravel()
