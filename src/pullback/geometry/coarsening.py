"""A copy of a mesh with fewer vertices, for cheap training steps."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pullback.geometry.connectivity import (
    component_labels,
    euler_characteristic,
    face_edges,
    half_edges_by_edge,
    is_closed_manifold,
)
from pullback.geometry.mesh import face_areas

_STRAY = 1e-3  # share of the area
_SMALL_HOLE = 8  # edges of a boundary that may close

# The library does not test whether a collapse pinches the surface. So the mesh is simplified to slightly different
# sizes, with more or less patience, until one of them keeps the topology: (share of the asked number of vertices,
# aggressiveness).
_ATTEMPTS = [
    (share, patience)
    for share in (1.0, 0.99, 1.01, 0.98, 1.02, 1.05, 1.1, 1.2, 1.35, 1.5, 2.0)
    for patience in (4.0, 3.0)
]


def coarsen(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], target: int
) -> tuple[Float[ndarray, "c 3"], Int[ndarray, "g 3"], list[str]]:
    """About ``target`` vertices by quadric edge collapse (Garland & Heckbert 1997), same topology; and notes.

    A closed manifold stays one, with its genus and its pieces. Where that takes more vertices they are granted, and a
    mesh that cannot be simplified without damage, or has not more than ``target`` vertices, is returned as it is.
    """
    if len(verts) <= target:
        return verts, faces, []
    verts, faces, strays = without_strays(verts, faces)
    verts, faces, notes = _simplified(verts, faces, target)
    return verts, faces, strays + notes


def _simplified(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], target: int
) -> tuple[Float[ndarray, "c 3"], Int[ndarray, "g 3"], list[str]]:
    import fast_simplification

    unit = np.sqrt(face_areas(verts, faces).sum())  # the library's thresholds are absolute
    for share, aggressiveness in _ATTEMPTS:
        wanted = round(len(faces) * share * target / len(verts))
        if wanted >= len(faces):
            break
        coarse_verts, coarse_faces = fast_simplification.simplify(
            verts / unit, faces, target_count=wanted, agg=aggressiveness
        )
        coarse_faces = coarse_faces.astype(np.int64)
        if len(coarse_faces) <= 1.01 * wanted + 4 and _is_sound(coarse_faces, len(coarse_verts), faces):
            notes = (
                [f"simplified to {len(coarse_verts)} vertices, not {target}: fewer would pinch the surface"]
                if share > 1.02
                else []
            )
            return coarse_verts * unit, coarse_faces, notes
    return verts, faces, [f"could not be simplified to {target} vertices without damage; all {len(verts)} are used"]


def without_strays(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]
) -> tuple[Float[ndarray, "m 3"], Int[ndarray, "g 3"], list[str]]:
    """The mesh without the triangles that hang on an edge of three or more, and a note.

    One such edge keeps a surface from being simplified. Dropped is what is connected to the rest by such edges alone
    and has less than a thousandth of the area.
    """
    order, start = half_edges_by_edge(faces)
    use = np.diff(start, append=len(order))
    if not (use > 2).any():
        return verts, faces, []
    first = start[use == 2]
    graph = sp.csr_matrix((np.ones(len(first)), (order[first] // 3, order[first + 1] // 3)), shape=(len(faces),) * 2)
    sheet = connected_components(graph, directed=False)[1]
    crowded = order[np.repeat(use > 2, use)] // 3
    area = np.bincount(sheet, weights=face_areas(verts, faces))
    hanging = np.intersect1d(np.unique(sheet[crowded]), np.flatnonzero(area < _STRAY * area.sum()))
    kept = ~np.isin(sheet, hanging)
    if kept.all() or not kept.any():
        return verts, faces, []
    used, renamed = np.unique(faces[kept], return_inverse=True)
    note = f"{(~kept).sum()} triangles that hung on edges of three or more were dropped before it was simplified"
    return verts[used], renamed.reshape(-1, 3).astype(np.int64), [note]


def nearest_vertices(verts: Float[ndarray, "n 3"], coarse_verts: Float[ndarray, "c 3"]) -> Int[ndarray, " n"]:
    """For each vertex of a mesh the nearest one (in space) of its coarse copy: carries ground truth over."""
    return cKDTree(coarse_verts).query(verts)[1].astype(np.int64)


def _is_sound(coarse: ndarray, n: int, faces: ndarray) -> bool:
    """Whether simplification kept pieces, holes and handles, and pinched no edge."""
    if len(np.unique(coarse)) < n or component_labels(coarse).max() != component_labels(faces).max():
        return False
    if is_closed_manifold(faces):
        return is_closed_manifold(coarse) and euler_characteristic(coarse) == euler_characteristic(faces)
    use, use_before = face_edges(coarse)[1], face_edges(faces)[1]
    few_pinches = (use > 2).sum() <= 2 * (use_before > 2).sum() + 2
    border, border_before = (use == 1).sum(), (use_before == 1).sum()
    closed = border == 0 < border_before <= _SMALL_HOLE and is_closed_manifold(coarse)
    return bool(few_pinches and (closed or (border > 0) == (border_before > 0)))
