"""STL files, of text or binary.

Their triangles share no vertices: those at the same place are merged, in order of appearance.
"""

import re

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pullback.data.mesh.readers.source import FileMesh, Source
from pullback.data.mesh.readers.text import WordLines, number, number_lines, word_lines
from pullback.geometry.connectivity import group_rows

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_HEAD = 84  # bytes of title and count before the triangles of a binary file
_BLANK = b" \t\r\n\0\x1a"
# What writers announce who do not know yet how many triangles will come.
_UNKNOWN = (0, 2**32 - 1)
_FACET_LINES = (b"facet normal", b"outer loop", b"vertex", b"vertex", b"vertex", b"endloop", b"endfacet")
_FACET = re.compile(rb"^[ \t]*facet\b", re.IGNORECASE | re.MULTILINE)


def read_stl(source: Source) -> FileMesh:
    """The mesh of an STL file. Many binary ones begin with the word solid, as those of text do: their size tells."""
    announced = int.from_bytes(source.data[80:_HEAD], "little")
    text = None if len(source.data) == _HEAD + 50 * announced else _as_text(source)
    corners, notes = _binary_corners(source, announced) if text is None else (_text_corners(text), ())
    first, place = group_rows(corners)
    rank = np.argsort(np.argsort(first))
    return FileMesh(corners[np.sort(first)], rank[place].reshape(-1, 3), notes)


def _as_text(source: Source) -> Source | None:
    """The file as text, from its first line of STL on; None for one that is binary."""
    if (
        b"\0" in source.data[:2048].rstrip(_BLANK)
        and not source.data.startswith((b"\xff\xfe", b"\xfe\xff"))
        and source.data[:1] != b"s\0"
    ):
        return None
    text = source.as_text()
    data = text.data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(_BLANK)
    return Source(source.path, data) if re.match(rb"\s*solid", data, re.IGNORECASE) or _FACET.search(data) else None


def _binary_corners(source: Source, announced: int) -> tuple[Float[ndarray, "n 3"], tuple[str, ...]]:
    size = len(source.data)
    present, left = divmod(max(size - _HEAD, 0), 50)
    notes: tuple[str, ...] = ()
    if size < _HEAD or (announced > present and announced not in _UNKNOWN) or (announced in _UNKNOWN and not present):
        raise source.error(
            f"{size} bytes make no STL file, neither of text nor binary with "
            f"{announced} triangles ({present} have room)"
        )
    triangles = np.frombuffer(source.data, _TRIANGLE, present, offset=_HEAD)["corners"]
    count = announced if announced not in _UNKNOWN and (left or not _plausible(triangles, announced)) else present
    beyond = source.data[_HEAD + 50 * count :]
    if count != announced and beyond.strip(_BLANK):
        raise source.error(
            f"{present} triangles and {left} bytes of another one, where {announced} triangles are announced"
        )
    if count != announced:
        notes = (f"the file announces {announced} triangles and has {count}: all were read",)
    elif beyond.strip(_BLANK):
        notes = (f"{len(beyond)} bytes after the last triangle were ignored",)
    return triangles[:count].reshape(-1, 3).astype(np.float64), notes


def _plausible(triangles: Float[ndarray, "t 3 3"], announced: int) -> bool:
    """Whether what comes after the announced triangles seems to be more of them: numbers of the same size."""
    known, more = np.abs(triangles[:announced].astype(np.float64)), np.abs(triangles[announced:].astype(np.float64))
    return bool(
        np.isfinite(more).all() and more.max(initial=0) <= 100 * known.max(initial=0) and more.max(initial=0) > 0
    )


def _text_corners(source: Source) -> Float[ndarray, "n 3"]:
    corners = corners_at_once(source)
    return corners_by_word(source) if corners is None else corners


def corners_at_once(source: Source) -> Float[ndarray, "n 3"] | None:
    """The corners of an orderly file, whose every facet takes seven lines; None for any other."""
    lines = word_lines(source.data.lower())
    if lines is None:
        return None
    text = lines.text
    kinds = text[lines.starts]
    titles = kinds == ord("s")
    inside = ~titles & ~lines.begin_with(b"endsolid")
    if titles.sum() * 2 != len(kinds) - inside.sum() or not titles.any() or not titles[0] or inside[-1]:
        return None
    facets = WordLines(text, lines.starts[inside], lines.stops[inside])
    starts, stops = facets.starts, facets.stops
    if (
        not len(starts)
        or len(starts) % 7
        or not all(facets.begin_with(word)[i::7].all() for i, word in enumerate(_FACET_LINES))
    ):
        return None
    letters = np.cumsum(np.append(text > ord(" "), False), dtype=np.int32)  # up to each place
    alone = [(letters[stops[i::7] - 1] == letters[starts[i::7] + len(_FACET_LINES[i]) - 1]).all() for i in (1, 5, 6)]
    if not all(alone):
        return None
    chosen = np.flatnonzero((np.arange(len(starts)) % 7 >= 2) & (np.arange(len(starts)) % 7 <= 4))
    numbers = number_lines(lines.joined(starts[chosen] + len("vertex"), stops[chosen]))
    if numbers is None or len(numbers.count) != len(chosen) or (numbers.count != 3).any():
        return None
    return numbers.values.reshape(-1, 3)


def corners_by_word(source: Source) -> Float[ndarray, "n 3"]:
    """As ``corners_at_once`` for any file of text: slower, and with a reason where it refuses."""
    corners: list[list[float]] = []
    open_solids, facets, line, begun = 0, 0, 1, False
    words: list[tuple[int, str]] = []
    for line, text in source.lines():
        first, *rest = text.split() or [""]
        if first.lower() == "solid":
            open_solids, begun = open_solids + 1, True
            inline = next(
                (i for i in range(len(rest) - 1) if [word.lower() for word in rest[i : i + 2]] == ["facet", "normal"]),
                len(rest),
            )
            words += [(line, word) for word in rest[inline:]]
        elif begun or first.lower() == "facet":
            begun = True
            words += [(line, word) for word in ([] if first.startswith(("#", ";", "//")) else text.split())]
    place, last = 0, line
    while place < len(words):
        line, word = words[place]
        if word.lower() == "facet":
            facets += 1
            place = _facet(source, words, place, corners, facets)
        elif word.lower() in ("endsolid", "end"):
            open_solids -= 1
            place = _after_name(words, place)
        elif not facets:
            place = _next_facet(words, place)  # the name, in a line of its own
        else:
            raise source.error(f"{word[:40]!r} stands where a facet should begin", line=line)
    if open_solids > 0 or not facets:
        raise source.error(f"{facets} triangles begin, and the file ends without endsolid", line=last)
    return np.array(corners, dtype=np.float64).reshape(-1, 3)


def _after_name(words: list[tuple[int, str]], place: int) -> int:
    """Where the next facet or end is, after an end: the rest of its line is a name, or a whole facet."""
    line = words[place][0]
    stop = next((i for i in range(place, len(words)) if words[i][0] != line), len(words))
    return _next_facet(words, place + 1 if any(word.lower() == "outer" for _, word in words[place:stop]) else stop)


def _next_facet(words: list[tuple[int, str]], place: int) -> int:
    return next(
        (i for i in range(place, len(words)) if words[i][1].lower() in ("facet", "endsolid", "end")), len(words)
    )


def _facet(source: Source, words: list[tuple[int, str]], place: int, corners: list[list[float]], facet: int) -> int:
    """Adds the three corners of a facet, and says where the next word is."""
    begun = words[place][0]
    while place < len(words) and words[place][1].lower() != "outer":  # a normal, which may be anything
        place += 1
    shape = ["outer", "loop", *["vertex", None, None, None] * 3, "endloop", "endfacet"]
    found = words[place : place + len(shape)]
    values: list[float] = []
    for (line, word), wanted in zip(found, shape, strict=False):
        value = number(word) if wanted is None else None
        if wanted is None and value is None:
            raise source.error(f"{word[:40]!r} is no coordinate (facet {facet})", line=line)
        if wanted is not None and word.lower() != wanted:
            raise source.error(f"{word[:40]!r} stands where {wanted} should (facet {facet})", line=line)
        values += [] if value is None else [value]
    if len(found) < len(shape):
        raise source.error(f"facet {facet} begins here and does not end", line=begun)
    corners += [values[0:3], values[3:6], values[6:9]]
    return place + len(shape)
