"""Binary glTF files, by trimesh: one file with shape, colours, textures and values."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num
from numpy import ndarray

from pullback.data.mesh.looks.look import Look, Material
from pullback.data.mesh.writers.ply import named
from pullback.writing import write_atomically

_PALE = Material("none", (217, 217, 217, 255))


def write_glb(path: Path, verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], look: Look) -> None:
    """The mesh with its look.

    With colours by vertex, vertices keep their order. With materials there is a mesh for each, and a vertex along a
    seam comes once for each side: glTF knows one place in a texture for a vertex.
    """
    import trimesh

    scene = trimesh.Scene()
    if look.materials and look.material_of is not None:
        for number in np.unique(look.material_of).tolist():
            material = look.materials[number] if number >= 0 else _PALE
            rows = look.material_of == number
            uv = np.full((int(rows.sum()), 3, 2), np.nan) if look.uv is None else look.uv[rows]
            scene.add_geometry(_worn(verts, faces[rows], uv, material, look.values), node_name=material.name)
    else:
        scene.add_geometry(
            trimesh.Trimesh(
                verts,
                faces,
                process=False,
                vertex_colors=look.colors,
                vertex_attributes=_attributes(look.values),
            )
        )
    packed = scene.export(file_type="glb", include_normals=False)
    write_atomically(path, lambda file: file.write(packed))


def _worn(verts: ndarray, faces: ndarray, uv: ndarray, material: Material, values: Mapping[str, ndarray]) -> Any:
    """The triangles of one material, each pair of a vertex and a place in the texture once."""
    import PIL.Image
    import trimesh

    corners = np.column_stack([faces.ravel(), np.nan_to_num(uv).reshape(-1, 2)])
    rows, inverse = np.unique(corners, axis=0, return_inverse=True)
    ids = rows[:, 0].astype(np.int64)
    image = None if material.texture is None else PIL.Image.open(BytesIO(material.texture.data))
    surface = trimesh.visual.material.PBRMaterial(
        name=material.name,
        baseColorFactor=np.array(material.color, dtype=np.uint8),
        baseColorTexture=image,
        metallicFactor=0.0,
        roughnessFactor=1.0,
    )
    visual = trimesh.visual.TextureVisuals(uv=rows[:, 1:], material=surface)
    attributes = _attributes({name: array[ids] for name, array in values.items()})
    return trimesh.Trimesh(
        verts[ids], inverse.reshape(-1, 3), process=False, visual=visual, vertex_attributes=attributes
    )


def _attributes(values: Mapping[str, Num[ndarray, " n"]]) -> dict[str, Any]:
    """Names of own attributes begin with an underscore; single precision is what glTF has."""
    return {f"_{name}": np.asarray(array, dtype=np.float32) for name, array in named(values).items()}
