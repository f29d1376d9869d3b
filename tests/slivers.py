"""Slivers in good meshes: the surface hardly changes, the triangulation becomes as bad as people's meshes are.

Each function takes a closed mesh and gives it with ``count`` bad places of relative ``size``; old vertices keep their
numbers.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from pullback.geometry.connectivity import half_edges_by_edge

Mesh = tuple[np.ndarray, np.ndarray]


def caps(verts: np.ndarray, faces: np.ndarray, *, count: int, size: float) -> Mesh:
    """T-junctions closed by a flat triangle: a vertex on an edge (but for ``size`` of its length)
    that one side of it does not use.
    """
    added, kept, new = [], np.ones(len(faces), bool), []
    for face, _, (a, b, c, _) in _edges(faces, count):
        m = len(verts) + len(added)
        along = verts[b] - verts[a]
        added.append((verts[a] + verts[b]) / 2 + size * np.linalg.norm(along) * _unit(verts[c] - verts[a]))
        kept[face] = False
        new += [[a, m, c], [m, b, c], [a, b, m]]
    return _joined(verts, faces[kept], added, new)


def filled_caps(verts: np.ndarray, faces: np.ndarray, *, count: int, size: float) -> Mesh:
    """Caps with one more vertex inside: all its faces are flat."""
    verts, faces = caps(verts, faces, count=count, size=size)
    flat = faces[-3 * count :][2::3]
    added = list(verts[flat].mean(axis=1))
    m = len(verts) + np.arange(count)
    a, b, c = flat.T
    new = [*np.stack([a, b, m], 1).tolist(), *np.stack([b, c, m], 1).tolist(), *np.stack([c, a, m], 1).tolist()]
    flats = np.zeros(len(faces), bool)
    flats[-3 * count :][2::3] = True
    return _joined(verts, faces[~flats], added, new)


def needles(verts: np.ndarray, faces: np.ndarray, *, count: int, size: float) -> Mesh:
    """Edges split very near to one end: two needles and two good triangles in the place of two."""
    added, kept, new = [], np.ones(len(faces), bool), []
    for face, other, (a, b, c, d) in _edges(faces, count):
        m = len(verts) + len(added)
        added.append(verts[a] + size * (verts[b] - verts[a]))
        kept[[face, other]] = False
        new += [[a, m, c], [m, b, c], [b, m, d], [m, a, d]]
    return _joined(verts, faces[kept], added, new)


def beads(verts: np.ndarray, faces: np.ndarray, *, count: int, size: float) -> Mesh:
    """Edges with five vertices on them, ``size`` of the length apart, of which one side uses only the ends."""
    added, kept, new = [], np.ones(len(faces), bool), []
    for face, _, (a, b, c, _) in _edges(faces, count):
        first = len(verts) + len(added)
        places = 0.5 + size * np.arange(5)
        added += list(verts[a] + places[:, None] * (verts[b] - verts[a]))
        chain = [a, *range(first, first + 5), b]
        kept[face] = False
        new += [[i, j, c] for i, j in pairwise(chain)] + [[a, j, i] for i, j in pairwise(chain[1:])]
    return _joined(verts, faces[kept], added, new)


def folds(verts: np.ndarray, faces: np.ndarray, *, count: int, size: float) -> Mesh:
    """A vertex that should lie inside of a face lies ``size`` outside: a triangle folded back over its neighbours."""
    added, kept, new = [], np.ones(len(faces), bool), []
    for face, _, (a, b, c, _) in _edges(faces, count):
        m = len(verts) + len(added)
        middle = (verts[a] + verts[b]) / 2
        added.append(middle - size * (verts[c] - middle))
        kept[face] = False
        new += [[a, b, m], [b, c, m], [c, a, m]]
    return _joined(verts, faces[kept], added, new)


def twins(verts: np.ndarray, faces: np.ndarray, *, count: int, size: float) -> Mesh:
    """Vertices split in two, ``size`` of an edge apart, that two needles connect."""
    added, faces = [], faces.copy()
    for _, _, (a, b, _, _) in _edges(faces, count):
        m = len(verts) + len(added)
        around = np.flatnonzero((faces == a).any(axis=1))
        turned = {int(row): np.roll(faces[row], -int(np.flatnonzero(faces[row] == a)[0])) for row in around}
        after = {int(x): (row, int(y)) for row, (_, x, y) in turned.items()}
        ring = [b]
        while len(ring) < len(after):
            ring.append(after[ring[-1]][1])
        last = ring[len(ring) // 2]
        for start in ring[: len(ring) // 2]:
            row = faces[after[start][0]]
            row[row == a] = m
        added.append(verts[a] + size * (verts[ring[1]] - verts[a]))
        faces = np.concatenate([faces, [[a, b, m], [a, m, last]]])
    return np.concatenate([verts, np.array(added)]), faces


KINDS: dict[str, Callable[..., Mesh]] = {
    "caps": caps, "filled_caps": filled_caps, "needles": needles, "beads": beads, "folds": folds, "twins": twins,
}  # fmt: skip


def fan(spokes: int, *, height: float = 1.0) -> Mesh:
    """A closed double cone with thousands of triangles around its two tips."""
    angle = np.linspace(0, 2 * np.pi, spokes, endpoint=False)
    rim = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    i, tip = np.arange(spokes), np.full(spokes, spokes)
    j = (i + 1) % spokes
    return np.concatenate([rim, [[0, 0, height], [0, 0, -height]]]), np.concatenate(
        [np.stack([i, j, tip], 1), np.stack([j, i, tip + 1], 1)]
    )


def tube(around: int, along: int, *, length: float) -> Mesh:
    """An open cylinder of radius 1: long and thin, or made of long and thin triangles."""
    angle, z = np.linspace(0, 2 * np.pi, around, endpoint=False), np.linspace(0, length, along)
    angle, z = (grid.ravel() for grid in np.meshgrid(angle, z))
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(around), np.arange(along - 1)))
    a, b = i + around * j, (i + 1) % around + around * j
    faces = np.concatenate([np.stack([a, b, b + around], 1), np.stack([a, b + around, a + around], 1)])
    return np.stack([np.cos(angle), np.sin(angle), z], axis=1), faces


def _edges(faces: np.ndarray, count: int) -> list[tuple[int, int, tuple[int, int, int, int]]]:
    """Well-spread edges whose faces do not touch: (face, the face across, (a, b, c, d))
    with c and d opposite to the edge ab.
    """
    half_edges, start = half_edges_by_edge(faces)
    here, there = half_edges[start[:-1]], half_edges[start[:-1] + 1]
    busy, found = np.zeros(faces.max() + 1, bool), []
    for e in np.random.default_rng(0).permutation(len(here)):
        (face, i), (other, j) = divmod(int(here[e]), 3), divmod(int(there[e]), 3)
        a, b, c = (int(faces[face, (i + s) % 3]) for s in range(3))
        d = int(faces[other, (j + 2) % 3])
        if len(found) < count and not busy[[a, b, c, d]].any():
            busy[[a, b] if count > 100 else [a, b, c, d]] = True
            found.append((face, other, (a, b, c, d)))
    taken = {row for face, other, _ in found for row in (face, other)}
    if len(found) < count or len(taken) < 2 * count:
        raise ValueError(f"this mesh has no room for {count} slivers")
    return found


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _joined(verts: np.ndarray, faces: np.ndarray, added: list, new: list) -> Mesh:
    return np.concatenate([verts, np.array(added)]), np.concatenate([faces, np.array(new)]).astype(np.int64)
