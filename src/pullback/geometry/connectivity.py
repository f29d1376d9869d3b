"""Which vertices, edges and faces of a triangle mesh touch which."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int, Shaped
from numpy import ndarray
from scipy.sparse.csgraph import connected_components


def group_rows(rows: Shaped[ndarray, "r c"]) -> tuple[Int[ndarray, " g"], Int[ndarray, " r"]]:
    """Index of the first of each group of equal rows, and the group of each row.

    ``np.unique(axis=0)`` several times quicker.
    """
    order = np.lexsort(rows.T)
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = (rows[order[1:]] != rows[order[:-1]]).any(axis=1)
    group = np.empty(len(rows), dtype=np.int64)
    group[order] = np.cumsum(starts) - 1
    return order[starts], group


def has_equal_rows(rows: Int[ndarray, "r c"]) -> bool:
    """Whether any two rows of non-negative numbers are equal; quicker than to group them."""
    bound = int(rows.max(initial=0)) + 1
    if bound ** rows.shape[1] > np.iinfo(np.int64).max:
        return len(group_rows(rows)[0]) < len(rows)
    keys = np.sort(np.ravel_multi_index(tuple(rows.T), (bound,) * rows.shape[1]))
    return bool((keys[1:] == keys[:-1]).any())


def half_edges_by_edge(faces: Int[ndarray, "f 3"]) -> tuple[Int[ndarray, " h"], Int[ndarray, " e"]]:
    """The 3 f half-edges sorted by undirected edge, and where each edge begins among them.

    Half-edge h runs from corner h of ``faces.ravel()`` to the next corner of face h // 3.
    """
    n, tails, heads = int(faces.max()) + 1, faces.ravel(), faces[:, [1, 2, 0]].ravel()
    keys = np.minimum(tails, heads).astype(np.int64) * n + np.maximum(tails, heads)
    bits = len(keys).bit_length()
    if n**2 << bits <= 2**64:  # sorting numbers is several times quicker than sorting their places
        packed = np.sort((keys.astype(np.uint64) << np.uint64(bits)) | np.arange(len(keys), dtype=np.uint64))
        order, keys = (packed & np.uint64(2**bits - 1)).astype(np.int64), packed >> np.uint64(bits)
    else:
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
    return order, np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))


def face_edges(faces: Int[ndarray, "f 3"]) -> tuple[Int[ndarray, " h"], Int[ndarray, " e"]]:
    """The undirected edge (a number 0, 1, …) of each of the 3 f half-edges, and the number of faces around each edge.

    An edge with one face is on the boundary, one with more than two is not manifold.
    """
    order, start = half_edges_by_edge(faces)
    use = np.diff(start, append=len(order))
    edge = np.empty(len(order), dtype=np.int64)
    edge[order] = np.repeat(np.arange(len(start)), use)
    return edge, use


def boundary_half_edges(faces: Int[ndarray, "f 3"]) -> Int[ndarray, " b"]:
    """The half-edges, numbered as in ``half_edges_by_edge``, of the edges with one face."""
    if not len(faces):
        return np.empty(0, dtype=np.int64)
    half_edges, start = half_edges_by_edge(faces)
    return half_edges[start[np.diff(start, append=len(half_edges)) == 1]]


def boundary_edges(faces: Int[ndarray, "f 3"]) -> Int[ndarray, "b 2"]:
    """The ends of the edges with one face, in the sense of that face."""
    alone = boundary_half_edges(faces)
    return np.stack([faces.ravel()[alone], faces[:, [1, 2, 0]].ravel()[alone]], axis=1)


def edge_component_labels(faces: Int[ndarray, "f 3"]) -> Int[ndarray, " f"]:
    """As ``component_labels``, but only faces that share an edge are connected."""
    half_edges, start = half_edges_by_edge(faces)
    follows = np.ones(len(half_edges) - 1, dtype=bool)  # the next half-edge lies on the same edge
    follows[start[1:] - 1] = False
    one, other = half_edges[:-1][follows] // 3, half_edges[1:][follows] // 3
    graph = sp.csr_matrix((np.ones(len(one), np.int8), (one, other)), shape=(len(faces), len(faces)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def component_labels(faces: Int[ndarray, "f 3"]) -> Int[ndarray, " f"]:
    """A label 0, 1, … for each face; faces that are connected through shared vertices have the same."""
    n, f = int(faces.max()) + 1, len(faces)
    # faces are nodes after the vertices
    starts = np.concatenate([np.zeros(n, np.int32), np.arange(0, 3 * f + 1, 3, dtype=np.int32)])
    graph = sp.csr_matrix((np.ones(3 * f, np.int8), faces.ravel().astype(np.int32), starts), shape=(n + f, n + f))
    labels = connected_components(graph, directed=False)[1][faces[:, 0]]
    return (np.cumsum(np.bincount(labels) > 0) - 1)[labels]  # vertices in no face had labels of their own


def euler_characteristic(faces: Int[ndarray, "f 3"]) -> int:
    """V - E + F: 2 for a sphere, lower by 2 for each handle and by 1 for each hole."""
    return len(np.unique(faces)) - len(face_edges(faces)[1]) + len(faces)


def is_closed_manifold(faces: Int[ndarray, "f 3"]) -> bool:
    """Every edge has two faces, and the faces around every vertex form one ring."""
    half_edges, start = half_edges_by_edge(faces)
    if (np.diff(start, append=len(half_edges)) != 2).any():
        return False
    # A corner hangs together with the corner at the same vertex in the face across each edge: one group of corners for
    # each vertex.
    tails, heads = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    corner = np.arange(len(tails))
    following = corner.reshape(-1, 3)[:, [1, 2, 0]].ravel()
    across = half_edges.reshape(-1, 2)
    at_lower = np.where(tails < heads, corner, following)[across]
    at_upper = np.where(tails < heads, following, corner)[across]
    links = np.concatenate([at_lower, at_upper])
    graph = sp.csr_matrix((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(corner), len(corner)))
    return connected_components(graph, directed=False)[0] == len(np.unique(faces))
