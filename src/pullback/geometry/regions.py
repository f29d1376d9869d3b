"""Regions of a surface: where the images of points lie densely, tidied, and cut out as meshes of their own."""

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse import csgraph
from torch import Tensor

from pullback.geometry.connectivity import boundary_edges, edge_component_labels
from pullback.geometry.mesh import face_areas
from pullback.types import Eigenbasis

# Images of points are spread by heat for this time: over √(2t), 5 % of √area, about two cells of a map.
_TIME = 1.5e-3
_HOLE = 0.02  # pieces around a region of less than this share of the area are holes of a map, and filled


def longest_boundary(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> float:
    """The length of the longest connected piece of the boundary, in units of √area; 0 for a closed surface."""
    edges = boundary_edges(faces)
    if not len(edges):
        return 0.0
    lengths = np.linalg.norm(verts[edges[:, 0]] - verts[edges[:, 1]], axis=1)
    graph = sp.csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(verts), len(verts)))
    label = csgraph.connected_components(graph, directed=False)[1][edges[:, 0]]
    return float(np.bincount(label, weights=lengths).max() / np.sqrt(face_areas(verts, faces).sum()))


def image_density(
    images: Int[Tensor, " m"], mass: Float[Tensor, " m"], basis: Eigenbasis, *, time: float = _TIME
) -> Float[Tensor, " n"]:
    """How densely points of these masses lie around each point of a surface, once they are sent to their images.

    About ``sum(mass)`` everywhere for a map onto a surface of unit area.
    """
    heap = torch.zeros_like(basis.mass).index_add_(0, images, mass.to(basis.mass))
    return basis.synthesise(torch.exp(-time * basis.evals) * (basis.evecs.T @ heap))


def largest_share(values: Float[ndarray, " n"], mass: Float[ndarray, " n"], share: float) -> Bool[ndarray, " n"]:
    """The points of the largest values that make up a share of the mass."""
    order = np.argsort(-values, kind="stable")
    kept = np.zeros(len(values), dtype=bool)
    kept[order[np.cumsum(mass[order]) <= share * mass.sum() * (1 + 1e-9)]] = True
    return kept


def tidied(kept: Bool[ndarray, " n"], graph: sp.csr_matrix, mass: Float[ndarray, " n"]) -> Bool[ndarray, " n"]:
    """The largest connected piece of a region, with small holes filled."""
    pieces = _pieces(kept, graph)
    if not pieces:
        return kept
    found = np.zeros_like(kept)
    found[max(pieces, key=lambda piece: mass[piece].sum())] = True
    for piece in _pieces(~found, graph):
        if mass[piece].sum() < _HOLE * mass.sum():
            found[piece] = True
    return found


def _pieces(kept: Bool[ndarray, " n"], graph: sp.csr_matrix) -> list[Int[ndarray, " p"]]:
    ids = np.flatnonzero(kept)
    if not len(ids):
        return []
    count, label = csgraph.connected_components(graph[ids][:, ids], directed=False)
    return [ids[label == i] for i in range(count)]


def overlap(one: Bool[ndarray, " n"], other: Bool[ndarray, " n"], mass: Float[ndarray, " n"]) -> float:
    """Intersection over union of two regions, by area."""
    return float(mass[one & other].sum() / max(mass[one | other].sum(), 1e-300))


def cut_out(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], kept: Bool[ndarray, " n"]
) -> tuple[Int[ndarray, " m"], Int[ndarray, "g 3"]] | None:
    """``(vertices, faces)`` of the largest piece within a region, connected through edges.

    The vertices' numbers, and the faces between them. None where no face lies within.
    """
    inside = faces[kept[faces].all(axis=1)]
    if not len(inside):
        return None
    label = edge_component_labels(inside)
    inside = inside[label == np.bincount(label, weights=face_areas(verts, inside)).argmax()]
    ids, corners = np.unique(inside, return_inverse=True)
    return ids, corners.reshape(-1, 3).astype(np.int64)
