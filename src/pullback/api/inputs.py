"""What callers hold: paths, arrays, the meshes of other libraries, pictures; each as this package has it.

Other libraries are known by the names that their objects have, and never imported. Imports nothing heavy itself.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy import ndarray

from pullback.api.looks import look_of_trimesh
from pullback.data.kinds import looks_like_image
from pullback.errors import UserError

if TYPE_CHECKING:
    from pullback.data.mesh.readers.source import FileMesh
    from pullback.data.mesh.shapes import PreparedShape
    from pullback.types import Image

Given: TypeAlias = "str | FileMesh | PreparedShape | Image | ndarray | Any"  # Any: a picture of Pillow
# What libraries call the vertices and the faces of a mesh: trimesh, meshes of ours, Open3D, torch-geometric.
_PARTS = (("vertices", "faces"), ("verts", "faces"), ("vertices", "triangles"), ("pos", "face"))
_WANTED = (
    "give a path, (verts, faces), a mesh of trimesh, PyVista, Open3D or torch-geometric, or a photograph as a path, "
    "an array of height × width × 3 or a picture of Pillow"
)


class GivenError(UserError, TypeError):
    """An argument that is neither a mesh nor a photograph, or not whole. The message says what to give."""


def read_given(thing: Any, *, name: str) -> Given:
    """A path as text, a mesh as FileMesh or PreparedShape, a photograph as it is. ``name`` is for messages.

    Raises GivenError for anything else.
    """
    if isinstance(thing, str | os.PathLike):
        return os.fspath(thing)
    if type(thing).__name__ in ("PreparedShape", "FileMesh", "Image") and type(thing).__module__.startswith(
        "pullback."
    ):
        return thing
    if isinstance(thing, tuple | list) and len(thing) == 2 and not isinstance(thing[0], str | os.PathLike):
        return _mesh(*thing, name=name)
    if _is_pyvista(thing):
        return _mesh_of_pyvista(thing, name)
    parts = next((names for names in _PARTS if all(_has(thing, name) for name in names)), None)
    if parts is not None:
        verts, faces = (as_numpy(getattr(thing, part)) for part in parts)
        mesh = _mesh(verts, faces.T if parts[1] == "face" else faces, name=name)
        return mesh if not _has(thing, "visual") else replace(mesh, look=look_of_trimesh(thing))
    if _has(thing, "geometry") and _has(thing, "graph"):
        raise GivenError(f"{name} is a scene of several meshes; give one of them, or {name}.to_mesh()")
    if hasattr(thing, "getexif") and hasattr(thing, "convert"):
        return thing
    if hasattr(thing, "__array__") or hasattr(thing, "detach"):
        values = as_numpy(thing)
        if values.ndim == 2 and values.shape[1] == 3:
            raise GivenError(f"{name} holds {len(values)} points, but no faces; give (verts, faces)")
        return values
    raise GivenError(f"{name} is a {type(thing).__name__}, which is neither a mesh nor a photograph; {_WANTED}")


def is_image(given: Given) -> bool:
    """Whether what was given is a photograph."""
    if isinstance(given, str):
        return looks_like_image(given)
    return isinstance(given, ndarray) or hasattr(given, "getexif") or type(given).__name__ == "Image"


def as_numpy(values: Any) -> ndarray:
    """A tensor of any device, an array of any library, or nested lists, in numpy."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)


def typed(options: Mapping[str, Any]) -> list[str]:
    """Options by name as they would be typed: ``KEY=VALUE``."""
    return [f"{key}={_word(value)}" for key, value in options.items()]


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_word, value))}]"
    return str(value.item() if isinstance(value, np.generic) else value)


def landmark_vertices(given: Any, *, n1: int, n2: int) -> tuple[ndarray, ndarray]:
    """Corresponding vertices, counted from 0, from an array (t, 2) or a pair of arrays (t,).

    Raises GivenError for fewer than three, for vertices that do not exist and for those that come twice.
    """
    values = [as_numpy(part) for part in given] if isinstance(given, tuple) and len(given) == 2 else as_numpy(given)
    pair = values if isinstance(values, list) else [values[:, 0], values[:, 1]] if _is_pairs(values) else []
    if len(pair) != 2 or pair[0].shape != pair[1].shape or pair[0].ndim != 1 or len(pair[0]) < 3:
        raise GivenError("landmarks: give three or more, as an array (t, 2) of vertices of source and target, from 0")
    for side, vertices, n in zip(("source", "target"), pair, (n1, n2), strict=True):
        if vertices.dtype.kind not in "iu" or vertices.min() < 0 or vertices.max() >= n:
            raise GivenError(
                f"landmarks: the {side} has the vertices 0..{n - 1}, counted from 0; give whole numbers of these"
            )
        if len(np.unique(vertices)) < len(vertices):
            raise GivenError(f"landmarks: a vertex of the {side} comes twice; keep one of the two pairs")
    return pair[0].astype(np.int64), pair[1].astype(np.int64)


def initial_vertices(given: Any, *, n1: int, n2: int) -> ndarray:
    """For each of ``n2`` vertices one of ``n1``, counted from 0, or -1. Raises GivenError for anything else."""
    values = as_numpy(given)
    if values.shape != (n2,) or values.dtype.kind not in "iu" or not (values >= 0).any():
        raise GivenError(
            f"initial: give a whole number for each of the {n2} vertices of the target, from 0, -1 for none; this is "
            f"an array of {values.dtype} and shape {values.shape}"
        )
    wrong = np.flatnonzero((values < -1) | (values >= n1))
    if len(wrong):
        raise GivenError(
            f"initial[{wrong[0]}] is {values[wrong[0]]}, but the source has the vertices 0..{n1 - 1}; the map must "
            "run from the target to the source"
        )
    return values.astype(np.int64)


def _is_pairs(values: ndarray) -> bool:
    return values.ndim == 2 and values.shape[1] == 2


def _has(thing: Any, name: str) -> bool:
    return getattr(thing, name, None) is not None


def _is_pyvista(thing: Any) -> bool:
    return all(hasattr(thing, name) for name in ("points", "n_points", "n_cells"))


def _mesh_of_pyvista(thing: Any, name: str) -> "FileMesh":
    if not hasattr(thing, "regular_faces"):
        raise GivenError(f"{name} is a {type(thing).__name__}, no surface; give {name}.extract_surface()")
    surface = thing if thing.is_all_triangles else thing.triangulate()
    return _mesh(surface.points, surface.regular_faces, name=name)


def _mesh(verts: Any, faces: Any, *, name: str) -> "FileMesh":
    """Raises GivenError for arrays of other shapes. Whether the mesh makes sense is for ``clean_mesh`` to say."""
    from pullback.data.mesh.readers.source import FileMesh

    verts, faces = as_numpy(verts), as_numpy(faces)
    if verts.ndim != 2 or verts.shape[1] != 3 or verts.dtype.kind not in "iuf":
        raise GivenError(f"{name}: its vertices have the shape {verts.shape}; give n × 3 coordinates")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iuf":
        more = "; cut polygons into triangles first" if faces.ndim == 2 and faces.shape[1] > 3 else ""
        raise GivenError(f"{name}: its faces have the shape {faces.shape}; give f × 3 vertex numbers, from 0{more}")
    if faces.dtype.kind == "f" and not np.array_equal(faces, np.floor(faces)):
        raise GivenError(f"{name}: its faces are no whole numbers; give vertex numbers, from 0")
    numbers = np.empty(faces.shape, np.int64)
    numbers[...] = faces  # also those whose type is of equal size but of another name
    return FileMesh(np.array(verts, dtype=np.float64), numbers)


def stem(given: Given, name: str) -> str:
    """What results call it: a file by its name, all else by ``name``."""
    return Path(given).stem if isinstance(given, str) else getattr(given, "name", name) or name
