"""The container of a glTF scene: its JSON, its buffers, the arrays in them and the tree of its nodes."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float, Num
from numpy import ndarray

from pullback.data.mesh.readers.source import Source
from pullback.files import MissingFileError, read_bytes
from pullback.geometry.cleaning import MeshError

_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_MOST_ZEROS = 10_000_000  # elements of an array that has no bytes in the file


@dataclass(frozen=True)
class Document:
    """A glTF scene."""

    source: Source
    content: Mapping[str, Any]  # the JSON
    chunk: bytes | None  # the binary part of a .glb file

    def buffer(self, index: int) -> bytes:
        """Raises MeshError for one that is not there, or shorter than it should be."""
        described = self.content["buffers"][index]
        uri, size = described.get("uri"), described["byteLength"]
        if uri is None:
            data = self.chunk if index == 0 else None
        elif uri.startswith("data:"):
            data = base64.b64decode(uri.partition(",")[2])
        else:
            data = self._beside(uri)
        if data is None or len(data) < size:
            found = 0 if data is None else len(data)
            raise self.source.error(f"buffer {index} should have {size} bytes but has {found}")
        return data[:size]

    def _beside(self, uri: str) -> bytes:
        path = self.source.path.parent / unquote(uri)
        if ":" in uri or Path(unquote(uri)).is_absolute():
            raise self.source.error(
                f"its data lies elsewhere, at {uri[:60]!r}", advice="Export it as .glb, which is one file"
            )
        try:
            return read_bytes(path, what="buffer")
        except (MissingFileError, OSError):
            what = f"its data lies in {path}, which is not there or cannot be read"
            raise self.source.error(what, advice="Copy that file too, or export as .glb, which is one file") from None

    def accessor(self, index: int, kind: str) -> Num[ndarray, "n w"]:
        """An array: ``kind`` is SCALAR, VEC2, VEC3 or VEC4. Whole numbers that stand for parts of 1 are divided out."""
        described = self.content["accessors"][_natural(index)]
        if described["type"] != kind:
            raise ValueError(f"accessor {index} holds {described['type']} instead of {kind}")
        values = self._values(described, described["componentType"], _natural(described["count"]), _WIDTHS[kind])
        sparse = described.get("sparse")
        if sparse is not None:
            values = values.copy()
            count = _natural(sparse["count"])
            rows = self._values(sparse["indices"], sparse["indices"]["componentType"], count, 1)[:, 0]
            values[rows] = self._values(sparse["values"], described["componentType"], count, _WIDTHS[kind])
        if not described.get("normalized") or values.dtype.kind == "f":
            return values
        return np.maximum(values / np.iinfo(values.dtype).max, -1.0)

    def view(self, index: int) -> bytes:
        """A piece of a buffer, as of an image."""
        described = self.content["bufferViews"][_natural(index)]
        begin = _natural(described.get("byteOffset", 0))
        return self.buffer(_natural(described["buffer"]))[begin : begin + _natural(described["byteLength"])]

    def _values(self, described: Mapping[str, Any], component: int, count: int, width: int) -> Num[ndarray, "n w"]:
        item = np.dtype(_TYPES[component])
        if "bufferView" not in described:
            if count > _MOST_ZEROS:
                raise ValueError(f"{count} zeros")
            return np.zeros((count, width), item)
        view = self.content["bufferViews"][_natural(described["bufferView"])]
        if "EXT_meshopt_compression" in view.get("extensions", {}) and "buffer" not in view:
            raise self.source.error("its meshes are packed with meshopt", advice="Export it without compression")
        begin = _natural(view.get("byteOffset", 0))
        data = self.buffer(_natural(view["buffer"]))[begin : begin + _natural(view["byteLength"])]
        begin, stride = (
            _natural(described.get("byteOffset", 0)),
            _natural(view.get("byteStride", 0)) or item.itemsize * width,
        )
        needed = begin + stride * (count - 1) + item.itemsize * width if count else 0
        if stride < item.itemsize * width or needed > len(data):
            raise ValueError(f"{count} elements need {needed} bytes, but their part of the buffer has {len(data)}")
        return (
            np.ndarray((count, width), item, data, begin, (stride, item.itemsize))
            if count
            else np.zeros((0, width), item)
        )

    def placed_nodes(self) -> Iterator[tuple[Mapping[str, Any], Float[ndarray, "4 4"]]]:
        """The nodes of the scene that have a mesh, and where each is placed.

        Raises MeshError for a node in two places.
        """
        nodes = self.content.get("nodes", [])
        if not nodes:
            yield from (({"mesh": i}, np.eye(4)) for i in range(len(self.content.get("meshes", ()))))
            return
        children = {child for node in nodes for child in node.get("children", ())}
        scenes = self.content.get("scenes")
        roots = (
            scenes[self.content.get("scene", 0)].get("nodes", [])
            if scenes
            else [i for i in range(len(nodes)) if i not in children]
        )
        todo, seen = [(root, np.eye(4)) for root in reversed(roots)], set()
        while todo:
            index, parent = todo.pop()
            if _natural(index) in seen:
                raise self.source.error(f"node {index} hangs in two places of the tree")
            seen.add(index)
            matrix = parent @ _matrix(nodes[index])
            if "mesh" in nodes[index]:
                yield nodes[index], matrix
            todo += [(child, matrix) for child in reversed(nodes[index].get("children", ()))]


def _matrix(node: dict) -> Float[ndarray, "4 4"]:
    """Where a node is placed in its parent."""
    matrix = np.eye(4)
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), dtype=np.float64)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), dtype=np.float64).reshape(1, 3)
    matrix[:3, 3] = np.array(node.get("translation", (0, 0, 0)), dtype=np.float64).reshape(3)
    return matrix


def document_of(source: Source) -> Document:
    """Raises MeshError for a file without the parts of a .glb, or without JSON."""
    text, chunk = (source.data, None) if not source.data.startswith(b"glTF") else _chunks(source)
    try:
        content = json.loads(text if chunk is not None else source.as_text().data)
    except json.JSONDecodeError as error:
        raise source.error(f"not a glTF file, or damaged: {error.msg}", line=error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise source.error(f"not a glTF file, or damaged ({error})") from None
    version = (
        content.get("asset", {}).get("version")
        if isinstance(content, dict) and isinstance(content.get("asset"), dict)
        else None
    )
    if not isinstance(version, str) or not version.startswith("2"):
        raise source.error(
            f"glTF files of version 2 are read, not of version {version}", advice="Export it again, as .glb or .ply"
        )
    return Document(source, content, chunk)


def _chunks(source: Source) -> tuple[bytes, bytes]:
    """The JSON and the binary part of a .glb file."""
    data, place = source.data, 12
    parts: dict[bytes, bytes] = {}
    version, length = int.from_bytes(data[4:8], "little"), int.from_bytes(data[8:12], "little")
    if version != 2:
        raise source.error(
            f"glTF files of version 2 are read, not of version {version}", advice="Export it again, as .glb or .ply"
        )
    if len(data) < length:
        raise source.error(f"{length} bytes announced, {len(data)} found")
    while place + 8 <= length:
        size, kind = int.from_bytes(data[place : place + 4], "little"), data[place + 4 : place + 8]
        if place + 8 + size > len(data):
            raise source.error(f"the part {kind!r} at byte {place} goes on after the end of the file")
        parts.setdefault(kind, data[place + 8 : place + 8 + size])
        place += 8 + size
    if b"JSON" not in parts:
        raise source.error("no part of the file is JSON")
    return parts[b"JSON"], parts.get(b"BIN\0", b"")


def buffer_files(path: Path, data: bytes) -> list[Path]:
    """The files, as far as they exist, that a ``.gltf`` file takes its data from."""
    try:
        source = Source(path, data)
        uris = [buffer.get("uri", "data:") for buffer in document_of(source).content.get("buffers", ())]
        paths = [path.parent / unquote(uri) for uri in uris if not uri.startswith("data:")]
        return [each for each in paths if each.is_file()]
    except (MeshError, LookupError, TypeError, ValueError, AttributeError, OSError):
        return []  # reading it says what is wrong


def _natural(value: Any) -> int:
    """An index or a size of the JSON. Raises ValueError for a negative number, a fraction or anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{str(value)[:40]!r} is not a number of bytes or elements")
    return value
