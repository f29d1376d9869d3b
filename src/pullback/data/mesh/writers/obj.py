"""OBJ files with materials and images beside them.

Of our own, because common writers double the vertices along seams of a texture, and then no number of a vertex holds.
"""

from functools import partial
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.data.mesh.looks.look import Look, Material
from pullback.writing import write_atomically, write_text_atomically


def write_obj(path: Path, verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], look: Look) -> list[Path]:
    """The mesh with its materials: also ``NAME.mtl`` and the images, whose paths are returned.

    Triangles without a material wear ``none``, a pale grey.
    """
    materials = [*look.materials, Material("none", (217, 217, 217, 255))]
    names = [f"{material.name.replace(' ', '_') or 'material'}_{i}" for i, material in enumerate(materials)]
    images = {i: f"{path.stem}_{i}{Path(m.texture.name).suffix}" for i, m in enumerate(materials) if m.texture}
    worn = np.full(len(faces), -1) if look.material_of is None else look.material_of
    worn = np.where(worn < 0, len(look.materials), worn)
    lines = [f"mtllib {path.stem}.mtl", *(f"v {x!r} {y!r} {z!r}" for x, y, z in verts.tolist())]
    places, at = _places(look.uv, len(faces))
    lines += [f"vt {u!r} {v!r}" for u, v in places.tolist()]
    order = np.argsort(worn, kind="stable")  # triangles keep their order within a material, and altogether if it is one
    before = -1
    for face, place, material in zip(
        (faces[order] + 1).tolist(), (at[order] + 1).tolist(), worn[order].tolist(), strict=True
    ):
        if material != before:
            lines.append(f"usemtl {names[material]}")
            before = material
        lines.append("f " + " ".join(f"{v}/{t}" if t else f"{v}" for v, t in zip(face, place, strict=True)))
    write_text_atomically(path, "\n".join(lines) + "\n")
    used = sorted(set(worn.tolist()))
    write_text_atomically(
        path.with_suffix(".mtl"), "".join(_described(materials[i], names[i], images.get(i)) for i in used)
    )
    for i in used:
        texture = materials[i].texture
        if texture is not None:
            write_atomically(path.with_name(images[i]), partial(_copy, data=texture.data))
    return [path.with_suffix(".mtl"), *(path.with_name(images[i]) for i in used if i in images)]


def _copy(file: BufferedIOBase, *, data: bytes) -> None:
    file.write(data)


def _places(uv: Float[ndarray, "f 3 2"] | None, f: int) -> tuple[ndarray, ndarray]:
    """Each place of the texture once, and which of them each corner has; -1 for those that have none."""
    if uv is None:
        return np.empty((0, 2)), np.full((f, 3), -1)
    flat = uv.reshape(-1, 2)
    known = np.isfinite(flat).all(axis=1)
    places, inverse = np.unique(flat[known], axis=0, return_inverse=True)
    at = np.full(len(flat), -1)
    at[known] = inverse.ravel()
    return places, at.reshape(-1, 3)


def _described(material: Material, name: str, image: str | None) -> str:
    red, green, blue = (f"{part / 255:.6g}" for part in material.color[:3])
    return f"newmtl {name}\nKd {red} {green} {blue}\nd {material.color[3] / 255:.6g}\n" + (
        f"map_Kd {image}\n\n" if image else "\n"
    )
