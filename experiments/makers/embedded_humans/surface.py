"""Plain facts of a triangle mesh given as vertices (n, 3) and faces (f, 3)."""

import numpy as np

from pullback.geometry import subdivision


def half_edges(faces):
    """Directed edges of a triangle mesh (3f, 2), edge k of face i in row 3 i + k."""
    return faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)


def undirected_edges(faces):
    """Each edge once, smaller end first (e, 2), the row of each half edge (3f,), and its count (e,)."""
    return np.unique(np.sort(half_edges(faces), axis=1), axis=0, return_inverse=True, return_counts=True)


def subdivide(faces, *attributes):
    """Split each triangle into four; each attribute (n, …) is averaged at the edge middles."""
    finer = [subdivision.subdivide(x, faces) for x in attributes]
    return finer[0][1], *(x for x, _ in finer)


def face_cross(verts, faces):
    """Cross product of two sides of each face: normal times twice the area."""
    return np.cross(verts[faces[:, 1]] - verts[faces[:, 0]], verts[faces[:, 2]] - verts[faces[:, 0]])


def unit_normals(verts, faces):
    """Unit normals of the faces (f, 3)."""
    cross = face_cross(verts, faces)
    return cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-15)


def vertex_frames(verts, faces):
    """Unit normals (n, 3), weighted by area, and areas (n,) of the vertices."""
    cross = face_cross(verts, faces)
    normals = np.zeros_like(verts)
    for k in range(3):
        np.add.at(normals, faces[:, k], cross)
    areas = np.bincount(faces.ravel(), weights=np.repeat(np.linalg.norm(cross, axis=1) / 6, 3), minlength=len(verts))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-15), areas


def quality(points, faces):
    """Quality of triangles in [0, 1], 1 for an equilateral one: 4 sqrt(3) area over the sum of squared sides."""
    a, b, c = points[faces].transpose(1, 0, 2)
    sides = ((a - b) ** 2 + (b - c) ** 2 + (c - a) ** 2).sum(axis=1)
    return 2 * np.sqrt(3) * np.linalg.norm(np.cross(b - a, c - a), axis=1) / sides
