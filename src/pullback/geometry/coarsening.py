"""A copy of a mesh with fewer vertices, for cheap training steps."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from pullback.geometry.connectivity import component_labels, euler_characteristic, face_edges, is_closed_manifold
from pullback.geometry.mesh import face_areas

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
    import fast_simplification

    if len(verts) <= target:
        return verts, faces, []
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
    return bool(few_pinches and (use == 1).any() == (use_before == 1).any())
