"""A common scale and direction of sight for shapes that are shown beside one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from pullback.figures.camera import View
from pullback.figures.surface import SAMPLES, Lit, TriangleMesh, as_array
from pullback.figures.thinning import MANY_FACES, thin

_BORDER = 8  # pixels free on every side


class BareMesh(NamedTuple):
    """Vertices and faces, and nothing else."""

    verts: Float[ndarray, "n 3"]
    faces: Int[ndarray, "f 3"]


@dataclass(frozen=True)
class Scene:
    """Draws shapes at one scale; all pictures have one height, and each is as wide as its shape."""

    view: View
    scale: float  # pixels per unit of length
    height: int  # pixels

    @classmethod
    def around(
        cls, meshes: Sequence[TriangleMesh], *, view: View | None = None, height: int = 600, max_width: int = 600
    ) -> "Scene":
        """The stage on which the largest of the meshes just fits.

        Lying shapes lower the pictures rather than leave them empty.
        """
        view = view or View()
        extents = np.array([_extent(_points(mesh), view) for mesh in meshes])
        room = np.array([max_width, height]) - 2 * _BORDER
        scale = float((room / np.maximum(extents.max(axis=0), 1e-12)).min())
        return cls(view, scale, int(np.ceil(extents[:, 1].max() * scale)) + 2 * _BORDER)

    def thinned(self, mesh: TriangleMesh) -> tuple[TriangleMesh, Int[ndarray, " m"] | slice]:
        """A mesh too fine for the picture as this stage shows it, and which vertices these are."""
        if len(mesh.faces) <= MANY_FACES:
            return mesh, slice(None)
        verts = _points(mesh)
        ids, faces, _ = thin(verts, as_array(mesh.faces), cell=1 / (self.scale * SAMPLES))
        return BareMesh(verts[ids], faces), ids

    def draw(self, mesh: TriangleMesh, colors: Float[ndarray, "n 3"]) -> UInt8[ndarray, "h w 4"]:
        """The mesh with a colour for each vertex."""
        return self.lit(mesh).coloured(colors)

    def lit(self, mesh: TriangleMesh) -> Lit:
        """The mesh for several pictures of it."""
        verts = _points(mesh)
        width = int(np.ceil(_extent(verts, self.view)[0] * self.scale)) + 2 * _BORDER
        faces = as_array(mesh.faces)
        return Lit.seen(verts, faces, width=width, height=self.height, view=self.view, scale=self.scale)


def _points(mesh: TriangleMesh) -> Float[ndarray, "n 3"]:
    return as_array(mesh.verts).astype(np.float64)


def _extent(verts: Float[ndarray, "n 3"], view: View) -> Float[ndarray, "2"]:
    return np.ptp(verts @ view.rotation().T, axis=0)[:2]
