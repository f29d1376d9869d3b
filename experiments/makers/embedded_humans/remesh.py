"""Remesh a closed surface by clustering: the dual mesh of clusters, refined where it would not be a manifold."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .relax import improve
from .surface import subdivide, undirected_edges, vertex_frames

MAX_REFINEMENTS = 40
# Fractions of the mean area. A cluster below the first, and one without triangles below the second, joins a neighbour.
SPECK, LOST = 0.01, 0.08
REACH = 0.95  # times the root of the mean area: how far a cluster may extend from its centroid


def dual_faces(labels, faces):
    """Triangles of the clusters, oriented as the surface: those met in both orientations (a collapsed flap) cancel.

    The image of a closed surface's fundamental class is a cycle, so what remains has no boundary. Also returns the
    clusters of triangles met more than once in one orientation, which no manifold has.
    """
    corner = labels[faces]
    corner = corner[(corner[:, 0] != corner[:, 1]) & (corner[:, 1] != corner[:, 2]) & (corner[:, 2] != corner[:, 0])]
    a, b, c = corner.T
    sign = np.where((a < b) ^ (b < c) ^ (c < a), -1, 1)  # parity of the permutation that sorts the corners
    triangles, row = np.unique(np.sort(corner, axis=1), axis=0, return_inverse=True)
    net = np.bincount(row, weights=sign, minlength=len(triangles)).round().astype(int)
    forward = np.where((net > 0)[:, None], triangles, triangles[:, ::-1])
    return forward[net != 0], np.unique(triangles[np.abs(net) > 1])


def defects(faces, n_vertices):
    """Vertices at which `faces` fail to be a closed manifold.

    On an edge without exactly two faces, with several fans, or unused.
    """
    edges, row, count = undirected_edges(faces)
    bad = set(edges[count != 2].ravel())
    bad.update(np.flatnonzero(np.bincount(faces.ravel(), minlength=n_vertices) == 0))
    # A corner is one (face, vertex); corners of a vertex are joined where their faces share an edge: one class for each
    # fan.
    corner_of = np.arange(3 * len(faces)).reshape(-1, 3)
    # half edge k of all faces
    ends = np.concatenate([corner_of[:, [0, 1]], corner_of[:, [1, 2]], corner_of[:, [2, 0]]])
    edge_id = row.reshape(-1, 3).T.ravel()
    flat = faces.ravel()
    key = np.concatenate([edge_id * n_vertices + flat[ends[:, 0]], edge_id * n_vertices + flat[ends[:, 1]]])
    _, group = np.unique(key, return_inverse=True)
    corner, size = ends.T.ravel(), 3 * len(faces)
    graph = coo_matrix((np.ones(len(corner)), (corner, size + group)), shape=(size + group.max() + 1,) * 2)
    fan = connected_components(graph, directed=False)[1][:size]
    fans_of = np.bincount(np.unique(np.stack([flat, fan]), axis=1)[0], minlength=n_vertices)
    bad.update(np.flatnonzero(fans_of > 1))
    return bad


def collapsed_borders(labels, edges, coarse):
    """Clusters that touch in the surface but share no edge of the dual mesh.

    Rings around a limb, and discs in another cluster.
    """
    n = labels.max() + 1
    ends = np.sort(labels[edges], axis=1)
    touching = np.unique(ends[ends[:, 0] != ends[:, 1]] @ [n, 1])
    joined = undirected_edges(coarse)[0] @ [n, 1]
    lost = np.setdiff1d(touching, joined)
    return set(lost // n) | set(lost % n)


def centroids(labels, verts, areas):
    """Area-weighted centroid of each cluster (c, 3)."""
    weight = np.bincount(labels, weights=areas)
    return np.stack([np.bincount(labels, weights=areas * x) for x in verts.T], axis=1) / weight[:, None]


def stretched(labels, verts, areas):
    """Clusters that reach too far from their centroid, as a cap over a whole thumb does."""
    centroid = centroids(labels, verts, areas)
    reach = np.linalg.norm(verts - centroid[labels], axis=1)
    return set(labels[reach > REACH * np.sqrt(areas.sum() / len(centroid))])


def connected_pieces(labels, edges):
    """Each connected piece of a cluster becomes a cluster: labels 0, 1, …"""
    inside = edges[labels[edges[:, 0]] == labels[edges[:, 1]]]
    graph = coo_matrix((np.ones(len(inside)), inside.T), shape=(len(labels),) * 2)
    return connected_components(graph, directed=False)[1]


def merge_small(labels, edges, areas, smallest, candidates=None):
    """Give clusters below the area `smallest` to the neighbour with the longest common border.

    Only those in `candidates`, or all.
    """
    labels = labels.copy()
    area = np.bincount(labels, weights=areas)
    small = area < smallest
    if candidates is not None:
        small &= np.isin(np.arange(len(area)), list(candidates))
    for cluster in np.flatnonzero(small)[np.argsort(area[small], kind="stable")]:
        ends = labels[edges]
        border = ends[(ends == cluster).sum(axis=1) == 1]
        if len(border):
            labels[labels == cluster] = np.bincount(border[border != cluster]).argmax()
    return np.unique(labels, return_inverse=True)[1]


def split_clusters(labels, bad, verts):
    """Cut each bad cluster in two across its longest direction."""
    labels = labels.copy()
    for cluster in sorted(bad):
        members = np.flatnonzero(labels == cluster)
        if len(members) > 1:
            centred = verts[members] - verts[members].mean(axis=0)
            along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
            labels[members[along > np.median(along)]] = labels.max() + 1
    return labels


def cluster_points(labels, verts, normals, areas):
    """A point on the surface for each cluster: its centroid, moved along the normal of the member nearest to it."""
    centroid = centroids(labels, verts, areas)
    distance = np.linalg.norm(verts - centroid[labels], axis=1)
    order = np.lexsort((distance, labels))
    nearest = order[np.searchsorted(labels[order], np.arange(len(centroid)))]
    height = ((verts[nearest] - centroid) * normals[nearest]).sum(axis=1, keepdims=True)
    return centroid + height * normals[nearest]


def refine_to_manifold(labels, verts, faces, areas):
    """Split clusters, and drop specks, until the dual mesh is a closed manifold: labels and the dual's faces."""
    edges = undirected_edges(faces)[0]
    mean_area = areas.sum() / (labels.max() + 1)
    for _ in range(MAX_REFINEMENTS):
        labels = merge_small(connected_pieces(labels, edges), edges, areas, SPECK * mean_area)
        coarse, doubled = dual_faces(labels, faces)
        unused = set(np.setdiff1d(np.arange(labels.max() + 1), coarse))
        bad = (
            defects(coarse, labels.max() + 1)
            | set(doubled)
            | collapsed_borders(labels, edges, coarse)
            | stretched(labels, verts, areas)
        )
        if not bad:
            return labels, coarse
        area = np.bincount(labels, weights=areas)
        specks = {c for c in unused if area[c] < LOST * mean_area}
        labels = merge_small(split_clusters(labels, bad - specks, verts), edges, areas, np.inf, candidates=specks)
    raise RuntimeError(
        f"remeshing left {len(bad)} non-manifold vertices after {MAX_REFINEMENTS} refinements; try another seed"
    )


def remesh(verts, faces, density, *, n_vertices, rng):
    """Remesh a closed surface to about `n_vertices`, more densely where `density` (n,) is high.

    Returns vertices, faces and the vertex that stands for each vertex of the input. The random order decides where
    clusters grow.
    """
    import pyacvd
    import pyvista

    fine_faces, fine_verts, weights = subdivide(faces, verts, density)
    normals, areas = vertex_frames(fine_verts, fine_faces)
    order = rng.permutation(len(fine_verts))
    rank = np.argsort(order)
    shuffled = rank[fine_faces][rng.permutation(len(fine_faces))]
    clustering = pyacvd.Clustering(
        pyvista.PolyData.from_regular_faces(fine_verts[order], shuffled), weights=weights[order]
    )
    labels = np.asarray(clustering.cluster(n_vertices))[rank].astype(np.int64)
    labels, coarse_faces = refine_to_manifold(labels, fine_verts, fine_faces, areas)
    points = cluster_points(labels, fine_verts, normals, areas)
    points, coarse_faces, onto = improve(points, coarse_faces, fine_verts, normals)
    new_id = rng.permutation(len(points))
    coarse_faces = new_id[coarse_faces][rng.permutation(len(coarse_faces))]
    return points[np.argsort(new_id)], coarse_faces, new_id[onto[labels[: len(verts)]]]
