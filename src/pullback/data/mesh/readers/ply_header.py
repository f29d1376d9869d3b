"""The header of a PLY file: which elements follow, with which properties, and how they are written."""

import re
from dataclasses import dataclass

from pullback.data.mesh.readers.source import Source

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("int64", "long", "longlong"), "i8"),
    **dict.fromkeys(("uint64", "ulong", "ulonglong"), "u8"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_END = re.compile(rb"(?:(?<=\n)|(?<=\r))[ \t]*end_header[ \t]*(?P<ending>\r\n|\n|\r|$)")


@dataclass(frozen=True)
class Property:
    """A number of each row of an element, or a list of numbers that begins with their count."""

    name: str
    type: str  # as numpy writes it, without byte order
    count_type: str | None = None  # of the count of a list

    @property
    def least_bytes(self) -> int:
        """Of a number its size, of a list that of its count."""
        return int((self.count_type or self.type)[1:])


@dataclass(frozen=True)
class Element:
    name: str
    count: int
    properties: tuple[Property, ...] = ()

    @property
    def lists(self) -> tuple[Property, ...]:
        return tuple(each for each in self.properties if each.count_type is not None)


@dataclass(frozen=True)
class Header:
    order: str  # of bytes, as numpy writes it; empty: a file of text
    elements: tuple[Element, ...]
    begin: int  # where the first byte after the header is
    lines: int  # of the header


def read_header(source: Source) -> Header:
    """Raises MeshError, with the line, for what cannot be understood: all sizes hang on it."""
    end = _END.search(source.data)
    if not re.match(rb"ply[ \t]*[\r\n]", source.data, re.IGNORECASE) or end is None:
        raise source.error("not a PLY file, or one without an end to its header")
    begin = end.end()
    if end["ending"] == b"\r\n" and re.match(rb"ply[ \t]*\r(?!\n)", source.data, re.IGNORECASE):
        begin -= 1  # lines end with \r alone: the \n belongs to what follows
    lines = re.split(rb"\r\n|\n|\r", source.data[: end.start()])[:-1]
    order, elements = None, []
    for number, line in enumerate(lines[1:], start=2):
        keyword, *words = line.decode("latin-1").split() or ["comment"]
        match keyword.lower():
            case "format":
                order = _order(source, number, words)
            case "element":
                elements.append(_element(source, number, words))
            case "property":
                if not elements:
                    raise source.error("a property that belongs to no element", line=number)
                last = elements[-1]
                elements[-1] = Element(last.name, last.count, (*last.properties, _property(source, number, words)))
            case "comment" | "obj_info":
                pass
            case _:
                shown = line.decode("latin-1")[:40]
                raise source.error(
                    f"the header has {shown!r}, which is no element, property, format or comment", line=number
                )
    if order is None:
        raise source.error(
            "the header does not say whether the format is ascii, binary_little_endian or binary_big_endian"
        )
    return Header(order, tuple(elements), begin, len(lines) + 1)


def _order(source: Source, line: int, words: list[str]) -> str:
    order = _ORDERS.get(words[0].lower()) if words else None
    if order is None:
        raise source.error(f"the format {' '.join(words)[:40]!r} is none of {', '.join(_ORDERS)}", line=line)
    return order


def _element(source: Source, line: int, words: list[str]) -> Element:
    if len(words) < 2 or not re.fullmatch("[0-9]{1,15}", words[1]):
        raise source.error(f"the element {' '.join(words)[:40]!r} has no count", line=line)
    return Element(words[0].lower(), int(words[1]))


def _property(source: Source, line: int, words: list[str]) -> Property:
    is_list = bool(words) and words[0].lower() == "list"
    types = [_TYPES.get(word.lower(), "") for word in words[is_list : 1 + 2 * is_list]]
    if len(words) < 2 + 2 * is_list or "" in types or (is_list and types[0].startswith("f")):
        raise source.error(f"the property {' '.join(words)[:40]!r} is not of a known type", line=line)
    name = words[1 + 2 * is_list].lower()
    return Property(name, types[1], types[0]) if is_list else Property(name, types[0])
