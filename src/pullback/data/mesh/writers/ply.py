"""Binary PLY files: vertices with colours and any number of values.

Of our own, because common writers round coordinates to single precision, and those of a scan in metres of a map grid
then lie on steps.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Num, UInt8
from numpy import ndarray

from pullback.writing import write_atomically

_TYPES = {
    **{"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort"},
    **{"i4": "int", "u4": "uint", "f4": "float", "f8": "double"},
}
_COLORS = ("red", "green", "blue", "alpha")
_RESERVED = ("x", "y", "z", *_COLORS)
_ROUNDING = 1e-6  # single precision is enough where it moves no vertex farther than this share of the mesh's size


def write_ply(
    path: Path,
    verts: Float[ndarray, "n 3"],
    faces: Int[ndarray, "f 3"],
    *,
    colors: UInt8[ndarray, "n 4"] | None = None,
    values: Mapping[str, Num[ndarray, " n"]] | None = None,
    comments: Sequence[str] = (),
) -> None:
    """The mesh with a colour and further values for each vertex, under names that PLY can have."""
    columns = [(axis, verts[:, i].astype(_kind(verts))) for i, axis in enumerate("xyz")]
    if colors is not None:
        columns += [(name, colors[:, i]) for i, name in enumerate(_COLORS)]
    columns += [(name, _stored(array)) for name, array in named(values or {}).items()]
    rows = np.empty(len(verts), dtype=[(name, array.dtype.newbyteorder("<")) for name, array in columns])
    for name, array in columns:
        rows[name] = array
    polygons = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    polygons["count"], polygons["corners"] = 3, faces
    header = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {' '.join(comment.encode('ascii', 'replace').decode().split())}" for comment in comments),
        f"element vertex {len(verts)}",
        *(f"property {_TYPES[array.dtype.str[1:]]} {name}" for name, array in columns),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    write_atomically(path, lambda file: file.writelines(("\n".join(header).encode(), rows.data, polygons.data)))


def named(values: Mapping[str, Num[ndarray, " n"]]) -> dict[str, Num[ndarray, " n"]]:
    """Values under names that a property can have, each its own."""
    found: dict[str, Num[ndarray, " n"]] = {}
    for name, array in values.items():
        plain = re.sub(r"\W", "_", name.encode("ascii", "replace").decode()).lower() or "value"
        while plain in found or plain in _RESERVED:
            plain += "_"
        found[plain] = array
    return found


def _kind(verts: Float[ndarray, "n 3"]) -> str:
    moved = np.abs(verts.astype(np.float32) - verts).max(initial=0)
    return "f4" if moved <= _ROUNDING * np.ptp(verts, axis=0).max(initial=0) else "f8"


def _stored(values: Num[ndarray, " n"]) -> Num[ndarray, " n"]:
    """Values in a type that PLY has."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.str[1:] in _TYPES:
        return values
    if values.dtype.kind in "iu" and np.abs(values).max(initial=0) < 2**31:
        return values.astype(np.int32)
    return values.astype(np.float64 if values.dtype.kind in "iu" else np.float32)
