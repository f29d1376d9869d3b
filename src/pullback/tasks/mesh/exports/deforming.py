"""The source in the pose of the target: its own vertices and faces, where the map puts them."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from pullback.data.mesh.readers.source import FileMesh
from pullback.geometry.mesh import vertex_normals
from pullback.stages import stage
from pullback.tasks.mesh.two_meshes import FileMatch, file_ids
from pullback.types import Shape

# Eigenfunctions of the source in which its new place is sought: more follow noise of the map.
_K = 120
# How much is paid for high frequencies: a share of the mean weight of the points, at the highest of them.
_SMOOTH = 1e-3
_LEAST = 0.02  # what a point counts in which there is no confidence at all
# Points of the target that are used; more tell no more of so few functions.
_MOST = 50_000


def deformed(result: FileMatch, target: FileMesh) -> Float[ndarray, "m1 3"]:
    """The vertices of the source's file in the target's pose, in the coordinates of the target's file.

    Smooth functions on the source, a combination of its first eigenfunctions, that the map carries to the coordinates
    of the target as nearly as possible; points count by their area and confidence. What is too fine for these
    functions, the source's own detail, is turned and scaled with the surface and put back. Vertices that cleaning
    dropped lie where the nearest kept one does.
    """
    with stage("source in the target's pose"):
        shape1 = result.source.shape
        k = min(_K, shape1.basis.k)
        basis = shape1.basis.first(k)
        moved = _fitted(result, basis.evecs.double().numpy(), basis.evals.double().numpy(), _places(result, target))
        plain = basis.synthesise(basis.project(shape1.verts)).double().numpy()
        detail = shape1.verts.double().numpy() - plain
        return (moved + _turned(shape1, detail, plain, moved))[result.source.relabel.successor]


def _places(result: FileMatch, target: FileMesh) -> Float[ndarray, "n2 3"]:
    return target.verts[file_ids(result.target)]


def _fitted(
    result: FileMatch, smooth: Float[ndarray, "n1 k"], evals: Float[ndarray, " k"], there: Float[ndarray, "n2 3"]
) -> Float[ndarray, "n1 3"]:
    """The functions that the map carries to the target's coordinates."""
    rows = np.flatnonzero((result.between_files() >= 0)[file_ids(result.target)])
    rows = rows[:: max(1, len(rows) // _MOST)]
    weight = result.target.shape.basis.mass.double().numpy()[rows]
    if result.verdict is not None:
        weight = weight * (_LEAST + result.verdict.confidence2.double().numpy()[rows])
    weight = weight[:, None] / weight.sum()
    values, middle = smooth[result.p2p21.numpy()[rows]], (weight * there[rows]).sum(axis=0)
    normal = values.T @ (values * weight)
    typical = np.trace(normal) / len(normal)
    normal += typical * np.diag(_SMOOTH * evals / max(evals[-1], 1e-12) + 1e-9)
    return middle + smooth @ np.linalg.solve(normal, values.T @ (weight * (there[rows] - middle)))


def _turned(
    shape1: Shape, detail: Float[ndarray, "n1 3"], plain: Float[ndarray, "n1 3"], moved: Float[ndarray, "n1 3"]
) -> Float[ndarray, "n1 3"]:
    """The detail turned as the tangent planes turn from the plain to the moved surface, in the size of that."""
    faces = shape1.faces.numpy()
    tangents = [
        np.stack([(grad @ torch.from_numpy(place).float()).double().numpy() for grad in (shape1.grad_x, shape1.grad_y)])
        for place in (plain, moved)
    ]
    size = float(np.linalg.norm(tangents[1])) / max(float(np.linalg.norm(tangents[0])), 1e-12)
    normals = [vertex_normals(place, faces) for place in (plain, moved)]
    both = np.einsum("tni,tnj->nij", tangents[1] / size, tangents[0]) + np.einsum("ni,nj->nij", normals[1], normals[0])
    left, _, right = np.linalg.svd(both)
    left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]  # turned, never mirrored
    return size * np.einsum("nij,njk,nk->ni", left, right, detail)
