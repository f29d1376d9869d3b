"""A match as points of the source's triangles, in the numbers of the files."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.brief import OneLine
from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import PreparedShape
from pullback.geometry.connectivity import group_rows
from pullback.mapping.fmap import spectral_embeddings
from pullback.mapping.near_triangles import near_points
from pullback.stages import stage
from pullback.tasks.mesh.two_meshes import FileMatch, file_ids


@dataclass(frozen=True, repr=False)
class SurfacePoints(OneLine):
    """Points of the triangles of a file; -1 and NaN where there is none."""

    face: Int[ndarray, " t"]  # a triangle of the file, polygons cut as they are read
    weights: Float[ndarray, "t 3"]  # ≥ 0, rows sum to 1: of its corners in their order
    corners: Int[ndarray, "t 3"]  # vertices of the file
    n: int  # vertices of the file

    @property
    def known(self) -> ndarray:
        return self.face >= 0

    def interpolate(self, values: Float[ndarray, "n c"]) -> Float[ndarray, "t c"]:
        """Values given at the vertices of the file, linear in the triangles; NaN where there is no point.

        Corners whose value is not finite do not count where another one does.
        """
        around, weights = values[self.corners], self.weights[:, :, None] * np.ones(values.shape[1])
        finite = np.isfinite(around)
        if not finite.all():
            weights = np.where(finite, weights, 0)
            with np.errstate(invalid="ignore"):
                weights = weights / weights.sum(axis=1, keepdims=True)
            around = np.where(finite, around, 0)
        return np.where(self.known[:, None], (around * weights).sum(axis=1), np.nan)

    def nearest(self) -> Int[ndarray, " t"]:
        """The vertex of the file with the largest weight."""
        strongest = np.nan_to_num(self.weights).argmax(axis=1)[:, None]
        return np.take_along_axis(self.corners, strongest, axis=1)[:, 0]

    def matrix(self) -> sp.csr_matrix:
        """The interpolation as a sparse matrix (t, n); rows without a point are empty."""
        rows = np.repeat(np.flatnonzero(self.known), 3)
        entries = self.weights[self.known].ravel(), (rows, self.corners[self.known].ravel())
        return sp.csr_matrix(entries, shape=(len(self.face), self.n))


def barycentric_map(result: FileMatch, source: FileMesh) -> SurfacePoints:
    """For each vertex of the target's file a point of the source's file; none where the vertex has no partner.

    The nearest point, in the embedding of the functional map, of the triangles around the vertex that the point map
    has there.
    """
    with stage("points of triangles"):
        known = result.between_files() >= 0
        used = torch.from_numpy(np.unique(result.target.relabel.successor[known]).astype(np.int64))
        shape1, shape2 = result.source.shape, result.target.shape
        query, reference = spectral_embeddings(result.fmap12, shape1.basis, shape2.basis)
        near = near_points(result.p2p21[used], query[used], reference, shape1.faces)
        face, weights = np.full(shape2.n, -1), np.full((shape2.n, 3), np.nan)
        face[used], weights[used] = near.face.numpy(), near.weights.double().numpy()
        rows = np.where(known, result.target.relabel.successor, 0)
        points = on_file(np.where(known, face[rows], -1), weights[rows], result.source, source)
        return points


def on_file(
    face: Int[ndarray, " t"], weights: Float[ndarray, "t 3"], prepared: PreparedShape, given: FileMesh
) -> SurfacePoints:
    """Points of a shape as points of its file. Where a triangle is in no file (of a simplified copy), the vertex of the
    file that its nearest corner stands for, in any triangle there.
    """
    known, successor = face >= 0, prepared.relabel.successor
    shape_faces = prepared.shape.faces.numpy()
    used, which = np.unique(face[known], return_inverse=True)
    own, theirs = (np.sort(each.astype(np.int64), axis=1) for each in (shape_faces[used], successor[given.faces]))
    near = np.flatnonzero(np.isin(theirs[:, 0], own[:, 0]))  # the others are none of these triangles
    first, group = group_rows(np.concatenate([theirs[near], own]))
    in_file = first[group[len(near) :]]  # the first of equal rows: one of the file, if there is any
    found, exact = np.zeros(len(face), dtype=np.int64), np.zeros(len(face), dtype=bool)
    exact[known] = (in_file < len(near))[which]
    found[exact] = near[in_file[which[exact[known]]]]
    own_corners = shape_faces[face]
    places = (successor[given.faces[found]][:, None, :] == own_corners[:, :, None]).argmax(axis=2)
    turned = np.full_like(weights, np.nan)
    np.put_along_axis(turned, places, weights, axis=1)
    rough = known & ~exact
    if rough.any():
        nearest = np.take_along_axis(own_corners[rough], weights[rough].argmax(axis=1)[:, None], axis=1)[:, 0]
        half_edge = np.zeros(len(successor), dtype=np.int64)
        half_edge[given.faces.ravel()] = np.arange(given.faces.size)
        found[rough], corner = np.divmod(half_edge[file_ids(prepared)[nearest]], 3)
        turned[rough] = np.eye(3)[corner]
    turned[~known] = np.nan
    corners = np.where(known[:, None], given.faces[found], -1)
    return SurfacePoints(np.where(known, found, -1), turned, corners, len(given.verts))
