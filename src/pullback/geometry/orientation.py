"""Counter-clockwise seen from outside: the same sense for all faces of a mesh.

Normals, tangent frames and with them the learned features tell left from right; a face that is turned over mirrors
them.
"""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse.csgraph import breadth_first_order, connected_components

from pullback.geometry.connectivity import component_labels, half_edges_by_edge
from pullback.geometry.mesh import face_areas

# Up to this share of boundary edges a surface has an inside (a scan with small holes), and its volume a meaningful
# sign.
_NEARLY_CLOSED = 0.05


def orient_outward(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> tuple[Int[ndarray, "f 3"], list[str]]:
    """The faces turned so that neighbours agree and (nearly) closed components have their normals outward; and notes.

    Neighbours are two faces at an edge that has no third one. Within a patch of such neighbours the sense of the larger
    area prevails; an open sheet, which has no outside, keeps it.
    """
    notes = []
    half_edges, start = half_edges_by_edge(faces)
    use = np.diff(start, append=len(half_edges))
    rim = np.bincount(half_edges[start[use == 1]] // 3, minlength=len(faces))  # boundary edges of each face
    first, second, agree = _neighbours(faces, half_edges, start[use == 2])
    if not agree.all():
        patch, turned = _propagate(len(faces), first, second, agree)
        if ((turned[first] ^ turned[second]) == agree).any():
            notes.append(
                "the surface has only one side (like a Möbius strip): left and right cannot be told apart on it"
            )
        area = face_areas(verts, faces)
        turned ^= (np.bincount(patch, weights=np.where(turned, area, -area)) > 0)[patch]
        if turned.any():
            notes.append(f"{int(turned.sum())} flipped faces were turned to agree with their neighbours")
            faces = _turn(faces, turned)

    inside_out = _inside_out(verts, faces, rim)
    if inside_out.any():
        notes.append(f"the mesh was inside out: {int(inside_out.sum())} faces were turned outward")
        faces = _turn(faces, inside_out)
    return faces, notes


def _neighbours(
    faces: ndarray, half_edges: ndarray, start: ndarray
) -> tuple[Int[ndarray, " p"], Int[ndarray, " p"], Bool[ndarray, " p"]]:
    """Pairs of faces at edges with exactly two faces, and whether they run along the edge in opposite ways."""
    here, there = half_edges[start], half_edges[start + 1]
    tails = faces.ravel()
    return here // 3, there // 3, tails[here] != tails[there]


def _propagate(
    f: int, first: ndarray, second: ndarray, agree: ndarray
) -> tuple[Int[ndarray, " f"], Bool[ndarray, " f"]]:
    """The patch of each face, and whether it is turned over with respect to the first face of its patch."""
    graph = sp.csr_matrix((np.ones(len(first), np.int8), (first, second)), shape=(f, f))
    _, patch = connected_components(graph, directed=False)
    roots = np.unique(patch, return_index=True)[1]
    # One more node leads to the first face of each patch: a single search visits all of them.
    tails, heads = np.concatenate([first, np.full(len(roots), f)]), np.concatenate([second, roots])
    graph = sp.csr_matrix((np.ones(len(tails), np.int8), (tails, heads)), shape=(f + 1, f + 1))
    before = breadth_first_order(graph, f, directed=False)[1].astype(np.int64)
    before[f] = f
    face = np.arange(f)
    opposed = np.unique(np.minimum(first, second)[~agree] * f + np.maximum(first, second)[~agree])
    link = np.minimum(face, before[:f]) * f + np.maximum(face, before[:f])
    place = np.minimum(np.searchsorted(opposed, link), len(opposed) - 1)
    turned = np.append((opposed[place] == link) & (before[:f] < f), False)
    while (before != f).any():  # each round doubles the steps towards the root that are counted
        turned, before = turned ^ turned[before], before[before]
    return patch, turned[:f]


def _inside_out(verts: ndarray, faces: ndarray, rim: ndarray) -> Bool[ndarray, " f"]:
    """The faces of the components that are closed, or nearly, and enclose a negative volume."""
    component, corners, area = component_labels(faces), verts[faces], face_areas(verts, faces)
    moment = np.stack([np.bincount(component, weights=area * corners[:, :, d].mean(axis=1)) for d in range(3)], axis=1)
    centre = moment / np.maximum(np.bincount(component, weights=area), np.finfo(float).tiny)[:, None]
    # About the component's own centre: where the surface has holes, the sum depends on the origin.
    a, b, c = (corners - centre[component][:, None]).transpose(1, 0, 2)
    volume = np.bincount(component, weights=np.einsum("fd,fd->f", a, np.cross(b, c)))
    nearly_closed = np.bincount(component, weights=rim) <= _NEARLY_CLOSED * 3 * np.bincount(component)
    return ((volume < 0) & nearly_closed)[component]


def _turn(faces: ndarray, turned: ndarray) -> ndarray:
    return np.where(turned[:, None], faces[:, [0, 2, 1]], faces)
