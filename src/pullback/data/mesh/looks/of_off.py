"""The look of OFF files of text: the colours of vertices (COFF) and of faces."""

import numpy as np

from pullback.data.mesh.looks.look import Look, as_bytes, to_255
from pullback.data.mesh.readers.off import ORDERLY
from pullback.data.mesh.readers.polygons import cuts_of
from pullback.data.mesh.readers.source import FileMesh, Source
from pullback.data.mesh.readers.text import number_lines, without_comments


def look_of_off(source: Source, mesh: FileMesh) -> Look:
    """The colours of an orderly file, three or four numbers behind each vertex, or behind every face; none of others.

    They count to 1 where none is larger, else to 255.
    """
    data = without_comments(source.as_text().data)
    counts = ORDERLY.match(data)
    lines = number_lines(data[counts.end() :]) if counts else None
    if counts is None or lines is None:
        return Look()
    n, f = int(counts[1]), int(counts[2])
    if len(lines.count) < n + f or n != len(mesh.verts):
        return Look()
    rows, faces = slice(n), slice(n, n + f)
    prefix = data[: counts.start(1)].strip().upper().removesuffix(b"OFF")
    width = set(lines.count[rows].tolist()) if prefix in (b"", b"C") else set()
    colors = lines.columns(rows, width.pop() - 3, skip=3) if width in ({6}, {7}) else None
    polygons, painted = lines.polygons(faces, counted=True), None
    if polygons is not None:
        corners, sizes = polygons
        beyond = set((lines.count[faces] - 1 - sizes).tolist())
        if beyond in ({3}, {4}):
            last = (lines.start[faces] + 1 + sizes)[:, None] + np.arange(beyond.pop())
            painted = lines.values[last][cuts_of(mesh.verts, corners, sizes)[0]]
    return Look(
        colors=None if colors is None else as_bytes(colors, whole=to_255(colors)),
        face_colors=None if painted is None else as_bytes(painted, whole=to_255(painted)),
    )
