"""What the meshes of trimesh wear, as this package has it. The library itself is not imported."""

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from pullback.errors import UserError

if TYPE_CHECKING:
    from pullback.data.mesh.looks.look import Look, Material


def look_of_trimesh(mesh: Any) -> "Look":
    """Colours of vertices or faces, or places in a texture with its image; vertex attributes of one number each."""
    from pullback.data.mesh.looks.look import Look, as_bytes

    visual, n, faces = mesh.visual, len(mesh.vertices), np.asarray(mesh.faces)
    attributes = {str(name): np.asarray(array) for name, array in getattr(mesh, "vertex_attributes", {}).items()}
    values = {name: array for name, array in attributes.items() if array.shape == (n,) and array.dtype.kind in "iufb"}
    kind, uv = getattr(visual, "kind", None), getattr(visual, "uv", None)
    if kind == "vertex":
        return Look(colors=as_bytes(np.asarray(visual.vertex_colors), whole=True), values=values)
    if kind == "face":
        return Look(face_colors=as_bytes(np.asarray(visual.face_colors), whole=True), values=values)
    if kind == "texture" and uv is not None and np.shape(uv) == (n, 2):
        material = _material(visual.material)
        places = np.asarray(uv, dtype=np.float64)[faces]
        return Look(uv=places, materials=(material,), material_of=np.zeros(len(faces), dtype=np.int64), values=values)
    return Look(values=values)


def _material(given: Any) -> "Material":
    from pullback.data.image.textures import texture_of
    from pullback.data.mesh.looks.look import WHITE, Material

    image = getattr(given, "baseColorTexture", None) or getattr(given, "image", None)
    color = _color(getattr(given, "main_color", None))
    if image is None:
        return Material("material", color)
    packed = BytesIO()
    image.save(packed, format="png")
    try:
        return Material("material", WHITE, texture_of(packed.getvalue(), name="texture"))
    except UserError:  # of a kind that no surface can wear
        return Material("material", color)


def _color(given: Any) -> tuple[int, int, int, int]:
    values: ndarray = np.asarray(given if given is not None else [255] * 4).ravel()
    if values.shape != (4,):
        return 255, 255, 255, 255
    red, green, blue, alpha = values.astype(np.uint8).tolist()
    return red, green, blue, alpha
