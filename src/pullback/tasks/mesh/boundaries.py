"""What boundaries and areas say of two shapes: whether one may be a part of the other, or both parts of something."""

import numpy as np

from pullback.data.mesh.shapes import PreparedShape
from pullback.geometry.mesh import face_areas
from pullback.geometry.regions import longest_boundary

# A cut leaves one long boundary: 0.23 √area where an arm is missing. None of 283 whole bodies and animals (FAUST,
# SCAPE, SHREC'19, SMAL, the embedded ones) has one longer than 0.07, the holes of scans.
OPEN = 0.12
OVERLAP = "both have long boundaries, so each may have parts that the other lacks, and these are not marked"


def surface_area(prepared: PreparedShape) -> float:
    """The area of a shape's file, in the unit of the file."""
    given = prepared.as_given()
    verts, faces = given.verts, given.faces
    kept = faces[~prepared.relabel.dropped[faces].any(axis=1)]
    return float(np.maximum(face_areas(verts, kept).sum(), 1e-300))


def boundaries(source: PreparedShape, target: PreparedShape) -> tuple[float, float]:
    """The longest boundary of either, in units of its √area."""
    found = [
        longest_boundary(side.shape.verts.double().cpu().numpy(), side.shape.faces.cpu().numpy())
        for side in (source, target)
    ]
    return found[0], found[1]


def partial_remark(source: PreparedShape, target: PreparedShape) -> str:
    """What is to be said of a map between wholes where one shape may be a part of the other; empty elsewhere."""
    lengths = boundaries(source, target)
    if max(lengths) < OPEN:
        return ""
    if min(lengths) >= OPEN:
        return OVERLAP
    name, other = ("source", "target") if lengths[0] > lengths[1] else ("target", "source")
    return f"the {name} has a long boundary, so it may be a part of the {other}"
