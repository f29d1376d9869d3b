"""A shape as the search for a region sees it: a coarse copy, with what is read of it again and again."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import PreparationSettings, bare_shape
from pullback.geometry.cleaning import clean_mesh
from pullback.geometry.coarsening import coarsen
from pullback.geometry.geodesic import edge_graph
from pullback.types import Shape

# Of coarse copies, and of regions of these.
COARSE = PreparationSettings(k=128, samples=700)
_BLENDED = 4  # vertices of a copy that speak for one of the shape


@dataclass(frozen=True)
class CoarseSide:
    """A shape with fewer vertices, of unit area, and how it relates to the shape of full resolution."""

    shape: Shape
    places: Float[ndarray, "c 3"]  # its vertices where they lie on the shape of full resolution
    fine: Float[ndarray, "n 3"]  # the vertices of that

    @classmethod
    def of(cls, shape: Shape, count: int) -> "CoarseSide":
        """A copy with about ``count`` vertices; all of a shape that has no more."""
        fine, faces = shape.verts.double().cpu().numpy(), shape.faces.cpu().numpy()
        verts, faces, _ = coarsen(fine, faces, count)
        mesh = clean_mesh(verts, faces, name=shape.name)
        prepared = bare_shape(FileMesh(mesh.verts, mesh.faces), COARSE, name=shape.name)
        return cls(prepared.shape, mesh.verts, fine)

    @property
    def n(self) -> int:
        return self.shape.n

    @cached_property
    def verts(self) -> Float[ndarray, "c 3"]:
        return self.shape.verts.double().numpy()

    @cached_property
    def faces(self) -> Int[ndarray, "g 3"]:
        return self.shape.faces.numpy()

    @cached_property
    def mass(self) -> Float[ndarray, " c"]:
        return self.shape.basis.mass.double().numpy()

    @cached_property
    def graph(self) -> sp.csr_matrix:
        return edge_graph(self.verts, self.faces)

    def distances(self, points: Int[ndarray, " t"]) -> Float[ndarray, "t c"]:
        """Along the edges, in units of √area; those that cannot be reached are as far as the farthest."""
        rows = csgraph.dijkstra(self.graph, indices=points)
        return np.minimum(rows, rows[np.isfinite(rows)].max())

    def tips(self, count: int) -> Float[ndarray, "count c"]:
        """Distances from points as far from each other as can be: the first lie at the ends of limbs."""
        rows, point = [], int(self.distances(np.array([0]))[0].argmax())
        for _ in range(min(count, self.n)):
            rows.append(self.distances(np.array([point]))[0])
            point = int(np.min(rows, axis=0).argmax())
        return np.stack(rows)

    def coarse_ids(self, ids: Int[ndarray, " t"]) -> Int[ndarray, " t"]:
        """The vertices of the copy nearest to those of the shape."""
        return cKDTree(self.places).query(self.fine[ids])[1].astype(np.int64)

    def refined(self, kept: Bool[ndarray, " c"]) -> Bool[ndarray, " n"]:
        """A region of the copy as one of the shape, its edge rounded between the copy's vertices."""
        count = min(_BLENDED, self.n)
        distances, near = (
            found.reshape(len(self.fine), count) for found in cKDTree(self.places).query(self.fine, count)
        )
        weights = 1 / np.maximum(distances, 1e-9)
        return (weights * kept[near]).sum(axis=1) > 0.5 * weights.sum(axis=1)
