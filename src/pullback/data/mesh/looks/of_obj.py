"""The look of OBJ files: colours behind the coordinates, texture coordinates, and materials of ``.mtl`` files."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pullback.data.mesh.looks.images import file_beside, image_name, texture_beside
from pullback.data.mesh.looks.look import Look, Material, Rgba, as_bytes, to_255
from pullback.data.mesh.readers.obj import whole_lines
from pullback.data.mesh.readers.polygons import cuts_of
from pullback.data.mesh.readers.source import FileMesh, Source
from pullback.data.mesh.readers.text import integer, numbers
from pullback.files import read_lines

_SAYS_MORE = re.compile(rb"^[ \t]*(?:vt|usemtl)[ \t]", re.MULTILINE)
_COLORED = re.compile(rb"^[ \t]*v(?:[ \t]+[-+.0-9eE]+){6,7}[ \t]*\r?$", re.MULTILINE)


@dataclass
class _Lines:
    """What the lines of a file say."""

    colors: list[list[float]] = field(default_factory=list)
    places: list[list[float]] = field(default_factory=list)  # of the texture
    corners: list[int] = field(default_factory=list)  # vertices, from 0
    at: list[int] = field(default_factory=list)  # for each corner its place, from 0; -1: none
    sizes: list[int] = field(default_factory=list)  # of the polygons
    worn: list[int] = field(default_factory=list)  # for each polygon the material
    names: list[str] = field(default_factory=list)  # of the materials
    libraries: list[str] = field(default_factory=list)


def look_of_obj(source: Source, mesh: FileMesh) -> Look:
    """The look of a mesh that ``read_obj`` has read of this file."""
    source = source.as_text()
    if not (_SAYS_MORE.search(source.data) or _COLORED.search(source.data)):
        return Look()
    lines, notes = _read(source), list[str]()
    polygon, corner = cuts_of(mesh.verts, np.array(lines.corners), np.array(lines.sizes))
    if len(corner) != len(mesh.faces):
        return Look(notes=("its colours and texture do not fit its faces, and were left out",))
    materials = _materials(source, lines, notes.append) if lines.names else ()
    uv = None
    if lines.places and max(lines.at) >= 0:
        at = np.array(lines.at)[corner]
        places = np.array(lines.places, dtype=np.float64)
        known = (at >= 0) & (at < len(places))
        uv = np.where(known[..., None], places[at.clip(0, len(places) - 1)], np.nan)
    colors = np.array(lines.colors) if lines.colors and len(lines.colors) == len(mesh.verts) else None
    return Look(
        colors=None if colors is None else as_bytes(colors, whole=to_255(colors)),
        uv=uv,
        materials=materials,
        material_of=np.array(lines.worn)[polygon] if materials else None,
        notes=tuple(dict.fromkeys(notes)),
    )


def _read(source: Source) -> _Lines:
    found, current, n = _Lines(), -1, 0
    for _, text in whole_lines(source):
        keyword, _, rest = text.split("#", 1)[0].strip().partition(" ") if "\t" not in text else _tabbed(text)
        if keyword == "v":
            n += 1
            row = rest.split()
            if len(row) in (6, 7):
                found.colors.append(numbers(row[-3:]) or [1.0, 1.0, 1.0])
        elif keyword == "vt":
            found.places.append(((numbers(rest.split()[:2]) or []) + [0.0, 0.0])[:2])
        elif keyword == "f":
            _add_face(found, rest.split(), n)
            found.worn.append(current)
        elif keyword == "usemtl":
            name = rest.strip()
            if name not in found.names:
                found.names.append(name)
            current = found.names.index(name)
        elif keyword == "mtllib":
            found.libraries.append(rest.strip())
    return found


def _tabbed(text: str) -> tuple[str, str, str]:
    return " ".join(text.split("#", 1)[0].split()).partition(" ")


def _add_face(found: _Lines, words: list[str], n: int) -> None:
    found.sizes.append(len(words))
    for word in words:
        vertex, _, rest = word.partition("/")
        place = rest.split("/", 1)[0]
        number, at = integer(vertex) or 0, (integer(place) or 0) if place else 0
        found.corners.append(number - 1 if number > 0 else n + number)
        found.at.append(at - 1 if at >= 0 else len(found.places) + at)


def _materials(source: Source, lines: _Lines, tell: Callable[[str], None]) -> tuple[Material, ...]:
    """Those that the faces wear, by name; one that no library has is white."""
    known: dict[str, Material] = {}
    for written in lines.libraries:
        # one name, which may have blanks, or several
        names = [written] if (source.path.parent / written).is_file() or " " not in written else written.split()
        for name in names:
            path = file_beside(source.path, name, tell, what="file of materials")
            if path is not None:
                known |= {each.name: each for each in _library(path, set(lines.names), tell)}
    lost = [name for name in lines.names if name not in known]
    if lost and known:
        tell(f"the material {lost[0][:40]!r} is in no .mtl file: it is white")
    return tuple(known.get(name, Material(name)) for name in lines.names)


def _library(path: Path, used: set[str], tell: Callable[[str], None]) -> list[Material]:
    """The materials of a file that are used: colour ``Kd``, image ``map_Kd``."""
    found: dict[str, Material] = {}
    name = ""
    for line in read_lines(path, what="file of materials"):
        keyword, _, rest = " ".join(line.split("#", 1)[0].split()).partition(" ")
        if keyword == "newmtl":
            name = rest
            if name in used:
                found.setdefault(name, Material(name))
        elif name not in found:
            continue
        elif keyword == "Kd":
            found[name] = Material(name, _rgba(rest.split(), found[name].color), found[name].texture)
        elif keyword.lower() == "map_kd":
            texture = texture_beside(path, image_name(rest), tell)
            found[name] = Material(name, found[name].color, texture)
    return list(found.values())


def _rgba(words: list[str], before: Rgba) -> Rgba:
    shares = numbers(words[:3])
    if shares is None or len(shares) < 3:
        return before
    red, green, blue, alpha = as_bytes(np.array([shares]), whole=False)[0].tolist()
    return red, green, blue, alpha
