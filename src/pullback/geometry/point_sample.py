"""A few well-spread vertices of a mesh that stand for all of it, each with the mass of the vertices nearest to it."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse import csgraph

from pullback.geometry.geodesic import edge_graph
from pullback.geometry.mesh import vertex_normals

# Candidates for each point of the sample: more of them spread it more evenly, in quadratic time.
_CANDIDATES = 5


def sample_points(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], mass: Float[ndarray, " n"], *, count: int = 3000
) -> tuple[Int[ndarray, " s"], Float[ndarray, " s"]]:
    """``(points, sample_mass)``: ascending vertex ids, and the mass of the vertices nearest to each.

    Farthest points among random vertices drawn by mass; the same mesh gives the same sample. All vertices when there
    are no more than ``count``. Every connected component gets a point, even if that makes more than ``count``. Raises
    ValueError for count < 1.
    """
    if count < 1:
        raise ValueError(f"a sample of {count} points stands for nothing; use data.samples=3000")
    if count >= len(verts):
        return np.arange(len(verts)), mass
    graph = edge_graph(verts, faces)
    candidates, start = _candidates(graph, mass, count)
    points = np.sort(candidates[_farthest(verts[candidates], vertex_normals(verts, faces)[candidates], start, count)])
    cell = nearest_source(graph, points)[0]
    return points, np.bincount(cell, weights=mass, minlength=len(points))


def nearest_source(
    graph: sp.csr_matrix, sources: Int[ndarray, " s"]
) -> tuple[Int[ndarray, " n"], Float[ndarray, " n"]]:
    """For each vertex the number (0 … s - 1) of the source nearest to it along the edges, and its distance."""
    dist, _, nearest = csgraph.dijkstra(graph, indices=sources, min_only=True, return_predecessors=True)
    number = np.zeros(len(dist), dtype=np.int64)
    number[sources] = np.arange(len(sources))
    cell = number[nearest]
    cell[sources] = np.arange(len(sources))  # also where sources lie on top of each other
    return cell, dist


def _candidates(
    graph: sp.csr_matrix, mass: Float[ndarray, " n"], count: int
) -> tuple[Int[ndarray, " m"], Bool[ndarray, " m"]]:
    """Random vertices, drawn without replacement by mass, with the heaviest of each component; and which are these."""
    # The m smallest of exponential times with rates ∝ mass are a draw without replacement (Efraimidis & Spirakis 2006).
    times = np.random.default_rng(0).standard_exponential(len(mass)) / mass
    drawn = np.argpartition(times, min(_CANDIDATES * count, len(mass)) - 1)[: _CANDIDATES * count]
    component = csgraph.connected_components(graph, directed=False)[1]
    by_mass = np.argsort(-mass, kind="stable")
    heaviest = by_mass[np.unique(component[by_mass], return_index=True)[1]]
    candidates = np.union1d(drawn, heaviest)
    return candidates, np.isin(candidates, heaviest)


def _farthest(
    places: Float[ndarray, "m 3"], normals: Float[ndarray, "m 3"], start: Bool[ndarray, " m"], count: int
) -> Int[ndarray, " s"]:
    """``count`` places, each the farthest from those before, beginning with the ``start``.

    Straight distances, but none between places whose normals are opposed: the two sides of a hand or of touching legs
    are far apart.
    """
    places, normals = places.T.astype(np.float32).copy(), normals.T.astype(np.float32).copy()
    square = np.full(places.shape[1], np.inf, dtype=np.float32)
    chosen: list[int] = []
    waiting = list(np.flatnonzero(start)[::-1])
    while waiting or len(chosen) < count:
        new = waiting.pop() if waiting else int(square.argmax())
        step = ((places - places[:, [new]]) ** 2).sum(axis=0)
        step[normals[:, new] @ normals < 0] = np.inf
        np.minimum(square, step, out=square)
        square[new] = -1
        chosen.append(new)
    return np.array(chosen)
