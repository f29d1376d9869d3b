"""Which vertices, edges and faces of a triangle mesh touch which."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int, Shaped
from numpy import ndarray
from scipy.sparse.csgraph import connected_components


def group_rows(rows: Shaped[ndarray, "r c"]) -> tuple[Int[ndarray, " g"], Int[ndarray, " r"]]:
    """Index of the first of each group of equal rows, and the group of each row; ``np.unique(axis=0)`` several times quicker."""
    order = np.lexsort(rows.T)
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = (rows[order[1:]] != rows[order[:-1]]).any(axis=1)
    group = np.empty(len(rows), dtype=np.int64)
    group[order] = np.cumsum(starts) - 1
    return order[starts], group


def face_edges(faces: Int[ndarray, "f 3"]) -> tuple[Int[ndarray, " h"], Int[ndarray, " e"]]:
    """The undirected edge (a number 0, 1, …) of each of the 3 f half-edges, and the number of faces around each edge.

    Half-edge h runs from corner h of ``faces.ravel()`` to the next corner of face h // 3. An edge with one face is on the
    boundary, one with more than two is not manifold.
    """
    tails, heads = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    keys = np.minimum(tails, heads).astype(np.int64) * (int(faces.max()) + 1) + np.maximum(tails, heads)
    _, edge, use = np.unique(keys, return_inverse=True, return_counts=True)
    return edge, use


def component_labels(faces: Int[ndarray, "f 3"]) -> Int[ndarray, " f"]:
    """A label 0, 1, … for each face; faces that are connected through shared vertices have the same."""
    n = int(faces.max()) + 1
    graph = sp.csr_matrix((np.ones(2 * len(faces)), (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())), shape=(n, n))
    labels = connected_components(graph, directed=False)[1][faces[:, 0]]
    return np.unique(labels, return_inverse=True)[1]  # vertices in no face had labels of their own


def euler_characteristic(faces: Int[ndarray, "f 3"]) -> int:
    """V - E + F: 2 for a sphere, lower by 2 for each handle and by 1 for each hole."""
    return len(np.unique(faces)) - len(face_edges(faces)[1]) + len(faces)


def is_closed_manifold(faces: Int[ndarray, "f 3"]) -> bool:
    """Every edge has two faces, and the faces around every vertex form one ring."""
    edge, use = face_edges(faces)
    if (use != 2).any():
        return False
    # A corner hangs together with the corner at the same vertex in the face across each edge: one group of corners for each vertex.
    tails, heads = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    corner = np.arange(len(tails))
    following = corner.reshape(-1, 3)[:, [1, 2, 0]].ravel()
    across = np.argsort(edge).reshape(-1, 2)
    at_lower = np.where(tails < heads, corner, following)[across]
    at_upper = np.where(tails < heads, following, corner)[across]
    links = np.concatenate([at_lower, at_upper])
    graph = sp.csr_matrix((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(corner), len(corner)))
    return connected_components(graph, directed=False)[0] == len(np.unique(faces))
