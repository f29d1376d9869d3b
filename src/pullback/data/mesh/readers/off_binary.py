"""Binary OFF files, as Geomview defines them: big-endian integers and single-precision numbers."""

import re

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from pullback.data.mesh.readers.polygons import mesh_of_polygons
from pullback.data.mesh.readers.source import FileMesh, Source

BINARY = re.compile(rb"\s*(?P<prefix>(?:ST|C|N|4)*)OFF[ \t]+BINARY[ \t]*\r?\n", re.IGNORECASE)
_EXTRAS = {b"ST": 2, b"C": 4, b"N": 3, b"4": 1}


def read_off_binary(source: Source) -> FileMesh:
    """The mesh of a file that begins as ``BINARY`` says. Raises MeshError for one that is shorter than it announces."""
    header = BINARY.match(source.data)
    assert header is not None  # asked of files that begin so
    data = source.data[header.end() :]
    kinds = re.findall(rb"ST|C|N|4", header["prefix"].upper())
    width = 3 + sum(_EXTRAS[kind] for kind in kinds)
    if len(data) < 12:
        raise source.error("it ends before the numbers of vertices and faces")
    n, f, _ = np.frombuffer(data, ">i4", 3).tolist()
    begin = 12 + 4 * n * width
    if n < 0 or f < 0 or len(data) < begin + 8 * f:
        raise source.error(f"{n} vertices and {f} faces announced, but {len(data) - 12} bytes are too few for them")
    rows = np.frombuffer(data, ">f4", n * width, offset=12).reshape(n, width).astype(np.float64)
    with np.errstate(all="ignore"):  # points at infinity are refused later
        verts = rows[:, :3] / rows[:, 3:4] if b"4" in kinds else rows[:, :3].copy()
    corners, sizes = _faces(source, data, begin, f)
    return mesh_of_polygons(source, verts, corners, sizes, place=lambda face: f"face {face + 1} of {f}")


def _faces(source: Source, data: bytes, begin: int, f: int) -> tuple[Int[ndarray, " c"], Int[ndarray, " p"]]:
    """Each face: the number of its corners, these, and the number of its colours with these."""
    words = np.frombuffer(data, ">i4", (len(data) - begin) // 4, offset=begin)
    listed, place, pieces, sizes = words.tolist(), 0, [], []
    for face in range(f):
        size = listed[place] if place < len(listed) else -1
        after = place + 1 + size
        colours = listed[after] if size >= 0 and after < len(listed) else -1
        if not 0 <= colours <= 4 or after + 1 + colours > len(listed):
            raise source.error(f"face {face + 1} of {f} is cut off, or no face")
        pieces += listed[place + 1 : after]
        sizes.append(size)
        place = after + 1 + colours
    return np.array(pieces, dtype=np.int64), np.array(sizes, dtype=np.int64)
