"""A few points of a mesh, each as far as can be from those before: first at the tips of the limbs."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csgraph

from pullback.geometry.geodesic import edge_graph


def farthest_points(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], candidates: Int[ndarray, " c"], count: int
) -> Int[ndarray, " count"]:
    """Numbers (0 … c - 1) of ``count`` of the candidate vertices, by farthest point sampling along the edges.

    The first is the one farthest from the candidate that is nearest to the candidates' centroid, so nothing depends on
    the order of the vertices, or is random. A part that is not connected to the rest counts as infinitely far. Raises
    ValueError when the candidates are fewer than ``count`` distinct vertices.
    """
    distinct, place = np.unique(candidates, return_index=True)
    if not 1 <= count <= len(distinct):
        raise ValueError(f"{count} points cannot be chosen among {len(distinct)} distinct ones")
    graph = edge_graph(verts, faces)
    central = np.linalg.norm(verts[distinct] - verts[distinct].mean(axis=0), axis=1).argmin()
    chosen = [int(csgraph.dijkstra(graph, indices=distinct[central])[distinct].argmax())]
    dist = np.full(len(distinct), np.inf)
    while len(chosen) < count:
        dist = np.minimum(dist, csgraph.dijkstra(graph, indices=distinct[chosen[-1]])[distinct])
        chosen.append(int(dist.argmax()))
    return place[chosen]
