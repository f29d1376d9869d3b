"""Counter-clockwise seen from outside: the same sense for all faces of a mesh.

Normals, tangent frames and with them the learned features tell left from right; a face that is turned over mirrors them.
"""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse.csgraph import breadth_first_order, connected_components

from pullback.geometry.connectivity import component_labels, face_edges
from pullback.geometry.mesh import face_areas

# Up to this share of boundary edges a surface has an inside (a scan with small holes), and its volume a meaningful sign.
_NEARLY_CLOSED = 0.05


def orient_outward(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]) -> tuple[Int[ndarray, "f 3"], list[str]]:
    """The faces turned so that neighbours agree and (nearly) closed components have their normals outward; and notes.

    Neighbours are two faces at an edge that has no third one. Within a patch of such neighbours the sense of the larger area
    prevails; an open sheet, which has no outside, keeps it.
    """
    notes = []
    first, second, agree = _neighbours(faces)
    patch, turned = _propagate(len(faces), first, second, agree)
    if ((turned[first] ^ turned[second]) == agree).any():
        notes.append("the surface has only one side (like a Möbius strip): left and right cannot be told apart on it")
    area = face_areas(verts, faces)
    turned ^= (np.bincount(patch, weights=np.where(turned, area, -area)) > 0)[patch]
    if turned.any():
        notes.append(f"{int(turned.sum())} flipped faces were turned to agree with their neighbours")
    faces = _turn(faces, turned)

    inside_out = _inside_out(verts, faces)
    if inside_out.any():
        notes.append(f"the mesh was inside out: {int(inside_out.sum())} faces were turned outward")
    return _turn(faces, inside_out), notes


def _neighbours(faces: ndarray) -> tuple[Int[ndarray, " p"], Int[ndarray, " p"], Bool[ndarray, " p"]]:
    """Pairs of faces at the edges with exactly two faces, and whether they run along the edge in opposite ways, as they should."""
    edge, use = face_edges(faces)
    half_edges = np.argsort(edge, kind="stable")
    start = (np.cumsum(use) - use)[use == 2]
    here, there = half_edges[start], half_edges[start + 1]
    tails = faces.ravel()
    return here // 3, there // 3, tails[here] != tails[there]


def _propagate(f: int, first: ndarray, second: ndarray, agree: ndarray) -> tuple[Int[ndarray, " f"], Bool[ndarray, " f"]]:
    """The patch of each face, and whether it is turned over with respect to the first face of its patch."""
    graph = sp.csr_matrix((np.ones(len(first)), (first, second)), shape=(f, f))
    _, patch = connected_components(graph, directed=False)
    turned = np.zeros(f, dtype=bool)
    if agree.all():
        return patch, turned
    opposed = set(zip(first[~agree].tolist(), second[~agree].tolist(), strict=True))
    for root in np.unique(patch, return_index=True)[1]:
        order, parent = breadth_first_order(graph, root, directed=False)
        for face, before in zip(order[1:].tolist(), parent[order[1:]].tolist(), strict=True):
            turned[face] = turned[before] ^ ((before, face) in opposed or (face, before) in opposed)
    return patch, turned


def _inside_out(verts: ndarray, faces: ndarray) -> Bool[ndarray, " f"]:
    """The faces of the components that are closed, or nearly, and enclose a negative volume."""
    component, corners, area = component_labels(faces), verts[faces], face_areas(verts, faces)
    moment = np.stack([np.bincount(component, weights=area * corners[:, :, d].mean(axis=1)) for d in range(3)], axis=1)
    centre = moment / np.maximum(np.bincount(component, weights=area), np.finfo(float).tiny)[:, None]
    # About the component's own centre: where the surface has holes, the sum depends on the origin.
    a, b, c = (corners - centre[component][:, None]).transpose(1, 0, 2)
    volume = np.bincount(component, weights=np.einsum("fd,fd->f", a, np.cross(b, c)))

    edge, use = face_edges(faces)
    owner = np.repeat(component, 3)
    nearly_closed = np.bincount(owner, weights=use[edge] == 1) <= _NEARLY_CLOSED * np.bincount(owner)
    return ((volume < 0) & nearly_closed)[component]


def _turn(faces: ndarray, turned: ndarray) -> ndarray:
    return np.where(turned[:, None], faces[:, [0, 2, 1]], faces)
