"""From whatever a mesh file holds to a mesh on which operators exist, or to an error that says what to do.

Nothing is repaired silently: every change is a note. Vertices are only ever dropped, never moved or reordered, so that
ground truth given by the original vertex ids can be carried over (``CleanMesh.relabel``).
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from pullback.brief import OneLine
from pullback.errors import UserError
from pullback.geometry.connectivity import (
    boundary_edges,
    component_labels,
    edge_component_labels,
    face_edges,
    group_rows,
    half_edges_by_edge,
    has_equal_rows,
)
from pullback.geometry.mesh import face_areas
from pullback.geometry.orientation import orient_outward
from pullback.geometry.seams import joined_vertices
from pullback.stages import stage

log = logging.getLogger(__name__)

COMPONENTS = ("dust", "largest", "all")

# A component is dust, and dropped without asking, as long as the largest one holds at least this share of the area.
_MAIN_SHARE = 0.95
# A landmark on a dropped vertex may move to a kept vertex this near, in units of √area.
_LANDMARK_REACH = 0.05
# A face whose area is below this share of the mean counts as flat: its corners lie on one line.
_FLAT = 1e-12
# Coordinates this near to single precision, relative to the largest, were written with it, if only as nine digits.
_DIGITS = 2e-9
# Rounding that is worth a note, as a share of the mean edge.
_ROUNDED = 0.02


class MeshError(UserError, ValueError):
    """A mesh, or a file that belongs to one, that cannot be used as it is. The message names it and says what to do."""


@dataclass(frozen=True, repr=False)
class Relabelling(OneLine):
    """Where the vertices of a file went: to a vertex of the mesh, by way of the nearest one kept."""

    name: str  # what the messages call the file
    successor: Int[ndarray, " m"]  # for each vertex of the file a vertex of the mesh
    # how far from a dropped vertex the nearest kept one is, in units of √area; 0 for twins that were joined
    moved: Float[ndarray, " m"]

    @property
    def dropped(self) -> Bool[ndarray, " m"]:
        """The vertices of the file that no vertex of the mesh stands for."""
        return self.moved > 0

    def __call__(self, ids: Int[ndarray, " t"]) -> Int[ndarray, " t"]:
        """Vertex ids of the file → ids of the mesh.

        A landmark on a dropped vertex moves to the nearest one that was kept.

        Raises MeshError when that is farther away than 5 % of √area.
        """
        far = ids[self.moved[ids] > _LANDMARK_REACH]
        if len(far):
            raise MeshError(
                f"{self.name}: {len(far)} landmarks lie on vertices that cleaning dropped, the first on vertex "
                f"{far[0] + 1} (from 1), "
                f"{self.moved[far[0]]:.2f} √area away from what was kept. Use data.components=all, or repair the "
                "mesh and its ground truth"
            )
        count = int((self.moved[ids] > 0).sum())
        if count:
            log.warning("%s: %d landmarks were moved from dropped vertices to the nearest kept ones", self.name, count)
        return self.successor[ids].astype(np.int64)

    def then(self, successor: Int[ndarray, " n"]) -> "Relabelling":
        """Followed by another step, from the n vertices of this mesh to those of the next."""
        return replace(self, successor=successor[self.successor])


@dataclass(frozen=True)
class CleanMesh:
    """A mesh fit for operators, and how its vertices relate to those of the file."""

    verts: Float[ndarray, "n 3"]
    faces: Int[ndarray, "f 3"]
    kept: Int[ndarray, " n"]  # the original id of each vertex, ascending
    relabel: Relabelling  # original ids → ids of this mesh
    notes: tuple[str, ...] = ()  # what was changed


def clean_mesh(
    verts: Float[ndarray, "m 3"], faces: Int[ndarray, "g 3"], *, name: str, components: str = "dust"
) -> CleanMesh:
    """The mesh without what breaks operators: bad and double faces, unused vertices, dust, odd orientation.

    ``components`` says what becomes of a mesh in several pieces: ``dust`` keeps the largest if it holds 95 % of the
    area and raises MeshError otherwise, ``largest`` always keeps it, ``all`` keeps all. ``name`` (the file) appears in
    the messages. Raises MeshError for coordinates that are not finite, faces that name no vertex, and a mesh without
    area.
    """
    if components not in COMPONENTS:
        raise ValueError(f"components={components!r} is unknown; use one of {', '.join(COMPONENTS)}")
    _check_arrays(verts, faces, name)
    with stage("cleaning"):
        original = faces
        alias, notes = joined_vertices(verts, faces)
        faces = alias[faces]
        _note_rounding(verts, faces, notes)
        faces = _drop_degenerate(verts, faces, name, notes)
        faces = _choose_component(verts, faces, components, name, notes)
        faces, turned = orient_outward(verts, faces)
        notes += turned
        _note_nonmanifold_edges(faces, notes)
        _note_pinches(faces, notes)
        _note_unused(original, len(verts), notes)
        used = _used(faces, len(verts))
        kept, faces = np.flatnonzero(used), (np.cumsum(used) - 1)[faces]
        return CleanMesh(verts[kept], faces, kept, _relabelling(verts, kept, faces, alias, name), tuple(notes))


def _check_arrays(verts: ndarray, faces: ndarray, name: str) -> None:
    if not len(verts) or not len(faces):
        raise MeshError(
            f"{name}: {len(verts)} vertices and {len(faces)} faces make no "
            "surface. Is this a point cloud, or an empty file?"
        )
    bad = np.flatnonzero(~np.isfinite(verts).all(axis=1))
    if len(bad):
        raise MeshError(
            f"{name}: {len(bad)} vertices have NaN or infinite coordinates, the first is vertex {bad[0]}, "
            f"{verts[bad[0]].tolist()}. "
            "Export the mesh again, or remove these vertices"
        )
    size = np.ptp(verts, axis=0).max()
    if not 1e-50 < size < 1e50 and size > 0:
        raise MeshError(
            f"{name}: the coordinates span {size:.1e}, too much or too little "
            "to compute areas. Scale the mesh to about 1"
        )
    outside = np.flatnonzero(((faces < 0) | (faces >= len(verts))).any(axis=1))
    if len(outside):
        raise MeshError(
            f"{name}: {len(outside)} faces name vertices that do not exist, the first is face {outside[0]} "
            f"{faces[outside[0]].tolist()} "
            f"(the mesh has vertices 0..{len(verts) - 1}). The file is damaged, "
            "or counts its vertices from 1: export the mesh again"
        )


def _note_rounding(verts: ndarray, faces: ndarray, notes: list[str]) -> None:
    """A note where single precision has rounded the coordinates of a mesh far from the origin."""
    far = float(np.abs(verts).max())
    if far > np.finfo(np.float32).max or np.abs(verts - verts.astype(np.float32)).max() > _DIGITS * far:
        return
    sides = verts[faces] - verts[np.roll(faces, 1, axis=1)]
    share = float(np.spacing(np.float32(far))) / max(float(np.linalg.norm(sides, axis=2).mean()), np.finfo(float).tiny)
    if share > _ROUNDED:
        notes.append(
            f"its coordinates, up to {far:.1g}, were rounded to steps of {100 * share:.0f}% of a mean edge (single "
            "precision far from the origin): move the mesh to the origin before it is written"
        )


def _drop_degenerate(verts: ndarray, faces: ndarray, name: str, notes: list[str]) -> ndarray:
    a, b, c = faces.T
    proper = (a != b) & (b != c) & (c != a)
    if not proper.all():
        notes.append(f"{int((~proper).sum())} degenerate faces (fewer than three different corners) were dropped")
    faces = _drop_duplicates(faces[proper], notes)

    area = face_areas(verts, faces) if len(faces) else np.zeros(0)
    if not area.sum() > 0:
        raise MeshError(
            f"{name}: no face has an area. All vertices of each face lie on one line: export the mesh again"
        )
    flat = area < _FLAT * area.mean()
    needless = np.zeros(len(faces), dtype=bool)
    if flat.any():
        # A flat face closes the surface and does no harm, unless it hangs on its rim: a corner there has no area at
        # all.
        supported = np.ones(len(verts), dtype=bool)
        supported[boundary_edges(faces)] = False
        supported[faces[~flat]] = True
        needless = flat & ~supported[faces].all(axis=1)
        notes.append(
            f"{int(flat.sum())} degenerate faces have no area (corners on one line): "
            f"{int(needless.sum())} dropped, the rest kept"
        )
    return faces[~needless]


def _drop_duplicates(faces: ndarray, notes: list[str]) -> ndarray:
    """One of each set of equal faces; none of two that lie back to back as a fold without volume."""
    rows = np.sort(faces, axis=1)
    if not has_equal_rows(rows):
        return faces
    first, group = group_rows(rows)
    a, b, c = faces.T
    even = ((a < b) & (b < c)) | ((b < c) & (c < a)) | ((c < a) & (a < b))  # a cyclic shift of the ascending order
    back_to_back = np.bincount(group, weights=even).astype(bool) & np.bincount(group, weights=~even).astype(bool)
    keep = np.sort(first) if back_to_back.mean() > 0.5 else np.sort(first[~_folds(faces[first], back_to_back)])
    notes.append(f"{len(faces) - len(keep)} duplicate faces were dropped")
    return faces[keep]


def _folds(faces: ndarray, back_to_back: ndarray) -> Bool[ndarray, " f"]:
    """Which of these faces stand for two back to back that only lie on each other.

    Where it would be left with a hole, they are a two-sided part of it, as of cloth, or the same face twice in both
    senses.
    """
    edge, use = face_edges(faces)
    # faces around each edge that have one side
    others = np.bincount(edge, weights=np.repeat(~back_to_back, 3), minlength=len(use))
    doubled = np.flatnonzero(back_to_back)
    part = edge_component_labels(faces[doubled]) if len(doubled) else doubled
    on_hole = (others[edge.reshape(-1, 3)[doubled]] == 1).any(axis=1)
    folds = back_to_back.copy()
    folds[doubled] = ~np.bincount(part, weights=on_hole).astype(bool)[part]
    return folds


def _choose_component(verts: ndarray, faces: ndarray, components: str, name: str, notes: list[str]) -> ndarray:
    """The faces of the pieces that are kept.

    A part that hangs on the rest by single vertices only counts as a piece, too.
    """
    labels, parts = component_labels(faces), edge_component_labels(faces)
    area = face_areas(verts, faces)
    by_piece, by_part = np.bincount(labels, weights=area), np.bincount(parts, weights=area)
    count, share = len(by_piece), by_piece.max() / area.sum()
    if components == "all" or len(by_part) == 1:
        if count > 1:
            lost = "functional maps do not connect them, and some geodesic distances are infinite"
            notes.append(f"{count} separate pieces were kept: {lost}")
        return faces
    part_share = by_part.max() / area.sum()
    if components == "largest" or part_share >= _MAIN_SHARE:
        how = (
            "separate pieces" if len(by_part) == count else "pieces (separate, or hanging together by single vertices)"
        )
        notes.append(f"the largest of {len(by_part)} {how} was kept ({part_share:.1%} of the area)")
        return faces[parts == by_part.argmax()]
    if share < _MAIN_SHARE:
        raise MeshError(
            f"{name}: the mesh is in {count} separate pieces and the largest holds only {share:.0%} of the area. "
            "Use data.components=largest to keep that one, data.components=all to keep all, or join the pieces"
        )
    if count > 1:
        notes.append(f"the largest of {count} separate pieces was kept ({share:.1%} of the area)")
    return faces[labels == by_piece.argmax()]


def _note_nonmanifold_edges(faces: ndarray, notes: list[str]) -> None:
    half_edges, start = half_edges_by_edge(faces)
    count = int((np.diff(start, append=len(half_edges)) > 2).sum())
    if count:
        notes.append(f"{count} non-manifold edges (more than two faces): consider data.laplacian=robust")


def _note_pinches(faces: ndarray, notes: list[str]) -> None:
    count = int(edge_component_labels(faces).max()) - int(component_labels(faces).max())
    if count:
        notes.append(
            f"{count} parts hang on the rest by single vertices only, and maps hardly pass there: "
            "data.components=largest keeps one part"
        )


def _note_unused(faces: ndarray, n: int, notes: list[str]) -> None:
    count = n - int(_used(faces, n).sum())
    if count:
        notes.append(f"{count} isolated vertices (in no face) were dropped")


def _used(faces: ndarray, n: int) -> Bool[ndarray, " n"]:
    used = np.zeros(n, dtype=bool)
    used[faces.ravel()] = True
    return used


def _relabelling(verts: ndarray, kept: ndarray, faces: ndarray, alias: ndarray, name: str) -> Relabelling:
    successor, moved = np.full(len(verts), -1), np.zeros(len(verts))
    successor[kept] = np.arange(len(kept))
    successor = successor[alias]  # twins that were joined stay together
    lost = np.flatnonzero(successor < 0)
    if len(lost):
        distance, nearest = cKDTree(verts[kept]).query(verts[lost])
        successor[lost], moved[lost] = nearest, distance / np.sqrt(face_areas(verts[kept], faces).sum())
    return Relabelling(name, successor, moved)
