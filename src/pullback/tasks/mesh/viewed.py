"""What the interactive viewer shows of two matched meshes: of fine ones a part of the vertices."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from pullback.figures.camera import View, broadest_view
from pullback.figures.fmap import telling_channels
from pullback.figures.surface import as_array
from pullback.figures.thinning import thin
from pullback.figures.viewer import Side, ViewedPair
from pullback.geometry.mesh import face_areas
from pullback.tasks.mesh.two_meshes import FileMatch, file_ids
from pullback.types import Shape

MOST_SHOWN = 120_000  # vertices of a mesh on the page
_CHANNELS = 8  # of the features
_REACH = 3.0  # mean edges: a vertex of the source without an image so near has no partner


def viewed_match(result: FileMatch, *, title: str, view: View, told: Sequence[str] = ()) -> ViewedPair:
    """The match of two files; vertices bear the numbers of the files."""
    sides = (result.source, result.target)
    pair = viewed_pair(
        (result.source.shape, result.target.shape),
        result.partners(),
        title=title,
        view=view,
        fmap12=as_array(result.fmap12),
        features=(as_array(result.feat1), as_array(result.feat2)),
        confidence2=None if result.verdict is None else as_array(result.verdict.confidence2),
        told=told,
    )
    named = [replace(side, ids=file_ids(given)) for side, given in zip((pair.side1, pair.side2), sides, strict=True)]
    return coarse_enough(replace(pair, side1=named[0], side2=named[1]))


def viewed_pair(
    shapes: tuple[Shape, Shape],
    p2p21: Int[ndarray, " n2"],
    *,
    title: str,
    view: View,
    fmap12: Float[ndarray, "k2 k1"] | None = None,
    features: tuple[ndarray, ndarray] | None = None,
    confidence2: Float[ndarray, " n2"] | None = None,
    errors2: Float[ndarray, " n2"] | None = None,
    told: Sequence[str] = (),
) -> ViewedPair:
    """Two shapes and the map between them, with all of their vertices."""
    side1, side2 = (_side(shape) for shape in shapes)
    channels: list[int] = []
    if features is not None and features[0].shape[1] == features[1].shape[1]:
        channels = telling_channels(features, _CHANNELS)
        chosen = [values[:, channels] for values in features]
        side1, side2 = replace(side1, features=chosen[0]), replace(side2, features=chosen[1])
    return ViewedPair(
        title,
        side1,
        side2,
        p2p21,
        partners(side1, p2p21),
        fmap12=fmap12,
        confidence2=confidence2,
        errors2=errors2,
        channels=[f"{channel}" for channel in channels],
        view=broadest_view(side1.verts.astype(np.float64), side1.faces, view=view),
        told=told,
    )


def partners(side1: Side, p2p21: Int[ndarray, " n2"]) -> Int[ndarray, " n1"]:
    """The map 1 → 2 that the other one implies: each vertex of shape 1 gets the one of shape 2 with the nearest image.

    -1 where no image is near, as on a part of the source that the target does not have.
    """
    matched = np.flatnonzero(p2p21 >= 0)
    if not len(matched):
        return np.full(len(side1.verts), -1)
    corners = side1.verts[side1.faces].astype(np.float64)
    edge = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).mean()
    images = side1.verts[p2p21[matched]]
    distance, nearest = cKDTree(images).query(side1.verts)
    # images lie as far apart as the target has vertices
    apart = np.sqrt(face_areas(side1.verts.astype(np.float64), side1.faces).sum() / len(matched))
    return np.where(distance <= _REACH * max(edge, apart), matched[nearest], -1)


def coarse_enough(pair: ViewedPair, *, most: int = MOST_SHOWN) -> ViewedPair:
    """The pair with at most so many vertices a side, and a sentence that says so; the map between those that stay.

    The partner of a vertex may be one that is left out; the nearest that stays takes its place.
    """
    kept = [_kept(side, most) for side in (pair.side1, pair.side2)]
    if all(ids is None for ids, _ in kept):
        return pair
    sizes = f"{max(len(pair.side1.verts), len(pair.side2.verts)):,}"
    told = f"Meshes of up to {sizes} vertices are shown with at most {most:,} of them; the map is of full resolution."
    (ids1, _), (ids2, _) = kept
    stand_ins = [_stand_ins(side, ids) for side, (ids, _) in zip((pair.side1, pair.side2), kept, strict=True)]
    sides = [_part(*each) for each in zip((pair.side1, pair.side2), kept, stand_ins, strict=True)]
    rows1, rows2 = (slice(None) if ids is None else ids for ids in (ids1, ids2))
    return replace(
        pair,
        side1=sides[0],
        side2=sides[1],
        p2p21=_through(pair.p2p21[rows2], stand_ins[0]),
        p2p12=_through(pair.p2p12[rows1], stand_ins[1]),
        confidence2=None if pair.confidence2 is None else pair.confidence2[rows2],
        errors2=None if pair.errors2 is None else pair.errors2[rows2],
        told=[*pair.told, told],
    )


def _side(shape: Shape) -> Side:
    verts, faces = as_array(shape.verts), as_array(shape.faces)
    return Side(shape.name, verts, faces, evecs=as_array(shape.basis.evecs), mass=as_array(shape.basis.mass))


Kept = tuple[Int[ndarray, " m"] | None, Int[ndarray, "g 3"] | None]  # vertices that stay, faces between them


def _kept(side: Side, most: int) -> Kept:
    if len(side.verts) <= most:
        return None, None
    verts = side.verts.astype(np.float64)
    cell = np.sqrt(1.5 * face_areas(verts, side.faces).sum() / most)
    while True:
        ids, faces, _ = thin(verts, side.faces, cell=cell)
        used, corners = np.unique(faces, return_inverse=True)
        if len(used) <= most:
            return ids[used], corners.reshape(-1, 3)
        cell *= 1.1


def _part(side: Side, kept: Kept, stand_ins: Int[ndarray, " n"]) -> Side:
    """The vertices that stay; each also has the mass of those that it stands for."""
    ids, faces = kept
    if ids is None or faces is None:
        return side
    return Side(
        side.name,
        side.verts[ids],
        faces,
        ids=ids if side.ids is None else side.ids[ids],
        evecs=None if side.evecs is None else side.evecs[ids],
        mass=None if side.mass is None else np.bincount(stand_ins, weights=side.mass, minlength=len(ids)),
        features=None if side.features is None else side.features[ids],
    )


def _stand_ins(side: Side, ids: Int[ndarray, " m"] | None) -> Int[ndarray, " n"]:
    """For each vertex the place of the nearest one that stays among these."""
    if ids is None:
        return np.arange(len(side.verts))
    return cKDTree(side.verts[ids]).query(side.verts)[1]


def _through(ids: Int[ndarray, " m"], stand_ins: Int[ndarray, " n"]) -> Int[ndarray, " m"]:
    return np.where(ids < 0, -1, stand_ins[ids.clip(0)])
