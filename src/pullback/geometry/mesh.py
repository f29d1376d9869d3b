"""Areas, masses, the cotangent Laplacian and unit-area normalisation of triangle meshes.

Everything here is float64: cotangents of the slivers that real scans contain lose their digits in float32.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from numpy import ndarray

# In a slender face (a cap or a needle) the two shorter edges together exceed the longest by less than this share of it.
_MARGIN = 1e-5
# A normal below this share of the mean is made of rounding errors.
_FAINT = 1e-10


def face_normals_times_twice_area(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, "f 3"]:
    """Cross product of two edges of each face: outward for counter-clockwise faces, its length twice the area."""
    a, b, c = (verts[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def face_areas(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, " f"]:
    """Area of each face, in squared units of ``verts``."""
    return 0.5 * np.linalg.norm(face_normals_times_twice_area(verts, faces), axis=1)


def vertex_normals(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, "n 3"]:
    """Unit normals at the vertices: the area-weighted mean of the normals of the faces around each.

    A vertex amid slivers, whose normal would be that of rounding errors, takes the mean of its neighbours. Where the
    mean vanishes (two sheets back to back) the normal is the z axis: any unit vector serves there.
    """
    weighted = face_normals_times_twice_area(verts, faces)
    normals = np.stack([_scatter(faces, weighted[:, [d]].repeat(3, 1), len(verts)) for d in range(3)], axis=1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    faint = length[:, 0] <= _FAINT * length.mean()
    if faint.any():  # but not where the normals of good faces cancel
        total = _scatter(faces, np.linalg.norm(weighted, axis=1)[:, None].repeat(3, 1), len(verts))
        faint &= total <= _FAINT * total.mean()
    if faint.any():
        around = faces[faint[faces].any(axis=1)]
        sums = normals[around].sum(axis=1)
        near = np.stack([_scatter(around, sums[:, [d]].repeat(3, 1), len(verts)) for d in range(3)], axis=1)
        normals = np.where(faint[:, None], near, normals)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1), [0.0, 0.0, 1.0])


class SlenderFaces(NamedTuple):
    """The faces whose cotangents rounding spoils, and the edges that the operators give them instead."""

    number: Int[ndarray, " s"]  # of the face
    lengths: Float[ndarray, "s 3"]  # of the edge opposite to each corner, mollified
    areas: Float[ndarray, " s"]  # of a triangle with these edges


def slender_faces(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> SlenderFaces:
    """Caps and needles with mollified edges (Sharp & Crane 2020): longer by the least that keeps a margin.

    The margin is a share of 1e-5 of the longest edge by which the others exceed it together; it bounds the cotangents
    by about 1e5 for needles, 300 for caps. It is kept face by face, so that other faces stay what they are, to the last
    bit, at whatever scale.
    """
    corners = verts[faces]
    lengths = np.linalg.norm(corners[:, [2, 0, 1]] - corners[:, [1, 2, 0]], axis=2)
    longest = lengths.max(axis=1)
    margin = lengths.sum(axis=1) - 2 * longest
    number = np.flatnonzero(margin < _MARGIN * longest)
    extra = (_MARGIN * longest[number] - margin[number]) / (1 - _MARGIN)
    lengths = lengths[number] + extra[:, None]
    c, b, a = np.sort(lengths, axis=1).T
    # Heron's formula, as Kahan puts it
    areas = 0.25 * np.sqrt((a + (b + c)) * (c - (a - b)) * (c + (a - b)) * (a + (b - c)))
    return SlenderFaces(number, lengths, areas)


def lumped_mass(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, " n"]:
    """Barycentric vertex areas: a third of each face around (of a slender face its mollified area).

    They sum to the total area.
    """
    area, slender = face_areas(verts, faces), slender_faces(verts, faces)
    area[slender.number] = slender.areas
    return _scatter(faces, np.repeat(area[:, None] / 3, 3, axis=1), len(verts))


def cotangent_stiffness(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> sp.csr_matrix:
    """Weak Laplacian (n, n) of linear finite elements: symmetric positive semi-definite, rows sum to 0.

    The entry of edge ij is ``-(cot α + cot β) / 2``, the angles opposite to the edge (Pinkall & Polthier 1993); in
    slender faces, of a triangle with their mollified edges.
    """
    twice_area, slender = 2 * face_areas(verts, faces), slender_faces(verts, faces)
    twice_area[slender.number] = 2 * slender.areas
    squares = slender.lengths**2
    rows, cols, weights = [], [], []
    for corner in range(3):
        i, j = faces[:, (corner + 1) % 3], faces[:, (corner + 2) % 3]
        apex = verts[faces[:, corner]]
        product = np.einsum("fd,fd->f", verts[i] - apex, verts[j] - apex)
        product[slender.number] = 0.5 * (
            squares[:, (corner + 1) % 3] + squares[:, (corner + 2) % 3] - squares[:, corner]
        )
        cotangent = product / twice_area
        rows += [i, j]
        cols += [j, i]
        weights += [0.5 * cotangent, 0.5 * cotangent]
    off_diagonal = sp.csr_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(cols))), shape=(len(verts), len(verts))
    )
    return sp.csr_matrix(sp.diags(np.asarray(off_diagonal.sum(axis=1)).ravel()) - off_diagonal)


def normalise_area(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, "n 3"]:
    """The vertices moved so that the surface's centroid is the origin and scaled so that its area is 1."""
    mass = lumped_mass(verts, faces)
    area = mass.sum()
    return (verts - (mass[:, None] * verts).sum(axis=0) / area) / np.sqrt(area)


def _scatter(faces: Int[ndarray, "f 3"], at_corners: Float[ndarray, "f 3"], n: int) -> Float[ndarray, " n"]:
    return np.bincount(faces.ravel(), weights=at_corners.ravel(), minlength=n)
