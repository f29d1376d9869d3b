"""Meshes of one body as other tools would make them, each with the vertex that stands for every vertex of the body."""

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from .surface import subdivide, undirected_edges, vertex_frames


def smoothed(points, faces, rounds):
    """Points moved to the mean of their neighbours and half-way back, as often as `rounds` says."""
    edges = undirected_edges(faces)[0]
    both = np.concatenate([edges, edges[:, ::-1]])
    adjacency = coo_matrix((np.ones(len(both)), both.T), shape=(len(points),) * 2).tocsr()
    degree = np.asarray(adjacency.sum(axis=1))
    for _ in range(rounds):
        points = 0.5 * points + 0.5 * (adjacency @ points) / degree
    return points


def quadric(points, faces, n_vertices, rng):
    """Quadric edge collapse of a noisy, perhaps stretched copy: uneven or anisotropic triangles.

    Collapses are followed, so that a vertex's answer cannot jump to a limb that it touches.
    """
    import fast_simplification

    fine_faces, fine = subdivide(faces, points)
    normals, _ = vertex_frames(fine, fine_faces)
    size = np.exp(rng.uniform(np.log(2e-3), np.log(1e-2)))  # metres: much noise, even triangles
    patchy = np.exp(rng.uniform(0, 1.2) * np.sin(fine @ rng.normal(0, 6, 3) + rng.uniform(0, 6)))
    bumpy = fine + normals * (size * patchy * rng.normal(size=len(fine)))[:, None]
    frame = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    stretch = frame * np.array([1, 1, rng.choice([1.0, 1.0, 2.0, 4.0])]) @ frame.T
    wanted = fast_simplification.simplify(
        bumpy @ stretch, fine_faces, target_count=2 * n_vertices, return_collapses=True
    )
    kept, coarse, owner = fast_simplification.replay_simplification(bumpy @ stretch, fine_faces, wanted[2])
    target = np.asarray(kept) @ np.linalg.inv(stretch)
    distance = np.linalg.norm(fine - target[owner], axis=1)
    order = np.lexsort((distance, owner))  # each cluster is put where its member nearest to the optimum lies
    first = order[np.searchsorted(owner[order], np.arange(len(kept)))]
    return fine[first], np.asarray(coarse, dtype=np.int64), np.asarray(owner[: len(points)], dtype=np.int64)


def voxelised(points, faces, n_vertices, rng):
    """The surface of voxels, simplified: limbs that touch are glued. Answers are near in place and normal."""
    import fast_simplification
    import pyvista

    spacing = rng.uniform(0.008, 0.013)
    low = points.min(axis=0) - 4 * spacing
    size = np.ceil((points.max(axis=0) + 4 * spacing - low) / spacing).astype(int) + 1
    grid = pyvista.ImageData(dimensions=size, spacing=(spacing,) * 3, origin=low)
    inside = _inside(pyvista.PolyData.from_regular_faces(points, faces), grid).reshape(size[::-1])
    field = gaussian_filter(inside.astype(np.float32), rng.uniform(0.8, 1.3))
    grid.point_data["inside"] = field.ravel()
    surface = grid.contour([0.5], scalars="inside", method="flying_edges").triangulate().extract_largest()
    surface = surface.clean().compute_normals(auto_orient_normals=True, split_vertices=False)
    verts, tri = np.asarray(surface.points, dtype=float), surface.regular_faces.astype(np.int64)
    verts, tri = fast_simplification.simplify(verts, tri, target_count=min(2 * n_vertices, len(tri) - 2))
    verts, tri = np.asarray(verts, dtype=float), np.asarray(tri, dtype=np.int64)
    return verts, tri, _nearest_facing(points, faces, verts, tri)


def _inside(surface, grid):
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    stencil = vtk.vtkPolyDataToImageStencil()
    stencil.SetInputData(surface)
    stencil.SetOutputOrigin(grid.origin)
    stencil.SetOutputSpacing(grid.spacing)
    stencil.SetOutputWholeExtent(grid.extent)
    image = vtk.vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetInsideValue(1)
    image.SetOutsideValue(0)
    image.Update()
    return vtk_to_numpy(image.GetOutput().GetPointData().GetScalars()).copy()


def _nearest_facing(points, faces, verts, tri):
    """For each of `points` the nearest of `verts` in place and, 5 cm for opposite ones, in normal."""
    there, here = (np.hstack([p, 0.025 * vertex_frames(p, f)[0]]) for p, f in ((verts, tri), (points, faces)))
    return cKDTree(there).query(here)[1]


def clustered(points, faces, n_vertices, rng):
    """Even triangles: centroidal clusters of `pyacvd`. Made for validation alone; the answer as in `voxelised`."""
    import pyacvd
    import pyvista

    fine_faces, fine = subdivide(faces, points)
    clusters = pyacvd.Clustering(pyvista.PolyData.from_regular_faces(fine, fine_faces))
    clusters.cluster(n_vertices)
    surface = clusters.create_mesh()
    verts, tri = np.asarray(surface.points, dtype=float), surface.regular_faces.astype(np.int64)
    return verts, tri, _nearest_facing(points, faces, verts, tri)


def pierced(points, faces, owner, rng, *, count):
    """Small holes of 1 to 4 cm; what lay in one is answered by the nearest vertex left."""
    centres = points[rng.integers(len(points), size=count)]
    radii = rng.uniform(0.01, 0.04, count)
    gone = (np.linalg.norm(points[:, None] - centres, axis=2) < radii).any(axis=1)
    return _restricted(points, faces[~gone[faces].any(axis=1)], owner)


def opened(points, faces, owner, rims):
    """The surface without what lies within each rim (m, 3) of eyes and mouth: holes of their form."""
    gone = np.zeros(len(points), dtype=bool)
    for rim in rims:
        centre = rim.mean(axis=0)
        axes = np.linalg.svd(rim - centre, full_matrices=False)[2]
        extent = np.abs((rim - centre) @ axes.T).max(axis=0)
        extent[2] = max(extent[2], 0.008)  # across: metres
        gone |= (((points - centre) @ axes.T / extent) ** 2).sum(axis=1) < 1
        gone[np.linalg.norm(points - centre, axis=1).argmin()] = True
    return _restricted(points, faces[~gone[faces].any(axis=1)], owner)


def largest_piece(points, faces, owner):
    """The largest piece joined by edges; what lay in another one is answered by the nearest vertex of it."""
    sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edge = np.unique(sides, axis=0, return_inverse=True)[1].ravel()
    face = np.repeat(np.arange(len(faces)), 3)
    by_edge = coo_matrix((np.ones(len(edge)), (face, edge))).tocsr()
    piece = connected_components(by_edge @ by_edge.T, directed=False)[1]
    return _restricted(points, faces[piece == np.bincount(piece).argmax()], owner)


def _restricted(points, faces, owner):
    kept = np.unique(faces)
    near = cKDTree(points[kept]).query(points)[1]
    return points[kept], np.searchsorted(kept, faces), near[owner]


def roughened(points, faces, rng, *, share):
    """Noise along the normals, its deviation a share of the mean edge."""
    edges = undirected_edges(faces)[0]
    edge = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1).mean()
    return points + vertex_frames(points, faces)[0] * rng.normal(0, share * edge, len(points))[:, None]
