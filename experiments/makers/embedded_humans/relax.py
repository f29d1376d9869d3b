"""Better triangles for a remeshed body: Delaunay edge flips and tangential relaxation on the surface it came from."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from .surface import quality, undirected_edges, unit_normals, vertex_frames

# cosine: an edge across a sharper crease is not flipped, its ends are not relaxed, no triangle may turn further
FLAT = 0.7
SLIVER = 0.25  # quality below which a triangle's own normal means nothing, and it is collapsed where that helps
ROUNDS = 6


def upright(points, faces, normals, cosine=0.2):
    """Whether each triangle faces the way the vertex `normals` at its corners do."""
    mean = normals[faces].sum(axis=1)
    return (unit_normals(points, faces) * mean).sum(axis=1) > cosine * np.linalg.norm(mean, axis=1)


def flip_edges(points, faces):
    """One sweep of edge flips that raise the worse of two nearly coplanar triangles, no two flips sharing a vertex."""
    edges, row, _ = undirected_edges(faces)
    first, second = np.argsort(row, kind="stable").reshape(-1, 2).T  # the two half edges of each edge
    turn = np.array([2, 0, 1])
    apex = [faces[h // 3, turn[h % 3]] for h in (first, second)]
    tail, head = faces[first // 3, first % 3], faces[first // 3, (first % 3 + 1) % 3]
    new = [np.stack(t, axis=1) for t in ((tail, apex[1], apex[0]), (apex[1], head, apex[0]))]
    normals, corner_normals = unit_normals(points, faces), vertex_frames(points, faces)[0]
    before = np.minimum(*(quality(points, faces[h // 3]) for h in (first, second)))
    flat = ((normals[first // 3] * normals[second // 3]).sum(axis=1) > FLAT) | (before < SLIVER)
    upright_after = upright(points, new[0], corner_normals) & upright(points, new[1], corner_normals)
    gain = np.minimum(*(quality(points, t) for t in new)) - before
    n = len(points)
    exists = np.isin(np.sort(np.stack(apex, axis=1), axis=1) @ [n, 1], edges @ [n, 1])
    degree = np.bincount(edges.ravel(), minlength=n)
    keep = (degree[tail] > 3) & (degree[head] > 3) & (apex[0] != apex[1]) & ~exists
    wanted = np.flatnonzero(flat & upright_after & keep & (gain > 1e-3))
    faces, touched = faces.copy(), np.zeros(n, dtype=bool)
    for e in wanted[np.argsort(-gain[wanted], kind="stable")]:
        corners = [tail[e], head[e], apex[0][e], apex[1][e]]
        if not touched[corners].any():
            touched[corners] = True
            faces[first[e] // 3], faces[second[e] // 3] = new[0][e], new[1][e]
    return faces, int(touched.sum() // 4)


def relax(points, faces, surface, normals):
    """Move each point half way to the mean of its neighbours, back onto the surface; no triangle may fold.

    The surface is given by points and unit normals.

    Points at creases stay: at this size a finger is all creases, and the mean of its neighbours lies inside.
    """
    edges, row, _ = undirected_edges(faces)
    n, old = len(points), unit_normals(points, faces)
    first, second = np.argsort(row, kind="stable").reshape(-1, 2).T // 3
    creased = np.unique(edges[(old[first] * old[second]).sum(axis=1) < FLAT])
    adjacency = coo_matrix((np.ones(2 * len(edges)), np.concatenate([edges, edges[:, ::-1]]).T), shape=(n, n)).tocsr()
    target = (points + adjacency @ points / np.bincount(edges.ravel(), minlength=n)[:, None]) / 2
    near = cKDTree(surface).query(target, k=12)[1]
    # never the far side of a thin part
    agrees = (normals[near] * vertex_frames(points, faces)[0][:, None]).sum(axis=2) > 0
    anchor = near[np.arange(n), agrees.argmax(axis=1)]
    moved = target - ((target - surface[anchor]) * normals[anchor]).sum(axis=1, keepdims=True) * normals[anchor]
    back = np.union1d(creased, np.flatnonzero(~agrees.any(axis=1)))
    while len(back):
        moved[back] = points[back]
        spoilt = (unit_normals(moved, faces) * old).sum(axis=1) < FLAT
        spoilt |= quality(moved, faces) < np.minimum(0.5, quality(points, faces))
        back = np.setdiff1d(faces[spoilt], np.flatnonzero((moved == points).all(axis=1)))
    return moved


def collapse_slivers(points, faces):
    """Collapse an edge of each sliver where the mesh stays a manifold, upright and of better quality.

    Returns faces, and old id -> new (n,).
    """
    normals, onto = vertex_frames(points, faces)[0], np.arange(len(points))
    around: list[set[int]] = [set() for _ in points]
    for f, corners in enumerate(faces):
        for vertex in corners:
            around[vertex].add(f)
    faces, dead = faces.copy(), set()
    worst = quality(points, faces)
    for f in np.argsort(worst)[: (worst < SLIVER).sum()]:
        options = []
        for u, v in [] if f in dead else [(faces[f][i], faces[f][j]) for i in range(3) for j in range(3) if i != j]:
            link = set(faces[list(around[u])].ravel()) & set(faces[list(around[v])].ravel()) - {u, v}
            moved = sorted(around[u] - around[v])
            after = np.where(faces[moved] == u, v, faces[moved])
            gain = quality(points, after).min() - quality(points, faces[sorted(around[u])]).min()
            if (
                len(link) == 2
                and gain > 0
                and upright(points, after, normals).all()
                and len(around[v]) + len(moved) - 2 > 4
            ):
                options.append((gain, u, v))
        if options:
            _, u, v = max(options)
            gone = around[u] & around[v]
            dead |= gone
            for g in around[u] - gone:
                faces[g][faces[g] == u] = v
                around[v].add(g)
            for vertex in set(faces[list(gone)].ravel()):
                around[vertex] -= gone
            around[u], onto[onto == u] = set(), v
    alive, ids = np.unique(onto, return_inverse=True)
    return points[alive], ids[np.delete(faces, sorted(dead), axis=0)], ids


def improve(points, faces, surface, normals):
    """Alternate flips, collapses and relaxation on the surface; the mesh stays a closed manifold.

    Returns points, faces, and old id -> new.
    """
    onto = np.arange(len(points))
    for turn in range(ROUNDS):
        flips = 1
        while flips:
            faces, flips = flip_edges(points, faces)
        if turn in (0, ROUNDS - 1):
            points, faces, ids = collapse_slivers(points, faces)
            onto = ids[onto]
        points = relax(points, faces, surface, normals)
    return points, faces, onto
