"""VTK's files in XML (``.vtu``), by meshio."""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pullback.data.mesh.readers.polygons import mesh_of_polygons
from pullback.data.mesh.readers.source import FileMesh, Source

_IGNORED = ("vertex", "line")
_FLAT = ("triangle", "quad", "polygon")


def read_vtu(source: Source) -> FileMesh:
    """The surface of an unstructured grid in XML.

    Raises MeshError without meshio, for solid cells, and for what it cannot read.
    """
    try:
        import meshio
    except ImportError:
        raise source.error(
            ".vtu files are read by meshio, which is not installed", advice='Run pip install "pullback[vtk]"'
        ) from None
    if b"<VTKFile" not in source.data[:10_000]:
        raise source.error(
            "not a VTK file in XML: no tag VTKFile at its beginning", advice="Export it again, as .vtu or .ply"
        )
    with tempfile.TemporaryDirectory(prefix="pullback-") as folder, contextlib.redirect_stdout(io.StringIO()):
        copy = Path(folder) / "mesh.vtu"  # it reads from disk only, and the file may be packed
        copy.write_bytes(source.data)
        try:
            mesh = meshio.vtu.read(copy)
        except (Exception, SystemExit) as error:  # whatever the library makes of a damaged file
            said = " ".join(str(error).replace(str(copy), source.path.name).split())[:200]
            raise source.error(f"meshio cannot read it ({said or type(error).__name__})") from error
    return _surface(source, mesh)


def _surface(source: Source, mesh: Any) -> FileMesh:
    blocks = [(block.type, np.asarray(block.data, dtype=np.int64)) for block in mesh.cells if len(block.data)]
    solid = sorted(
        {kind for kind, _ in blocks if (not kind.startswith(_FLAT) and kind not in _IGNORED) or kind[-1:].isdigit()}
    )
    if solid:
        what = (
            f"it has cells of type {solid[0]}, which are solid or curved, but "
            "only flat triangles and polygons make a surface"
        )
        raise source.error(what, advice="Extract its surface first (ParaView: Filters, Extract Surface)")
    flat = [data for kind, data in blocks if kind not in _IGNORED]
    ignored = sorted({kind for kind, _ in blocks if kind in _IGNORED})
    verts = np.asarray(mesh.points, dtype=np.float64)
    if verts.ndim != 2 or verts.shape[1] != 3:
        raise source.error(f"its points have the shape {verts.shape} instead of three coordinates each")
    corners = np.concatenate([data.ravel() for data in flat]) if flat else np.empty(0, dtype=np.int64)
    sizes = (
        np.concatenate([np.full(len(data), data.shape[1]) for data in flat]) if flat else np.empty(0, dtype=np.int64)
    )
    notes = (f"{' and '.join(ignored)} cells were ignored",) if ignored else ()
    return mesh_of_polygons(
        source, verts, corners, sizes, place=lambda face: f"face {face + 1} of {len(sizes)}", notes=notes
    )
