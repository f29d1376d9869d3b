"""Pictures of coloured triangle meshes, by software: no display, no graphics driver.

Light is computed in linear space with a key light, a sky and a floor, creases are darkened from the depth buffer, and
edges are smooth because several samples are taken in every pixel. The background is transparent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from pullback.figures.camera import View
from pullback.figures.raster import Fragments, rasterise
from pullback.figures.thinning import MANY_FACES, thin
from pullback.geometry.mesh import vertex_normals

SAMPLES = 2  # along each side of a pixel
_MARGIN = 0.04  # free border, as a share of the frame's shorter side
_KEY_LIGHT = np.array([-0.45, 0.55, 0.70]) / np.linalg.norm([-0.45, 0.55, 0.70])  # right, up, towards the camera
_KEY, _SKY, _FLOOR = 0.72, 0.52, 0.30  # strengths; a surface facing the key light keeps about its own colour


@runtime_checkable
class TriangleMesh(Protocol):
    """Anything with vertices and faces: a Shape, or a bare mesh."""

    @property
    def verts(self) -> Tensor | ndarray: ...

    @property
    def faces(self) -> Tensor | ndarray: ...


class Surface(NamedTuple):
    """A bare mesh."""

    verts: Float[ndarray, "n 3"]
    faces: Int[ndarray, "f 3"]


def as_array(values: Tensor | ndarray | Sequence[float]) -> ndarray:
    """The values of a tensor of any device and precision, or of an array or list, in numpy."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def fitting_scale(verts: Float[ndarray, "n 3"], *, width: int, height: int, view: View) -> float:
    """Pixels per unit of length at which the shape just fits the frame, with a small border."""
    extent = np.ptp(verts @ view.rotation().T, axis=0)[:2]
    room = np.array([width, height]) - 2 * _MARGIN * min(width, height)
    return float((room / np.maximum(extent, 1e-12)).min())


def simplification(*meshes: TriangleMesh) -> str:
    """What is to be said of pictures of these meshes: empty unless one of them is too fine to be drawn as it is."""
    most = max((len(mesh.faces) for mesh in meshes), default=0)
    if most <= MANY_FACES:
        return ""
    return (
        f"Meshes of up to {most:,} triangles are shown with the vertices of half a pixel joined; the map is of "
        "full resolution."
    )


Rows = Int[ndarray, " _"] | slice


@dataclass(frozen=True)
class Lit:
    """A mesh in front of the camera, in its light but without colours: what its pictures have in common.

    In a mesh of very many faces, vertices in the same sample of a pixel are drawn as one (:func:`simplification`).
    """

    faces: Int[ndarray, "f 3"]
    fragments: Fragments
    light: Float[ndarray, " p"]  # on each fragment
    target: Int[ndarray, " p"]  # the pixel of each fragment
    count: Int[ndarray, " hw"]  # fragments in each pixel
    crease: Float[ndarray, "h w"]  # what is left of the light where the surface lies behind its surroundings
    numbers: tuple[int, int]  # vertices and faces of the mesh
    shown: tuple[Rows, Rows]  # which of them are drawn

    @classmethod
    def seen(
        cls,
        verts: Float[ndarray, "n 3"],
        faces: Int[ndarray, "f 3"],
        *,
        width: int,
        height: int,
        view: View | None = None,
        scale: float | None = None,
    ) -> "Lit":
        """``scale`` is in pixels per unit; the default fits the shape to the frame."""
        view, numbers = view or View(), (len(verts), len(faces))
        shown: tuple[Rows, Rows] = (slice(None), slice(None))
        scale = scale or fitting_scale(verts, width=width, height=height, view=view)
        rotation = view.rotation()
        camera = verts @ rotation.T
        middle = (camera.max(axis=0) + camera.min(axis=0)) / 2
        wide, high = width * SAMPLES, height * SAMPLES
        points = (camera - middle) * [1, -1, 1] * (scale * SAMPLES) + [(wide - 1) / 2, (high - 1) / 2, 0]
        if len(faces) > MANY_FACES:
            kept, faces, face_ids = thin(points, faces, cell=1.0)
            verts, points, shown = verts[kept], points[kept], (kept, face_ids)
        fragments = rasterise(points, faces, width=wide, height=high)
        normals = _shading_normals(vertex_normals(verts, faces) @ rotation.T, faces, fragments, points)
        row, column = np.divmod(fragments.pixel, wide)
        target = (row // SAMPLES) * width + column // SAMPLES
        count = np.bincount(target, minlength=width * height)
        depth = np.bincount(target, weights=fragments.depth, minlength=width * height) / np.maximum(count, 1)
        crease = _crease(depth.reshape(height, width), (count > 0).reshape(height, width))
        return cls(faces, fragments, _illumination(normals), target, count, crease, numbers, shown)

    def coloured(self, colors: Float[ndarray, "m 3"]) -> UInt8[ndarray, "h w 4"]:
        """A picture (RGBA, straight alpha) in sRGB colours in [0, 1], by vertex or by face.

        Raises ValueError when the colours fit neither.
        """
        if len(colors) not in self.numbers:
            verts, faces = self.numbers
            raise ValueError(
                f"{len(colors)} colours given for {verts} vertices and {faces} faces; give one for each of either"
            )
        by_vertex = len(colors) == self.numbers[0]
        albedo = np.clip(colors[self.shown[0 if by_vertex else 1]], 0, 1) ** 2.2
        albedo = _interpolated(albedo, self.faces, self.fragments) if by_vertex else albedo[self.fragments.face]
        return self._resolved(albedo * self.light[:, None])

    def _resolved(self, light: Float[ndarray, "p 3"]) -> UInt8[ndarray, "h w 4"]:
        """Mean of the samples of each pixel, crease darkening, and back to sRGB."""
        hits = np.maximum(self.count, 1)
        sums = [np.bincount(self.target, weights=light[:, i], minlength=len(self.count)) for i in range(3)]
        mean = np.stack([total / hits for total in sums], axis=1) * self.crease.reshape(-1, 1)
        srgb = np.clip(mean, 0, 1) ** (1 / 2.2)
        rgba = np.column_stack([srgb, self.count / SAMPLES**2])
        return np.round(255 * rgba).astype(np.uint8).reshape(*self.crease.shape, 4)


def _shading_normals(
    normals: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], fragments: Fragments, points: Float[ndarray, "n 3"]
) -> Float[ndarray, "p 3"]:
    """Interpolated unit normals in camera space; the inside of an open surface is lit as if it were the outside."""
    smooth = _interpolated(normals, faces, fragments)
    smooth /= np.maximum(np.sqrt(np.einsum("pd,pd->p", smooth, smooth)), 1e-12)[:, None]
    a, b, c = (points[faces[:, i], :2] for i in range(3))
    away = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] > 0  # y runs down: clockwise is positive
    return np.where(away[fragments.face, None], -smooth, smooth)


def _interpolated(
    values: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], fragments: Fragments
) -> Float[ndarray, "p 3"]:
    corner = faces[fragments.face]
    return sum(fragments.weights[:, [i]] * values[corner[:, i]] for i in range(3))


def _illumination(normals: Float[ndarray, "p 3"]) -> Float[ndarray, " p"]:
    key = np.maximum(normals @ _KEY_LIGHT, 0)
    ambient = _FLOOR + (_SKY - _FLOOR) * (0.5 + 0.5 * normals[:, 1])
    grazing = 1 - np.clip(normals[:, 2], 0, 1)
    return (ambient + _KEY * key) * (1 - 0.45 * grazing**4)


def _crease(depth: Float[ndarray, "h w"], covered: ndarray) -> Float[ndarray, "h w"]:
    """Darkening in [0.55, 1] where the surface lies behind its surroundings (Luft et al. 2006)."""
    darkening = np.zeros_like(depth)
    for share in (0.008, 0.03):
        sigma = share * max(depth.shape)
        present = gaussian_filter(covered.astype(np.float32), sigma, truncate=2.5)
        around = gaussian_filter(np.where(covered, depth, 0).astype(np.float32), sigma, truncate=2.5) / np.maximum(
            present, 1e-6
        )
        darkening += np.clip((around - depth) / (8 * sigma * SAMPLES), 0, 0.5)
    return 1 - np.minimum(0.6 * darkening, 0.45)
