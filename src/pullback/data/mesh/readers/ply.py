"""PLY files, of text or binary: triangles, polygons and strips; other elements are passed over."""

import codecs
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pullback.data.mesh.readers.ply_binary import read_binary_tables
from pullback.data.mesh.readers.ply_header import Header, read_header
from pullback.data.mesh.readers.ply_table import Table, strip_triangles
from pullback.data.mesh.readers.ply_text import read_text_tables
from pullback.data.mesh.readers.polygons import mesh_of_polygons
from pullback.data.mesh.readers.source import FileMesh, Source


def read_ply(source: Source) -> FileMesh:
    """The mesh of a PLY file: its ``vertex`` element, its ``face`` and then its ``tristrips`` element."""
    source, _, tables, notes = read_tables(source)
    verts = tables["vertex"].points(source)
    corners, sizes = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    place: Callable[[int], str] = str
    if "face" in tables and tables["face"].element.count:
        corners, sizes = tables["face"].corners(source)
        place = tables["face"].place
    mesh = mesh_of_polygons(source, verts, corners, sizes, place=place, notes=notes)
    if "tristrips" not in tables:
        return mesh
    strips = strip_triangles(source, tables["tristrips"])
    three = np.full(len(strips), 3)
    extra = mesh_of_polygons(source, verts, strips.ravel(), three, place=lambda i: f"triangle {i + 1} of the strips")
    return replace(mesh, faces=np.concatenate([mesh.faces, extra.faces]))


def read_tables(source: Source) -> tuple[Source, Header, dict[str, Table], tuple[str, ...]]:
    """The file without byte order mark, its header, its elements by name, and what was remarkable."""
    if source.data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        source = source.as_text()
    source = replace(source, data=source.data.removeprefix(codecs.BOM_UTF8))
    header = read_header(source)
    if not any(element.name == "vertex" and element.properties for element in header.elements):
        raise source.error(
            "the header announces no vertices with coordinates", advice="Export it again, as .ply or .off"
        )
    return source, header, *(read_binary_tables if header.order else read_text_tables)(source, header)
