"""glTF 2.0 files, ``.glb`` or ``.gltf`` with its buffers: the surfaces of the scene, each in its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.data.mesh.readers.gltf_document import Document, document_of
from pullback.data.mesh.readers.polygons import mesh_of_polygons
from pullback.data.mesh.readers.source import FileMesh, Source
from pullback.geometry.cleaning import MeshError

_DRACO = "KHR_draco_mesh_compression"
# How meshes may be packed that only their own library unpacks.
_PACKED = {_DRACO: "Draco", "EXT_meshopt_compression": "meshopt", "KHR_meshopt_compression": "meshopt"}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6


def read_gltf(source: Source) -> FileMesh:
    """All triangles of the scene, in the order of its nodes.

    Primitives of a node that share their vertices keep sharing them.
    """
    document = document_of(source)
    try:
        return _scene(source, document)
    except MeshError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise source.error(
            f"its description of the scene is not as glTF has it ({type(error).__name__}: {error})"
        ) from None


@dataclass(frozen=True)
class Part:
    """A primitive of the scene in its place."""

    mesh: int
    number: int  # of the primitive in its mesh
    primitive: Mapping[str, Any]
    begin: int  # the first of its vertices in the scene
    points: Float[ndarray, "n 3"] | None  # None: those of an earlier part, which it shares
    triangles: Int[ndarray, "f 3"]  # vertices of the whole scene


def parts_of(source: Source, document: Document) -> tuple[list[Part], int]:
    """The triangles of the scene in the order of its nodes, and how many sets of points or lines were passed over."""
    packed = [name for key, name in _PACKED.items() if key in document.content.get("extensionsRequired", ())]
    if packed:
        raise source.error(f"its meshes are packed with {packed[0]}", advice="Export it without compression")
    parts, passed_over, count = list[Part](), 0, 0
    for node, matrix in document.placed_nodes():
        shared: dict[int, int] = {}  # accessor of positions → where its vertices begin
        for i, primitive in enumerate(document.content["meshes"][node["mesh"]]["primitives"]):
            if primitive.get("mode", _TRIANGLES) not in (_TRIANGLES, _STRIP, _FAN):
                passed_over += 1
                continue
            accessor, placed = primitive["attributes"]["POSITION"], None
            if (
                _DRACO in primitive.get("extensions", {})
                and "bufferView" not in document.content["accessors"][accessor]
            ):
                raise source.error("its meshes are packed with Draco", advice="Export it without compression")
            if accessor not in shared:
                points = document.accessor(accessor, "VEC3").astype(np.float64)
                shared[accessor] = count
                placed = points if "skin" in node else points @ matrix[:3, :3].T + matrix[:3, 3]
                count += len(points)
            triangles = _triangles(document, primitive, count - shared[accessor])
            turned = "skin" not in node and np.linalg.det(matrix[:3, :3]) < 0
            triangles = (triangles[:, ::-1] if turned else triangles) + shared[accessor]
            parts.append(Part(node["mesh"], i, primitive, shared[accessor], placed, triangles))
    return parts, passed_over


def _scene(source: Source, document: Document) -> FileMesh:
    parts, passed_over = parts_of(source, document)
    if not parts:
        raise source.error("its scene has no triangles", advice="Export the surface again, as .ply or .obj")
    notes = (f"{passed_over} sets of points or lines were ignored",) if passed_over else ()
    verts = np.concatenate([part.points for part in parts if part.points is not None])
    corners = np.concatenate([part.triangles for part in parts]).ravel()
    ends = np.cumsum([len(part.triangles) for part in parts])

    def place(face: int) -> str:
        part = parts[int(np.searchsorted(ends, face, side="right"))]
        return f"a triangle of primitive {part.number} of mesh {part.mesh}"

    return mesh_of_polygons(source, verts, corners, np.full(ends[-1], 3), place=place, notes=notes)


def _triangles(document: Document, primitive: dict, n: int) -> Int[ndarray, "f 3"]:
    """The triangles of a primitive, of whichever of the three kinds."""
    indices = document.accessor(primitive["indices"], "SCALAR")[:, 0] if "indices" in primitive else np.arange(n)
    if not np.issubdtype(indices.dtype, np.integer):
        raise ValueError("indices that are not whole numbers")
    indices, mode = indices.astype(np.int64), primitive.get("mode", _TRIANGLES)
    if mode == _TRIANGLES:
        return indices.reshape(-1, 3)
    first = np.arange(max(len(indices) - 2, 0))
    if mode == _FAN:
        triangles = np.stack(
            [indices[first + 1], indices[first + 2], np.broadcast_to(indices[:1], first.shape)], axis=1
        )
    else:
        triangles = np.stack([indices[first], indices[first + 1 + first % 2], indices[first + 2 - first % 2]], axis=1)
    a, b, c = triangles.T
    return triangles[(a != b) & (b != c) & (c != a)]
