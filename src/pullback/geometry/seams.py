"""Vertices that stand twice in a file at one place: along the seams of textures, between pieces, at edges without length.

Texture coordinates, normals and materials tear a surface open along seams: each side has vertices of its own. Such seams are sewn.
What lies on itself without being torn (two closed sheets that touch) is left alone.
"""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int
from numpy import ndarray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pullback.geometry.connectivity import boundary_edges, component_labels, group_rows

# Two sides of a seam may be that far apart (exporters round to seven digits): a share of the mesh's size, and of the edges there.
_REACH = 1e-6
_SHARE_OF_EDGE = 1e-3
_NEIGHBOURS = 8  # places that are looked at for the other side of a seam


def joined_vertices(verts: ndarray, faces: ndarray) -> tuple[Int[ndarray, " n"], list[str]]:
    """For each vertex the one that takes its place (itself for most), and notes.

    Joined are the ends of boundary edges that lie on each other and run in opposite ways, exactly or but for rounding; vertices at
    exactly one place in different pieces of the mesh; and the ends of edges without length.
    """
    notes: list[str] = []
    alias = np.arange(len(verts))
    short = _short_edges(verts, faces)
    used = np.unique(faces)
    first, place = group_rows(verts[used])
    if len(first) < len(used):
        groups = np.full(len(verts), -1)
        groups[used] = place
        seams = _seam_links(groups, faces)
        if len(seams):
            alias = _merged(alias, seams)
            notes.append(f"{_gone(alias)} doubled vertices along seams (as of a texture) were sewn to their twins")
        before = alias
        alias = _merged(alias, np.concatenate([short, _links_between_pieces(groups, used, alias[faces])]))
        count = _gone(alias) - _gone(before)
        if count:
            notes.append(f"{count} vertices lie exactly on another one and were joined with it")
    return _with_near_seams(verts, faces, alias, notes), notes


def _with_near_seams(verts: ndarray, faces: ndarray, alias: ndarray, notes: list[str]) -> ndarray:
    """Sewn, too, where the sides of a seam differ by rounding."""
    groups, apart = _near_places(verts, _proper(alias[faces]))
    if groups is None:
        return alias
    links = _seam_links(groups, alias[faces])
    if not len(links):
        return alias
    merged = _merged(alias, links)
    count = _gone(merged) - _gone(alias)
    notes.append(f"{count} vertices along seams lie up to {apart:.0e} of the mesh's size from their twins and were sewn to them")
    return merged


def _gone(alias: ndarray) -> int:
    return int((alias != np.arange(len(alias))).sum())


def _near_places(verts: ndarray, faces: ndarray) -> tuple[Int[ndarray, " n"] | None, float]:
    """A number for each vertex, equal for boundary vertices that rounding may have moved apart, and the largest distance among these."""
    edges = boundary_edges(faces)
    rim = np.unique(edges)
    if not len(rim):
        return None, 0.0
    size = float(np.linalg.norm(np.ptp(verts[np.unique(faces)], axis=0)))
    shortest = np.full(len(verts), np.inf)
    length = np.linalg.norm(verts[edges[:, 0]] - verts[edges[:, 1]], axis=1)
    for side in edges.T:
        np.minimum.at(shortest, side, length)
    reach = np.minimum(_REACH * size, _SHARE_OF_EDGE * shortest[rim])
    dist, other = cKDTree(verts[rim]).query(verts[rim], k=min(_NEIGHBOURS, len(rim)), distance_upper_bound=_REACH * size)
    dist, other = dist.reshape(len(rim), -1), other.reshape(len(rim), -1)
    row, column = np.nonzero(np.isfinite(dist))
    pair, gap = np.stack([row, other[row, column]], axis=1), dist[row, column]
    close = (gap <= np.minimum(reach[pair[:, 0]], reach[pair[:, 1]])) & (pair[:, 0] != pair[:, 1])
    if not close.any():
        return None, 0.0
    groups = _merged(np.arange(len(verts)), rim[pair[close]])
    return groups, float(gap[close].max() / size)


def _seam_links(place: ndarray, faces: ndarray) -> Int[ndarray, "l 2"]:
    """Pairs of vertices to join: of boundary edges of which just two lie at the same two places, in opposite ways."""
    edges = boundary_edges(_proper(faces))
    ends = place[edges]
    edges, ends = edges[ends[:, 0] != ends[:, 1]], ends[ends[:, 0] != ends[:, 1]]
    if not len(edges):
        return np.empty((0, 2), dtype=np.int64)
    _, group = group_rows(np.sort(ends, axis=1))
    forward = ends[:, 0] < ends[:, 1]
    one_each_way = (np.bincount(group, weights=forward) == 1) & (np.bincount(group, weights=~forward) == 1)
    ahead, back = (np.flatnonzero(one_each_way[group] & way) for way in (forward, ~forward))
    ahead, back = ahead[np.argsort(group[ahead])], back[np.argsort(group[back])]
    links = np.concatenate([np.stack([edges[ahead, i], edges[back, 1 - i]], axis=1) for i in range(2)])
    return links[links[:, 0] != links[:, 1]]


def _links_between_pieces(place: ndarray, used: ndarray, faces: ndarray) -> Int[ndarray, "l 2"]:
    """Pairs of vertices at one place in different pieces of the mesh, and between the copies there that a piece may have."""
    labels = component_labels(faces)
    if labels.max() == 0:
        return np.empty((0, 2), dtype=np.int64)
    piece = np.full(len(place), -1)
    piece[faces] = labels[:, None]
    present = used[piece[used] >= 0]  # the others are sewn already
    order = present[np.lexsort((piece[present], place[present]))]
    same = place[order[1:]] == place[order[:-1]]
    start = np.concatenate([[0], np.flatnonzero(~same) + 1])
    groups = np.repeat(np.arange(len(start)), np.diff(start, append=len(order)))
    several = piece[order[start]] != piece[order[np.append(start[1:], len(order)) - 1]]
    chosen = same & several[groups[1:]]
    return np.stack([order[:-1][chosen], order[1:][chosen]], axis=1)


def _short_edges(verts: ndarray, faces: ndarray) -> Int[ndarray, "l 2"]:
    """The ends of edges without length."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return edges[(verts[edges[:, 0]] == verts[edges[:, 1]]).all(axis=1) & (edges[:, 0] != edges[:, 1])]


def _merged(alias: ndarray, links: ndarray) -> Int[ndarray, " n"]:
    """Aliases after the vertices of each link became one: the first of them."""
    if not len(links):
        return alias
    n = len(alias)
    tails, heads = np.concatenate([np.stack([np.arange(n), alias], axis=1), links]).T
    labels = connected_components(sp.csr_matrix((np.ones(len(tails), np.int8), (tails, heads)), shape=(n, n)), directed=False)[1]
    return np.unique(labels, return_index=True)[1][labels]


def _proper(faces: ndarray) -> ndarray:
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]
