"""The look of a mesh file in any format that has one."""

from collections.abc import Callable
from pathlib import Path

from pullback.data.mesh.looks.look import Look
from pullback.data.mesh.looks.of_gltf import look_of_gltf
from pullback.data.mesh.looks.of_obj import look_of_obj
from pullback.data.mesh.looks.of_off import look_of_off
from pullback.data.mesh.looks.of_ply import look_of_ply
from pullback.data.mesh.readers.source import FileMesh, Source, inner_suffix
from pullback.stages import stage

_READERS: dict[str, Callable[[Source, FileMesh], Look]] = {
    ".ply": look_of_ply,
    ".obj": look_of_obj,
    ".off": look_of_off,
    ".glb": look_of_gltf,
    ".gltf": look_of_gltf,
}


def read_look(path: str | Path, mesh: FileMesh) -> Look:
    """Colours, textures and values of a file, for the ``mesh`` that was read of it.

    What a file does not say, or says in an unusual way, is missing; ``notes`` tell what was named and could not be had.
    Files of other formats, and binary OFF files, have a look of nothing. Raises as reading the mesh does.
    """
    path = Path(path)
    reader = _READERS.get(inner_suffix(path))
    if reader is None:
        return Look()
    with stage("reading colours and textures"):
        source = Source.of(path)
        if source.data.lstrip()[:3].upper() == b"OFF" and b"BINARY" in source.data[:20].upper():
            return Look()
        return reader(source, mesh)
