"""What the source wears, carried to the target: colours, textures, labels and other values."""

import numpy as np
from jaxtyping import Float, Int, Num, UInt8
from numpy import ndarray

from pullback.data.mesh.looks.look import Look
from pullback.data.mesh.readers.source import FileMesh
from pullback.geometry.atlas import Atlas
from pullback.stages import stage
from pullback.tasks.mesh.barycentric import SurfacePoints

PALE = (217, 217, 217, 255)  # the grey of what has no partner
# Corners of a triangle of the target that land farther apart than this, in units of √area, are torn apart by the map;
# or than so many times the triangle's own size, where that is more.
_TORN, _TIMES = 0.05, 4.0


def carried_colors(
    look: Look, faces: Int[ndarray, "f 3"], points: SurfacePoints, otherwise: UInt8[ndarray, "n 4"]
) -> UInt8[ndarray, "t 4"]:
    """The colour of the source at each point: of its image, its vertices, its faces or its materials, the first that it
    has; ``otherwise`` these of its vertices. Pale grey where there is no point.
    """
    known, face = points.known, points.face.clip(0)
    by_vertex = look.colors if look.colors is not None or look.has_colors else otherwise
    if look.has_texture:
        colors = _of_textures(look, len(faces), points)
    elif by_vertex is not None:
        colors = np.round(points.interpolate(by_vertex.astype(np.float64)))
    elif look.face_colors is not None:
        colors = look.face_colors[face]
    else:
        colors = _of_materials(look)[_worn(look, len(faces))[face]]
    return np.where(known[:, None], np.nan_to_num(colors), PALE).astype(np.uint8)


def vertex_colors(look: Look, mesh: FileMesh, otherwise: UInt8[ndarray, "n 4"]) -> UInt8[ndarray, "n 4"]:
    """The colour of each vertex of the source itself."""
    half_edge = np.full(len(mesh.verts), -1)
    half_edge[mesh.faces.ravel()] = np.arange(mesh.faces.size)
    face, corner = np.divmod(half_edge, 3)
    corners = np.where(face[:, None] >= 0, mesh.faces[face], -1)
    points = SurfacePoints(face, np.eye(3)[corner], corners, len(mesh.verts))
    return carried_colors(look, mesh.faces, points, otherwise)


def carried_values(look: Look, points: SurfacePoints) -> dict[str, Num[ndarray, " t"]]:
    """The values of the source at each point.

    Whole numbers are labels: that of the nearest corner, -1 where there is no point. Others are linear in the
    triangles, NaN where there is no point.
    """
    found = {}
    for name, values in look.values.items():
        if is_label(values):
            labels = values[points.nearest()]
            if not points.known.all():
                small = np.abs(labels.astype(np.float64)).max(initial=0) < 2**31
                labels = labels.astype(labels.dtype if labels.dtype.kind == "f" else np.int32 if small else np.float64)
                labels[~points.known] = np.nan if labels.dtype.kind == "f" and values.dtype.kind == "f" else -1
            found[name] = labels
        else:
            found[name] = points.interpolate(values.astype(np.float64)[:, None])[:, 0].astype(values.dtype)
    return found


def is_label(values: Num[ndarray, " n"]) -> bool:
    """Whether values are names of things rather than amounts: whole numbers, however they are stored."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return values.dtype.kind in "iub" or bool((finite == np.round(finite)).all())


def carried_surface(
    look: Look,
    points: SurfacePoints,
    place1: tuple[Float[ndarray, "n 3"], Int[ndarray, "f 3"]],
    place2: tuple[Float[ndarray, "t 3"], Int[ndarray, "g 3"]],
) -> Look:
    """Materials and places in the texture for the triangles of the target, each on one side of the source's seams.

    ``place1`` are the source's vertices, in units of √area, and its triangles with corners that are sewn along seams;
    ``place2`` the target's.
    """
    faces2 = place2[1]
    whole = points.known[faces2].all(axis=1)
    face, weights = points.face[faces2[whole]], points.weights[faces2[whole]]
    chosen, uv = face[:, 0].copy(), None
    if look.uv is not None:
        with stage("texture across seams"):
            edges = place2[0][faces2[whole]] - np.roll(place2[0][faces2[whole]], 1, axis=1)
            reach = np.maximum(_TORN, _TIMES * np.linalg.norm(edges, axis=2).max(axis=1))
            laid, chosen = Atlas(*place1, look.uv).lay(face, weights, reach=reach)
            uv = np.full((len(faces2), 3, 2), np.nan)
            uv[whole] = laid
    worn = np.full(len(faces2), -1)
    worn[whole] = _worn(look, len(place1[1]))[chosen]
    return Look(uv=uv, materials=look.materials, material_of=worn)


def _worn(look: Look, f: int) -> Int[ndarray, " f"]:
    return np.full(f, -1) if look.material_of is None else look.material_of


def _of_materials(look: Look) -> UInt8[ndarray, "m 4"]:
    """A colour for each material, pale grey for none at the end."""
    colors = [each.texture.mean if each.texture else each.color for each in look.materials]
    return np.array([*colors, PALE], dtype=np.uint8)


def _of_textures(look: Look, f: int, points: SurfacePoints) -> Float[ndarray, "t 4"]:
    """The colour of the image at each point; where its triangle has none, that of its material."""
    face = points.face.clip(0)
    worn = _worn(look, f)[face]
    colors = _of_materials(look)[worn].astype(np.float64)
    if look.uv is None:
        return colors
    uv = (points.weights[:, :, None] * look.uv[face]).sum(axis=1)
    for number, material in enumerate(look.materials):
        rows = (worn == number) & np.isfinite(uv).all(axis=1)
        if material.texture is not None and rows.any():
            colors[rows] = material.texture.colors_at(uv[rows])
    return colors
