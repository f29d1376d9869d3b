"""Areas, masses, the cotangent Laplacian and unit-area normalisation of triangle meshes.

Everything here is float64: cotangents of the slivers that real scans contain lose their digits in float32.
"""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from numpy import ndarray

# Twice a face's area is never taken smaller than this share of the mean: it bounds the cotangents of needle triangles.
_RELATIVE_AREA_FLOOR = 1e-8


def face_normals_times_twice_area(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, "f 3"]:
    """Cross product of two edges of each face: outward for counter-clockwise faces, its length twice the area."""
    a, b, c = (verts[faces[:, i]] for i in range(3))
    return np.cross(b - a, c - a)


def face_areas(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, " f"]:
    """Area of each face, in squared units of ``verts``."""
    return 0.5 * np.linalg.norm(face_normals_times_twice_area(verts, faces), axis=1)


def vertex_normals(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, "n 3"]:
    """Unit normals at the vertices: the area-weighted mean of the normals of the faces around each.

    Where that mean vanishes (two sheets back to back) the normal is the z axis: any unit vector serves there.
    """
    weighted = face_normals_times_twice_area(verts, faces)
    normals = np.stack([_scatter(faces, weighted[:, [d]].repeat(3, 1), len(verts)) for d in range(3)], axis=1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1), [0.0, 0.0, 1.0])


def lumped_mass(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, " n"]:
    """Barycentric vertex areas: a third of the area of every face around the vertex. They sum to the total area."""
    return _scatter(faces, np.repeat(face_areas(verts, faces)[:, None] / 3, 3, axis=1), len(verts))


def cotangent_stiffness(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> sp.csr_matrix:
    """Weak Laplacian (n, n) of linear finite elements: symmetric positive semi-definite, rows sum to 0.

    The entry of edge ij is ``-(cot α + cot β) / 2``, the angles opposite to the edge (Pinkall & Polthier 1993).
    """
    twice_area = 2 * face_areas(verts, faces)
    twice_area = np.maximum(twice_area, _RELATIVE_AREA_FLOOR * twice_area.mean())
    rows, cols, weights = [], [], []
    for corner in range(3):
        i, j = faces[:, (corner + 1) % 3], faces[:, (corner + 2) % 3]
        apex = verts[faces[:, corner]]
        cotangent = np.einsum("fd,fd->f", verts[i] - apex, verts[j] - apex) / twice_area
        rows += [i, j]
        cols += [j, i]
        weights += [0.5 * cotangent, 0.5 * cotangent]
    off_diagonal = sp.csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(cols))), shape=(len(verts), len(verts)))
    return sp.csr_matrix(sp.diags(np.asarray(off_diagonal.sum(axis=1)).ravel()) - off_diagonal)


def normalise_area(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> Float[ndarray, "n 3"]:
    """The vertices moved so that the surface's centroid is the origin and scaled so that its area is 1."""
    mass = lumped_mass(verts, faces)
    area = mass.sum()
    return (verts - (mass[:, None] * verts).sum(axis=0) / area) / np.sqrt(area)


def _scatter(faces: Int[ndarray, "f 3"], at_corners: Float[ndarray, "f 3"], n: int) -> Float[ndarray, " n"]:
    return np.bincount(faces.ravel(), weights=at_corners.ravel(), minlength=n)
