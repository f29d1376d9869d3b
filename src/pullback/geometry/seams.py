"""Vertices that stand twice in a file at one place: at seams of textures, between pieces.

Texture coordinates, normals and materials tear a surface open along seams: each side has vertices of its own. Such
seams are sewn. What lies on itself without being torn (two closed sheets that touch) is left alone.
"""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pullback.geometry.connectivity import boundary_edges, boundary_half_edges, component_labels, group_rows

# Two sides of a seam may be that far apart (exporters round to seven digits): a share of the mesh's size, and of the
# edges there.
_REACH = 1e-6
_SHARE_OF_EDGE = 1e-3
_ONE_SIDE = 0.7  # cosine of the angle at an edge within which two faces lie on the same side of it
_NEIGHBOURS = 8  # places that are looked at for the other side of a seam


def joined_vertices(verts: ndarray, faces: ndarray) -> tuple[Int[ndarray, " n"], list[str]]:
    """For each vertex the one that takes its place (itself for most), and notes.

    Joined are the ends of boundary edges that lie on each other, exactly or up to rounding, where the surface goes on
    from one to the other; vertices at exactly one place in different pieces of the mesh; the ends of edges without
    length; and the rim of a hole that is smaller than rounding, as around the pole of a sphere in rows and columns.
    """
    notes: list[str] = []
    alias = np.arange(len(verts))
    short = _short_edges(verts, faces)
    used = np.unique(faces)
    first, place = group_rows(verts[used])
    if len(first) < len(used):
        groups = np.full(len(verts), -1)
        groups[used] = place
        seams = _seam_links(verts, groups, faces)
        if len(seams):
            alias = _merged(alias, seams)
            notes.append(f"{_gone(alias)} doubled vertices along seams (as of a texture) were sewn to their twins")
        before = alias
        alias = _merged(alias, np.concatenate([short, _links_between_pieces(groups, used, alias[faces])]))
        count = _gone(alias) - _gone(before)
        if count:
            notes.append(f"{count} vertices lie exactly on another one and were joined with it")
    alias = _with_near_seams(verts, faces, alias, notes)
    return _without_tiny_holes(verts, faces, alias, notes), notes


def _without_tiny_holes(verts: ndarray, faces: ndarray, alias: ndarray, notes: list[str]) -> ndarray:
    """The rims of holes smaller than rounding as one vertex each."""
    edges = boundary_edges(_proper(alias[faces]))
    if not len(edges):
        return alias
    rim, ends = np.unique(edges, return_inverse=True)
    loop = _connected(ends.reshape(-1, 2), len(rim))
    order = np.argsort(loop, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(loop[order]) > 0))
    place = verts[rim][order]
    extent = (np.maximum.reduceat(place, starts) - np.minimum.reduceat(place, starts)).max(axis=1)
    tiny = (extent <= _REACH * _size(verts, faces))[loop]
    if not tiny.any():
        return alias
    merged = _merged(alias, np.stack([rim[order[starts]][loop[tiny]], rim[tiny]], axis=1))
    notes.append(f"{_gone(merged) - _gone(alias)} vertices around holes smaller than rounding were joined")
    return merged


def _with_near_seams(verts: ndarray, faces: ndarray, alias: ndarray, notes: list[str]) -> ndarray:
    """Sewn, too, where the sides of a seam differ by rounding."""
    groups, apart = _near_places(verts, _proper(alias[faces]))
    if groups is None:
        return alias
    links = _seam_links(verts, groups, alias[faces])
    if not len(links):
        return alias
    merged = _merged(alias, links)
    count = _gone(merged) - _gone(alias)
    notes.append(
        f"{count} vertices along seams lie up to {apart:.0e} of the mesh's size from their twins and were sewn to them"
    )
    return merged


def _gone(alias: ndarray) -> int:
    return int((alias != np.arange(len(alias))).sum())


def _near_places(verts: ndarray, faces: ndarray) -> tuple[Int[ndarray, " n"] | None, float]:
    """A number for each vertex, equal for twins on boundaries, and the largest distance among twins."""
    edges = boundary_edges(faces)
    rim = np.unique(edges)
    if not len(rim):
        return None, 0.0
    size = _size(verts, faces)
    shortest = np.full(len(verts), np.inf)
    length = np.linalg.norm(verts[edges[:, 0]] - verts[edges[:, 1]], axis=1)
    for side in edges.T:
        np.minimum.at(shortest, side, length)
    reach = np.minimum(_REACH * size, _SHARE_OF_EDGE * shortest[rim])
    dist, other = cKDTree(verts[rim]).query(
        verts[rim], k=min(_NEIGHBOURS, len(rim)), distance_upper_bound=_REACH * size
    )
    dist, other = dist.reshape(len(rim), -1), other.reshape(len(rim), -1)
    row, column = np.nonzero(np.isfinite(dist))
    pair, gap = np.stack([row, other[row, column]], axis=1), dist[row, column]
    close = (gap <= np.minimum(reach[pair[:, 0]], reach[pair[:, 1]])) & (pair[:, 0] != pair[:, 1])
    if not close.any():
        return None, 0.0
    groups = _merged(np.arange(len(verts)), rim[pair[close]])
    return groups, float(gap[close].max() / size)


def _seam_links(verts: ndarray, place: ndarray, faces: ndarray) -> Int[ndarray, "l 2"]:
    """Pairs of vertices to join, where just two boundary edges lie on each other and the surface goes on.

    It does where they run in opposite ways, or else where their faces lie on different sides (in a Möbius strip, or
    where a chart is turned inside out): two layers of the same sense lie on one side.
    """
    faces = _proper(faces)
    half_edges = boundary_half_edges(faces)
    edges = np.stack([faces.ravel()[half_edges], faces[:, [1, 2, 0]].ravel()[half_edges]], axis=1)
    ends = place[edges]
    some = ends[:, 0] != ends[:, 1]
    half_edges, edges, ends = half_edges[some], edges[some], ends[some]
    if not len(edges):
        return np.empty((0, 2), dtype=np.int64)
    backward = ends[:, 0] > ends[:, 1]
    _, group = group_rows(np.sort(ends, axis=1))
    order = np.argsort(group, kind="stable")
    two = np.flatnonzero(np.bincount(group) == 2)
    one = np.searchsorted(group, two, sorter=order)
    one, other = order[one], order[one + 1]
    goes_on = backward[one] != backward[other]
    alike = np.flatnonzero(~goes_on)
    here, there = (_inward(verts, faces, half_edges[side[alike]]) for side in (one, other))
    goes_on[alike] = (here * there).sum(axis=1) < _ONE_SIDE * np.linalg.norm(here, axis=1) * np.linalg.norm(
        there, axis=1
    )
    one, other = one[goes_on], other[goes_on]
    matching = np.where((backward[one] == backward[other])[:, None], edges[other], edges[other][:, ::-1])
    links = np.stack([edges[one], matching], axis=2).reshape(-1, 2)
    return links[links[:, 0] != links[:, 1]]


def _inward(verts: ndarray, faces: ndarray, half_edges: ndarray) -> Float[ndarray, "h 3"]:
    """Into the face of each half-edge, at right angles to the edge; not of unit length."""
    tail, head, apex = (verts[faces[half_edges // 3, (half_edges + step) % 3]] for step in range(3))
    along = head - tail
    share = ((apex - tail) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
    return apex - tail - share[:, None] * along


def _links_between_pieces(place: ndarray, used: ndarray, faces: ndarray) -> Int[ndarray, "l 2"]:
    """Pairs of vertices at one place in different pieces of the mesh, or copies within a piece."""
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


def _size(verts: ndarray, faces: ndarray) -> float:
    """The diagonal of the box around all faces."""
    return float(np.linalg.norm(np.ptp(verts[np.unique(faces)], axis=0)))


def _connected(links: ndarray, n: int) -> Int[ndarray, " n"]:
    """A label 0, 1, … for each of n nodes; those that links connect have the same."""
    tails, heads = links.T
    return connected_components(
        sp.csr_matrix((np.ones(len(tails), np.int8), (tails, heads)), shape=(n, n)), directed=False
    )[1]


def _merged(alias: ndarray, links: ndarray) -> Int[ndarray, " n"]:
    """Aliases after the vertices of each link became one: the first of them."""
    if not len(links):
        return alias
    n = len(alias)
    labels = _connected(np.concatenate([np.stack([np.arange(n), alias], axis=1), links]), n)
    return np.unique(labels, return_index=True)[1][labels]


def _proper(faces: ndarray) -> ndarray:
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]
