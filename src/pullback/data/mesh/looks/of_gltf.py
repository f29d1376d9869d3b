"""The look of glTF scenes: colours of the vertices, texture coordinates, images, base colours, own attributes."""

import base64
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float, Num, UInt8
from numpy import ndarray

from pullback.data.image.decoding import ImageError
from pullback.data.image.textures import Texture, texture_of
from pullback.data.mesh.looks.images import texture_beside
from pullback.data.mesh.looks.look import WHITE, Look, Material, Rgba, as_bytes
from pullback.data.mesh.readers.gltf import Part, parts_of
from pullback.data.mesh.readers.gltf_document import Document, document_of
from pullback.data.mesh.readers.source import FileMesh, Source

_ODD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


def look_of_gltf(source: Source, mesh: FileMesh) -> Look:
    """The look of a mesh that ``read_gltf`` has read of this file."""
    document, notes = document_of(source), list[str]()
    parts, _ = parts_of(source, document)
    reader = _Reader(source, document, parts, notes.append)
    uv, materials, material_of = reader.surface()
    if len(uv) != len(mesh.faces):
        return Look(notes=("its colours and texture do not fit its triangles, and were left out",))
    return Look(
        colors=reader.colors(),
        uv=uv if np.isfinite(uv).any() else None,
        materials=materials,
        material_of=material_of if materials else None,
        values=reader.values(),
        notes=tuple(dict.fromkeys(notes)),
    )


class _Reader:
    """Reads what the parts of a scene wear. What is described in another way than glTF has it is told and left out."""

    def __init__(self, source: Source, document: Document, parts: list[Part], tell: Callable[[str], None]):
        self.source, self.document, self.parts, self.tell = source, document, parts, tell

    def attribute(self, part: Part, name: str, kinds: tuple[str, ...]) -> Num[ndarray, "n w"] | None:
        """An attribute of the vertices of a part; None where it has none of these kinds."""
        index = part.primitive["attributes"].get(name)
        if index is None:
            return None
        try:
            kind = self.document.content["accessors"][index]["type"]
            return self.document.accessor(index, kind) if kind in kinds else None
        except _ODD as error:
            self.tell(f"its {name} is not as glTF has it, and was left out ({error})")
            return None

    def colors(self) -> UInt8[ndarray, "n 4"] | None:
        """Colours of all vertices; None unless a part has some."""
        found, any_known = [], False
        for part in self.parts:
            if part.points is None:
                continue
            values = self.attribute(part, "COLOR_0", ("VEC3", "VEC4"))
            fits = values is not None and len(values) == len(part.points)
            any_known |= fits
            white = np.full((len(part.points), 4), 255, dtype=np.uint8)
            whole = fits and values is not None and values.dtype.kind in "iu"
            found.append(as_bytes(values, whole=whole) if fits and values is not None else white)
        return np.concatenate(found) if any_known else None

    def values(self) -> dict[str, Num[ndarray, " n"]]:
        """Attributes of one number a vertex that all parts have, such as ``_LABEL``, by name in small letters."""
        parts = [part for part in self.parts if part.points is not None]
        names = set.intersection(*({name for name in part.primitive["attributes"]} for part in parts))
        found = {}
        for name in sorted(name for name in names if name.startswith("_")):
            values = [self.attribute(part, name, ("SCALAR",)) for part in parts]
            counts = [0 if part.points is None else len(part.points) for part in parts]
            if [0 if each is None else len(each) for each in values] == counts:
                found[name.lstrip("_").lower()] = np.concatenate([v[:, 0] for v in values if v is not None])
        return found

    def surface(self) -> tuple[Float[ndarray, "f 3 2"], tuple[Material, ...], ndarray]:
        """Places of all corners in their textures, the materials, and that of each triangle."""
        numbers: dict[int, int] = {}  # of the file → of the materials that are worn
        places, worn = [], []
        for part in self.parts:
            uv = self.attribute(part, "TEXCOORD_0", ("VEC2",))
            if uv is None or int(part.triangles.max(initial=0)) - part.begin >= len(uv):
                places.append(np.full((len(part.triangles), 3, 2), np.nan))
            else:
                above = np.asarray(uv, dtype=np.float64)[part.triangles - part.begin]
                places.append(np.stack([above[..., 0], 1 - above[..., 1]], axis=-1))
            material = part.primitive.get("material")
            number = -1 if material is None else numbers.setdefault(material, len(numbers))
            worn.append(np.full(len(part.triangles), number))
        materials = tuple(self._material(index) for index in numbers)
        return np.concatenate(places), materials, np.concatenate(worn)

    def _material(self, index: Any) -> Material:
        try:
            described = self.document.content["materials"][index]
            surface = described.get("pbrMetallicRoughness", {})
            name = str(described.get("name", f"material{index}"))
            texture = self._texture(surface["baseColorTexture"]) if "baseColorTexture" in surface else None
            return Material(name, _rgba(surface.get("baseColorFactor")), texture)
        except _ODD as error:
            self.tell(f"its material {index} is not as glTF has it, and was left out ({error})")
            return Material(f"material{index}")

    def _texture(self, used: Mapping[str, Any]) -> Texture | None:
        if used.get("extensions"):
            self.tell("its texture is moved or scaled by an extension of glTF, which was left out of account")
        image = self.document.content["images"][self.document.content["textures"][used["index"]]["source"]]
        uri, name = image.get("uri"), f"image{used['index'] + 1}"
        if isinstance(uri, str) and not uri.startswith("data:"):
            return texture_beside(self.source.path, unquote(uri), self.tell)
        try:
            packed = self.document.view(image["bufferView"]) if uri is None else base64.b64decode(uri.partition(",")[2])
            return texture_of(packed, name=name)
        except ImageError as error:
            self.tell(f"an image in it was left out: {str(error).rsplit('/', 1)[-1]}")
            return None


def _rgba(factor: Any) -> Rgba:
    if factor is None:
        return WHITE
    red, green, blue, alpha = as_bytes(np.array([factor], dtype=np.float64), whole=False)[0].tolist()
    return red, green, blue, alpha
