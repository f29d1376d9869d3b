"""Parts cut out of whole shapes with known correspondence: what partial matching is measured on.

``cases_of("fit")`` are for choosing settings, ``cases_of("report")`` for tables; no shape is in both.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse import csgraph

from pullback.data.mesh.io import read_mesh_file
from pullback.geometry.connectivity import component_labels
from pullback.geometry.geodesic import edge_graph
from pullback.geometry.mesh import face_areas

ROOT = Path(__file__).resolve().parents[2]
KINDS = (
    *("half_up", "half_down", "half_side", "plane_30", "plane_50", "plane_70", "plane_90"),
    *("no_limb", "no_two_limbs", "torso", "limb_20", "limb_35"),
)
_SHAPES = {
    "fit": {
        "humans": [f"human_{i:03d}" for i in (20, 21, 22, 23, 24)],
        "FAUST_r": [f"tr_reg_{i:03d}" for i in (5, 7, 13, 25, 28)],
        "SCAPE_acvd": [f"mesh{i:03d}" for i in (4, 9, 14)],
        "SMAL_r": ["cow2", "hippo5", "lion3", "fox-05"],
    },
    "report": {
        "humans": [f"human_{i:03d}" for i in (25, 26, 27, 28, 29)],
        "FAUST_r": [f"tr_reg_{i:03d}" for i in (80, 83, 87, 95, 97)],
        "SCAPE_acvd": [f"mesh{i:03d}" for i in (52, 55, 61)],
        "SMAL_r": ["Davis_cow_00000", "hippo_alpha", "lion6", "dog2"],
    },
}


@dataclass(frozen=True)
class Cut:
    """A part of one shape, to be found on another whole one of its set."""

    set: str
    kind: str
    part: str  # the shape that it is cut out of
    whole: str
    share: float  # of the area of its shape
    verts: Float[ndarray, "m 3"]  # of the part
    faces: Int[ndarray, "f 3"]
    whole_file: Path
    part_ids: Int[ndarray, " t"]  # landmarks: vertices of the part …
    whole_ids: Int[ndarray, " t"]  # … and their partners on the whole
    lost_ids: Int[ndarray, " l"]  # vertices of the whole whose partners were cut off

    @property
    def name(self) -> str:
        return f"{self.set}_{self.kind}_{self.part}_{self.whole}"


def cases_of(split: str, data: Path) -> Iterator[Cut]:
    """Each kind of cut once for every other shape of every set, against another shape drawn with a fixed seed."""
    for dataset, names in _SHAPES[split].items():
        root = ROOT / "data" / "humans" if dataset == "humans" else data / dataset
        for i, part in enumerate(names):
            for j, kind in enumerate(KINDS):
                if (i + j) % 2 == 0 or (split == "report" and dataset == "humans"):
                    dice = random.Random(f"{part}{kind}")
                    whole = dice.choice([name for name in names if name != part])
                    yield _cut(dataset, kind, root, part, whole, dice)


def _cut(dataset: str, kind: str, root: Path, part: str, whole: str, dice: random.Random) -> Cut:
    file = read_mesh_file(root / "off" / f"{part}.off")
    kept = kept_vertices(file.verts, file.faces, kind, np.random.default_rng(dice.randrange(2**31)))
    faces = file.faces[kept[file.faces].all(axis=1)]
    label = component_labels(faces)
    areas = np.bincount(label, weights=face_areas(file.verts, faces))
    faces = faces[label == areas.argmax()]
    ids, corners = np.unique(faces, return_inverse=True)
    number = np.full(len(file.verts), -1)
    number[ids] = np.arange(len(ids))
    corr1, corr2 = (read_landmarks_of(root, name) for name in (part, whole))
    inside = number[corr1] >= 0
    return Cut(
        dataset,
        kind,
        part,
        whole,
        float(areas.max() / face_areas(file.verts, file.faces).sum()),
        file.verts[ids],
        corners.reshape(-1, 3),
        root / "off" / f"{whole}.off",
        number[corr1[inside]],
        corr2[inside],
        np.setdiff1d(corr2[~inside], corr2[inside]),
    )


def read_landmarks_of(root: Path, name: str) -> Int[ndarray, " t"]:
    """Landmarks of a shape, counted from 0."""
    return np.loadtxt(root / "corres" / f"{name}.vts", dtype=np.int64) - 1


def kept_vertices(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], kind: str, dice: np.random.Generator
) -> Bool[ndarray, " n"]:
    """The vertices that a kind of cut leaves."""
    areas = np.bincount(faces.ravel(), weights=np.repeat(face_areas(verts, faces), 3), minlength=len(verts))
    mass = areas / areas.sum()
    centred = verts - mass @ verts
    if kind.startswith(("half", "plane")):
        axes = np.linalg.eigh(centred.T @ (centred * mass[:, None]))[1]
        normal = {"half_up": axes[:, 2], "half_down": -axes[:, 2], "half_side": axes[:, 1]}.get(
            kind, dice.standard_normal(3)
        )
        share = 0.5 if kind.startswith("half") else int(kind[-2:]) / 100
        return _least(-centred @ normal, mass, share)
    tips, dist = _tips(verts, faces, mass)
    if kind.startswith("limb"):
        return _least(dist[dice.integers(len(tips))], mass, int(kind[-2:]) / 100)
    chosen = {"no_limb": 1, "no_two_limbs": 2, "torso": len(tips)}[kind]
    kept = np.ones(len(verts), dtype=bool)
    for tip in dice.permutation(len(tips))[:chosen]:
        kept &= ~_least(dist[tip], mass, dice.uniform(0.06, 0.11))
    return kept


def _least(values: Float[ndarray, " n"], mass: Float[ndarray, " n"], share: float) -> Bool[ndarray, " n"]:
    """The vertices of least value that make up a share of the area."""
    order = np.argsort(values)
    kept = np.zeros(len(values), dtype=bool)
    kept[order[np.cumsum(mass[order]) <= share]] = True
    return kept


def _tips(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], mass: Float[ndarray, " n"], count: int = 5
) -> tuple[list[int], Float[ndarray, "t n"]]:
    """Ends of limbs: points as far as possible from the middle and from each other; distances from each."""
    graph = edge_graph(verts, faces)
    some = np.random.default_rng(0).choice(len(verts), 60, p=mass)
    middle = some[np.argmin(csgraph.dijkstra(graph, indices=some) @ mass)]
    tips: list[int] = []
    nearest = csgraph.dijkstra(graph, indices=middle)
    rows = []
    for _ in range(count):
        tips.append(int(nearest.argmax()))
        rows.append(csgraph.dijkstra(graph, indices=tips[-1]))
        nearest = np.minimum(nearest, rows[-1])
    return tips, np.stack(rows)
