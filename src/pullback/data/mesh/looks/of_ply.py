"""The look of PLY files: colours, texture coordinates and any further property of the vertices and faces."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Num, UInt8
from numpy import ndarray

from pullback.data.mesh.looks.images import texture_beside
from pullback.data.mesh.looks.look import Look, Material, as_bytes
from pullback.data.mesh.readers.ply import read_tables
from pullback.data.mesh.readers.ply_table import Table
from pullback.data.mesh.readers.polygons import cuts_of
from pullback.data.mesh.readers.source import FileMesh, Source

_COLORS = (
    ("red", "green", "blue", "alpha"),
    ("r", "g", "b", "a"),
    ("diffuse_red", "diffuse_green", "diffuse_blue", "diffuse_alpha"),
)
_UV = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
_NORMALS = ("nx", "ny", "nz")
_IMAGE = re.compile(rb"^comment[ \t]+TextureFile[ \t]+(.+?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def look_of_ply(source: Source, mesh: FileMesh) -> Look:
    """The look of a mesh that ``read_ply`` has read of this file. Strips have no colours of their own."""
    source, header, tables, _ = read_tables(source)
    vertex, face, notes = tables["vertex"], tables.get("face"), list[str]()
    if face is not None and face.element.count:
        corners, sizes = face.corners(source)
        polygon, corner = cuts_of(mesh.verts, corners, sizes)
    else:
        face, polygon, corner = None, np.empty(0, dtype=np.int64), np.empty((0, 3), dtype=np.int64)
    uv = _uv(vertex, face, mesh.faces[: len(corner)], corner)
    names = [found.decode("utf-8", "replace") for found in _IMAGE.findall(source.data[: header.begin])]
    textures = [texture_beside(source.path, name, notes.append) for name in names] if uv is not None else []
    materials = tuple(Material(f"image{i + 1}", texture=each) for i, each in enumerate(textures) if each is not None)
    return Look(
        colors=_colors(vertex),
        face_colors=None if face is None else _of_faces(_colors(face), polygon, len(mesh.faces)),
        uv=None if uv is None else _padded(uv, len(mesh.faces)),
        materials=materials,
        material_of=_material_of(face, polygon, [each is not None for each in textures], len(mesh.faces))
        if materials
        else None,
        values=_values(vertex),
        notes=tuple(notes),
    )


def _type_of(table: Table, name: str) -> str:
    return next(each.type for each in table.element.properties if each.name == name)


def _colors(table: Table) -> UInt8[ndarray, "r 4"] | None:
    names = next((names for names in _COLORS if all(name in table.columns for name in names[:3])), None)
    if names is None:
        return None
    used = [name for name in names if name in table.columns]
    whole = _type_of(table, used[0])[0] in "iu"
    values = np.stack([table.columns[name].astype(np.float64) for name in used], axis=1)
    wide = whole and _type_of(table, used[0]) in ("u2", "i2") and values.max(initial=0) > 255
    return as_bytes(values / 257 if wide else values, whole=whole)


def _values(vertex: Table) -> dict[str, Num[ndarray, " n"]]:
    """Properties that are no place, colour, normal or texture coordinate, each of the kind that the header says."""
    known = {"x", "y", "z", *_NORMALS}
    known |= {name for names in _COLORS if all(name in vertex.columns for name in names[:3]) for name in names}
    known |= {name for names in _UV if all(name in vertex.columns for name in names) for name in names}
    return {
        name: np.array(values, dtype=_type_of(vertex, name))
        for name, values in vertex.columns.items()
        if name not in known
    }


def _uv(
    vertex: Table, face: Table | None, faces: Int[ndarray, "f 3"], corner: Int[ndarray, "f 3"]
) -> Float[ndarray, "f 3 2"] | None:
    """By corner where the faces have a list of them, else by vertex."""
    if face is not None and "texcoord" in face.lists and {"vertex_indices", "vertex_index"} & set(face.lists):
        values, counts = face.lists["texcoord"]
        name = next(name for name in ("vertex_indices", "vertex_index") if name in face.lists)
        sizes = face.lists[name][1]
        if len(counts) == len(sizes) and (counts == 2 * sizes).all():
            return values.astype(np.float64).reshape(-1, 2)[corner]
    names = next((names for names in _UV if all(name in vertex.columns for name in names)), None)
    if names is None:
        return None
    return np.stack([vertex.columns[name].astype(np.float64) for name in names], axis=1)[faces]


def _of_faces(
    colors: UInt8[ndarray, "p 4"] | None, polygon: Int[ndarray, " t"], f: int
) -> UInt8[ndarray, "f 4"] | None:
    if colors is None:
        return None
    return np.concatenate([colors[polygon], np.full((f - len(polygon), 4), 255, dtype=np.uint8)])


def _padded(uv: Float[ndarray, "t 3 2"], f: int) -> Float[ndarray, "f 3 2"]:
    return np.concatenate([uv, np.full((f - len(uv), 3, 2), np.nan)])


def _material_of(face: Table | None, polygon: Int[ndarray, " t"], there: Sequence[bool], f: int) -> Int[ndarray, " f"]:
    """Of each triangle the image by ``texnumber``, or the first; -1 where that could not be read."""
    number = np.where(there, np.cumsum(there) - 1, -1)  # of the images that could be read
    wanted = np.zeros(len(polygon), dtype=np.int64)
    if face is not None and "texnumber" in face.columns:
        wanted = face.columns["texnumber"].astype(np.int64)[polygon]
    wanted = np.concatenate([wanted, np.zeros(f - len(polygon), dtype=np.int64)])
    known = (wanted >= 0) & (wanted < len(number))
    return np.where(known, number[wanted.clip(0, len(number) - 1)], -1)
