"""Where single points of one mesh land on the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.brief import OneLine
from pullback.data.mesh.query_points import QueryPoints
from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import PreparedShape
from pullback.geometry.cleaning import MeshError
from pullback.geometry.nearest_on_triangles import nearest_on_surface
from pullback.mapping.fmap import spectral_embeddings
from pullback.mapping.near_triangles import near_points
from pullback.mapping.triangles import PreciseMap, precise_map
from pullback.tasks.mesh.barycentric import SurfacePoints, on_file
from pullback.tasks.mesh.two_meshes import FileMatch
from pullback.tasks.point_tables import SIDES, opposite

_FAR = 0.1  # a place farther from the surface than this share of the mesh's size is no place on it


@dataclass(frozen=True, repr=False)
class Landing(OneLine):
    """Points of one side, the same number of places on the other, in the numbers and coordinates of the files."""

    side: str  # on which the points were given: source | target
    vertex: Int[ndarray, " t"]  # the nearest vertex to each point, from 0
    place: Float[ndarray, "t 3"]
    lands: SurfacePoints  # -1 where a point has no partner
    lands_vertex: Int[ndarray, " t"]  # the nearest vertex there, from 0; -1
    lands_place: Float[ndarray, "t 3"]  # NaN
    # how far from the point its place on the other side is sent back, in units of √area; NaN
    returns: Float[ndarray, " t"]
    confidence: Float[ndarray, " t"] | None  # of the target where the pair of points lies

    def rows(self) -> list[dict[str, Any]]:
        """A row for each point; vertices count from 1, 0 is none."""
        other = opposite(self.side)
        return [
            {
                "point": i + 1,
                f"{self.side}_vertex": int(self.vertex[i]) + 1,
                **_coordinates(self.side, self.place[i]),
                f"{other}_vertex": int(self.lands_vertex[i]) + 1,
                **_coordinates(other, self.lands_place[i]),
                "returns_within": round(float(self.returns[i]), 6),
                **({} if self.confidence is None else {"confidence": round(float(self.confidence[i]), 4)}),
            }
            for i in range(len(self.vertex))
        ]


@torch.no_grad()
def land(result: FileMatch, points: QueryPoints, *, side: str = "source") -> Landing:
    """Where points of the ``side`` land on the other one.

    From the target to the source by the point map, made finer in the triangles; from the source to the target, and from
    places between vertices, to the nearest point in the embedding of the functional map. A place in space stands for
    the nearest point of the surface. Vertices without a partner land nowhere.
    """
    there, back = (result.source, result.target) if side == "source" else (result.target, result.source)
    meshes = there.as_given(), back.as_given()
    face, weights = _on_shape(points, there, meshes[0])
    landed = _landed(result, face, weights, side)
    on_target = _nearest(result.target, *((face, weights) if side == "target" else landed))
    known = np.zeros(result.target.shape.n, dtype=bool)
    known[result.target.relabel.successor[result.between_files() >= 0]] = True
    given = on_file(face, weights, there, meshes[0])
    asked = np.where(points.vertex >= 0, points.vertex, given.nearest())
    known = known[on_target] & result.matched()[SIDES.index(side)][asked]
    lands = on_file(np.where(known, landed[0], -1), landed[1], back, meshes[1])
    place = np.where(np.isfinite(points.place), points.place, given.interpolate(meshes[0].verts))
    returned = _landed(result, *landed, opposite(side))
    verts = there.shape.verts.double().numpy()
    ends = [(w[:, None, :] @ verts[there.shape.faces.numpy()[f]])[:, 0] for f, w in ((face, weights), returned)]
    verdict = result.verdict
    certain = None if verdict is None else np.where(known, verdict.confidence2.double().numpy()[on_target], 0)
    return Landing(
        side,
        asked,
        place,
        lands,
        np.where(lands.known, lands.nearest(), -1),
        lands.interpolate(meshes[1].verts),
        np.where(known, np.linalg.norm(ends[0] - ends[1], axis=1), np.nan),
        certain,
    )


def _on_shape(
    points: QueryPoints, prepared: PreparedShape, given: FileMesh
) -> tuple[Int[ndarray, " t"], Float[ndarray, "t 3"]]:
    """The points as places in triangles of the shape."""
    faces = prepared.shape.faces.numpy()
    half_edge = np.zeros(prepared.shape.n, dtype=np.int64)
    half_edge[faces.ravel()] = np.arange(faces.size)
    face, corner = np.divmod(half_edge[prepared.relabel.successor[points.vertex.clip(0)]], 3)
    weights = np.eye(3)[corner]
    by_place = np.flatnonzero(points.vertex < 0)
    if len(by_place):
        kept = given.faces[~prepared.relabel.dropped[given.faces].any(axis=1)]
        for i in by_place:
            found, around, apart = nearest_on_surface(points.place[i], given.verts, kept)
            _check_near(points.place[i], apart, given, prepared.relabel.name, int(i))
            corners = prepared.relabel.successor[kept[found]]
            own = np.flatnonzero((np.sort(faces, axis=1) == np.sort(corners)).all(axis=1))
            if len(own):  # else a simplified copy stands for the file
                face[i] = own[0]
                weights[i] = [around[corners == vertex].sum() for vertex in faces[own[0]]]
            else:
                face[i], which = np.divmod(half_edge[corners[around.argmax()]], 3)
                weights[i] = np.eye(3)[which]
    return face, weights


def _check_near(place: Float[ndarray, "3"], apart: float, given: FileMesh, name: str, i: int) -> None:
    size = float(np.linalg.norm(np.ptp(given.verts, axis=0)))
    if apart > _FAR * size:
        raise MeshError(
            f"points: the place {i + 1}, {place.tolist()}, lies {apart:.4g} from the surface of {name}, which is "
            f"{size:.4g} large. Give coordinates as they are in that file"
        )


def _landed(
    result: FileMatch, face: Int[ndarray, " t"], weights: Float[ndarray, "t 3"], side: str
) -> tuple[Int[ndarray, " t"], Float[ndarray, "t 3"]]:
    """Places in triangles of one shape as places in triangles of the other."""
    shape1, shape2 = result.source.shape, result.target.shape
    on2, on1 = spectral_embeddings(result.fmap12, shape1.basis, shape2.basis)
    here, there = ((on1, shape1), (on2, shape2)) if side == "source" else ((on2, shape2), (on1, shape1))
    embedding, shape = here
    corners = shape.faces[torch.from_numpy(face)]
    query = PreciseMap(corners, torch.from_numpy(weights), shape.n).pull_back(embedding.double()).to(embedding.dtype)
    if side == "target" and (weights.max(axis=1) == 1).all():
        vertex = corners.gather(1, torch.from_numpy(weights).argmax(dim=1, keepdim=True))[:, 0]
        near = near_points(result.p2p21[vertex], query, there[0], shape1.faces)
        return near.face.numpy(), near.weights.double().numpy()
    found = precise_map(query, there[0], there[1].faces)
    return _faces_of(found.corners.numpy(), there[1].faces.numpy()), found.weights.double().numpy()


def _faces_of(corners: Int[ndarray, "t 3"], faces: Int[ndarray, "f 3"]) -> Int[ndarray, " t"]:
    """The number of the triangle with these corners in this order."""
    return np.array([np.flatnonzero((faces == each).all(axis=1))[0] for each in corners], dtype=np.int64)


def _nearest(prepared: PreparedShape, face: Int[ndarray, " t"], weights: Float[ndarray, "t 3"]) -> Int[ndarray, " t"]:
    """The nearest vertices of a shape."""
    return prepared.shape.faces.numpy()[face][np.arange(len(face)), weights.argmax(axis=1)]


def _coordinates(side: str, place: Float[ndarray, "3"]) -> dict[str, Any]:
    return {f"{side}_{axis}": float(f"{value:.9g}") for axis, value in zip("xyz", place, strict=True)}
