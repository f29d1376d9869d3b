"""Gradient of functions on a mesh, at the vertices, in one tangent frame for each vertex.

DiffusionNet (Sharp et al. 2022, section 3.4) reads these operators as one complex matrix ``grad_x + i grad_y``; here
they are built for all vertices at once. The regularisation is relative to each vertex's own one-ring, so that the
operator does not depend on the resolution of the mesh.
"""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.geometry.mesh import vertex_normals
from pullback.stages import stage

# Share of the one-ring's mean squared edge length that is added to its 2×2 normal matrix.
_RELATIVE_TIKHONOV = 1e-3
# A one-ring counts for no less than this share of the mesh's mean in that: where all neighbours lie almost on the
# vertex, the gradient is damped instead of magnifying rounding errors.
_SMALLEST_RING = 1e-8


def tangent_frames(normals: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, "n 3"], Float[ndarray, "n 3"]]:
    """Two unit tangent vectors at each vertex; (first, second, normal) is right-handed."""
    x_axis, y_axis = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    helper = np.where(np.abs(normals[:, :1]) < 0.9, x_axis, y_axis)
    first = helper - (helper * normals).sum(axis=1, keepdims=True) * normals
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(normals, first)


def gradient_operators(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """Sparse ``(grad_x, grad_y)``, each (n, n): derivatives along the first and the second tangent vector.

    At every vertex the least-squares gradient over its one-ring: the 2-vector g that minimises
    ``Σ_j (f_j - f_i - g·e_ij)²``, with e_ij the edge to neighbour j projected on the tangent plane.
    Exact for linear functions on a plane, except for the relative regularisation.
    """
    with stage("gradient operators"):
        return _gradients(verts, faces)


def _gradients(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    n = len(verts)
    tails, heads = _one_rings(faces, n)
    normals = vertex_normals(verts, faces)
    first, second = tangent_frames(normals)
    edge = verts[heads] - verts[tails]
    flat = np.stack([np.einsum("ed,ed->e", edge, frame[tails]) for frame in (first, second)], axis=1)

    normal_matrix = np.zeros((n, 2, 2))
    for a in range(2):
        for b in range(2):
            normal_matrix[:, a, b] = np.bincount(tails, weights=flat[:, a] * flat[:, b], minlength=n)
    trace = normal_matrix[:, 0, 0] + normal_matrix[:, 1, 1]
    floor = np.where(trace > 0, np.maximum(trace, _SMALLEST_RING * trace.mean()), trace.mean())
    normal_matrix += 0.5 * _RELATIVE_TIKHONOV * floor[:, None, None] * np.eye(2)
    weights = np.einsum("eab,eb->ea", np.linalg.inv(normal_matrix)[tails], flat)

    def operator(values: Float[ndarray, " e"]) -> sp.csr_matrix:
        differences = sp.csr_matrix((values, (tails, heads)), shape=(n, n))
        return sp.csr_matrix(differences - sp.diags(np.asarray(differences.sum(axis=1)).ravel()))

    return operator(weights[:, 0]), operator(weights[:, 1])


def _one_rings(faces: Int[ndarray, "f 3"], n: int) -> tuple[Int[ndarray, " e"], Int[ndarray, " e"]]:
    """Every pair (vertex, neighbour) once in each direction."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    keys = np.sort(edges[:, 0] * n + edges[:, 1])
    keys = keys[np.append(True, keys[1:] != keys[:-1])]
    return keys // n, keys % n
