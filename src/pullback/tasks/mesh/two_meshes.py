"""Two mesh files in, one correspondence out: a point map in the vertex numbers of the files,
functional maps and pictures.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from pullback.data.mesh.io import read_mesh, write_vts
from pullback.data.mesh.shapes import PreparedShape
from pullback.figures.camera import View, broadest_view
from pullback.figures.correspondence import draw_correspondence
from pullback.figures.fmap import draw_features
from pullback.figures.picture import sheet
from pullback.figures.plot import save_figure
from pullback.figures.report import ReportContent, write_report
from pullback.figures.surface import Surface, as_array, simplification
from pullback.geometry.cleaning import MeshError
from pullback.geometry.mesh import face_areas
from pullback.mapping.pointmap import coverage
from pullback.nn.finite import check_features
from pullback.stages import Stage, stage
from pullback.tasks.provenance import run_facts
from pullback.tasks.stored_arrays import check_map
from pullback.types import Eigenbasis, Match
from pullback.writing import write_atomically

# Dropped parts of less area than this, in units of the shape's, are not drawn: far away dust would make the shape
# small.
_SHOWN_SHARE = 0.05
# Features whose deviation from their mean is a smaller share of them than this are the same but for rounding.
_FEATURELESS = 1e-5

Landmarks = tuple[Int[Tensor, " t"], Int[Tensor, " t"]]  # vertices of the source and of the target that belong together
Solver = Callable[[Float[Tensor, "n1 c"], Float[Tensor, "n2 c"], Eigenbasis, Eigenbasis], Match]


@dataclass(frozen=True)
class FileMatch:
    """The match of a source (shape 1) and a target (shape 2), with the features that led to it; on the CPU."""

    source: PreparedShape
    target: PreparedShape
    p2p21: Int[Tensor, " n2"]  # between the shapes
    fmap12: Float[Tensor, "k2 k1"]
    fmap12_init: Float[Tensor, "k2_init k1_init"]
    feat1: Float[Tensor, "n1 c"]
    feat2: Float[Tensor, "n2 c"]
    landmarks: Landmarks | None = None  # of the shapes

    def landmark_distances(self) -> Float[Tensor, " t"]:
        """How far from its place on the source each landmark lands, straight through space, in units of √area."""
        verts1, (corr1, corr2) = self.source.shape.verts, self.landmarks or (self.p2p21[:0], self.p2p21[:0])
        return (verts1[self.p2p21[corr2]] - verts1[corr1]).norm(dim=1)

    def between_files(self) -> Int[ndarray, " m2"]:
        """For each vertex of the target's file a vertex of the source's, both 0-based;
        -1 for those that cleaning dropped.

        Of the source no dropped vertex is hit. Twins that cleaning joined (along seams) get the same answer.
        """
        relabel = self.target.relabel
        return np.where(relabel.dropped, -1, file_ids(self.source)[as_array(self.p2p21)[relabel.successor]])

    def dropped(self) -> tuple[int, int]:
        """How many vertices of the source's and of the target's file the map leaves out."""
        return int(self.source.relabel.dropped.sum()), int(self.target.relabel.dropped.sum())

    def omissions(self) -> str:
        """What is to be said of vertices that the map leaves out; empty where there are none."""
        dropped1, dropped2 = self.dropped()
        said = (
            [f"{dropped2} vertices of the target were dropped by cleaning: 0 in p2p21.txt, -1 in match.npz"]
            if dropped2
            else []
        )
        said += (
            [f"{dropped1} vertices of the source were dropped: none of them is hit (dropped1 in match.npz)"]
            if dropped1
            else []
        )
        return "; ".join(said)


def file_ids(prepared: PreparedShape) -> Int[ndarray, " n"]:
    """The vertex of its file that each vertex of a shape stands for."""
    successor, moved = prepared.relabel.successor, prepared.relabel.moved
    order = np.argsort(-moved, kind="stable")  # the last one written is the vertex itself, or the nearest
    ids = np.empty(prepared.shape.n, dtype=np.int64)
    ids[successor[order]] = order
    return ids


@torch.no_grad()
def match_shapes(
    source: PreparedShape,
    target: PreparedShape,
    backbone: nn.Module,
    solver: Solver,
    *,
    device: torch.device,
    landmarks: Landmarks | None = None,
) -> FileMatch:
    """Features, then the solver: as in an evaluation. ``landmarks`` are vertices of the shapes,
    for a backbone that takes them.
    """
    shape1, shape2 = source.shape.to(device), target.shape.to(device)
    backbone = backbone.to(device).eval()
    given: Sequence[tuple[Tensor, ...]] = (
        ((), ()) if landmarks is None else tuple((points.to(device),) for points in landmarks)
    )
    with stage("features"):
        feat1, feat2 = backbone(shape1, *given[0]), backbone(shape2, *given[1])
    learned = any(True for _ in backbone.parameters())
    for prepared, feat in ((source, feat1), (target, feat2)):
        check_features(feat, of=prepared.shape.name, varied=learned)
        if not learned:
            _check_told_apart(prepared.relabel.name, feat)
    match = solver(feat1, feat2, shape1.basis, shape2.basis)
    with stage(f"full-resolution map of {shape2.n:,} vertices"):
        p2p21 = match.p2p21
    check_map(p2p21, match.fmap12, of=f"{shape2.name} → {shape1.name}")
    fmap12, fmap12_init, feat1, feat2 = (x.cpu() for x in (match.fmap12, match.fmap12_init, feat1, feat2))
    return FileMatch(source, target, p2p21.cpu(), fmap12, fmap12_init, feat1, feat2, landmarks=landmarks)


def dropped_part(prepared: PreparedShape) -> Surface | None:
    """The faces of the file that cleaning dropped, where the shape lies;
    None where they are less than 5 % of its area.
    """
    if not prepared.relabel.dropped.any():
        return None
    verts, faces = read_mesh(prepared.relabel.name)
    faces = faces[prepared.relabel.dropped[faces].any(axis=1)]
    here, there = as_array(prepared.shape.verts).astype(np.float64), verts[file_ids(prepared)]
    scale = np.linalg.norm(here - here.mean(axis=0)) / np.linalg.norm(there - there.mean(axis=0))
    verts = (verts - there.mean(axis=0)) * scale + here.mean(axis=0)
    if not len(faces) or face_areas(verts, faces).sum() < _SHOWN_SHARE:
        return None
    used, corners = np.unique(faces, return_inverse=True)
    return Surface(verts[used].astype(np.float32), corners.reshape(-1, 3))


def _check_told_apart(name: str, feat: Float[Tensor, "n c"]) -> None:
    """Raises MeshError for signatures that are the same at every vertex: nearest neighbours would send all to one."""
    if float((feat - feat.mean(dim=0)).norm()) < _FEATURELESS * float(feat.norm()):
        raise MeshError(
            f"{name}: its {len(feat)} vertices all have the same features (a shape as regular as a tetrahedron), "
            "so that nothing tells "
            "them apart. Give points that correspond, landmarks=FILE backbone=landmarks, or a shape with less symmetry"
        )


def write_match(
    folder: Path, result: FileMatch, *, method: str, view: View, config: str, stages: Sequence[Stage] = ()
) -> Path:
    """Writes ``p2p21.txt`` (from 1), ``match.npz`` (from 0), ``metrics.json``, ``match.png`` and ``report/index.html``:
    its path.

    A vertex of the target that cleaning dropped has 0 in the text and -1 in the array. ``stages`` is what was measured
    so far; it may grow while this runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with stage("files"):
        _write_arrays(folder, result)
    shape1, shape2 = result.source.shape, result.target.shape
    with stage("pictures"):
        view = broadest_view(as_array(shape1.verts).astype(np.float64), as_array(shape1.faces), view=view)
        names = (f"source: {shape1.name}", f"target: {shape2.name}")
        rest = dropped_part(result.source), dropped_part(result.target)
        title = f"{shape2.name} → {shape1.name}"
        picture = draw_correspondence(shape1, shape2, result.p2p21, title=title, names=names, view=view, unmatched=rest)
        save_figure(sheet([picture]), folder / "match.png")
        features = draw_features(shape1, shape2, result.feat1, result.feat2, view=view)
    metrics = _metrics(result)
    facts = run_facts()
    content = ReportContent(
        title=f"{shape2.name} → {shape1.name}",
        subtitle=" ".join(
            [f"{method}.", *_sentences(metrics), _sentence(result.omissions()), simplification(shape1, shape2)]
        ).strip(),
        correspondences=[picture],
        fmaps=(result.fmap12_init, result.fmap12),
        features=features,
        stages=_table(stages),
        config=config,
        command=facts.pop("command"),
        environment=facts,
    )
    with stage("report"):
        report = write_report(folder / "report" / "index.html", content)
    text = json.dumps({"method": method, **metrics, "stages": _table(stages)}, indent=2) + "\n"
    write_atomically(folder / "metrics.json", lambda file: file.write(text.encode()))
    return report


def _write_arrays(folder: Path, result: FileMatch) -> None:
    shape1, shape2, p2p21 = result.source.shape, result.target.shape, result.between_files()
    write_vts(folder / "p2p21.txt", p2p21)
    arrays: dict[str, Any] = {
        "p2p21": p2p21,
        "fmap12": as_array(result.fmap12),
        "fmap12_init": as_array(result.fmap12_init),
        "evals1": as_array(shape1.basis.evals),
        "evals2": as_array(shape2.basis.evals),
        "dropped1": result.source.relabel.dropped,  # for each vertex of the file
        "dropped2": result.target.relabel.dropped,
    }
    write_atomically(folder / "match.npz", lambda file: np.savez(file, **arrays))


def _metrics(result: FileMatch) -> dict[str, Any]:
    """What is known of a match without ground truth."""
    shape1, shape2 = result.source.shape, result.target.shape
    metrics: dict[str, Any] = {
        "coverage": float(coverage(result.p2p21, shape1.basis.mass)),
        "n1": shape1.n,
        "n2": shape2.n,
    }
    # vertices of the files that the map leaves out
    metrics |= dict(zip(("dropped1", "dropped2"), result.dropped(), strict=True))
    if result.landmarks is not None:
        distances = result.landmark_distances()
        metrics["landmarks"] = {
            "distance": "straight, in units of sqrt(area of the source)",
            "mean": float(distances.mean()),
            "largest": float(distances.max()),
            "each": distances.tolist(),
        }
    return metrics


def _sentences(metrics: Mapping[str, Any]) -> list[str]:
    said = [f"Covers {100 * metrics['coverage']:.0f} % of the source's area."]
    if "landmarks" in metrics:
        landed = metrics["landmarks"]
        far = f"{landed['mean']:.3f} √area from their places on average, {landed['largest']:.3f} at most"
        said.append(f"The {len(landed['each'])} landmarks land {far}.")
    return said


def _sentence(text: str) -> str:
    return f"{text}." if text else ""


def _table(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """The finished stages; ``depth`` tells those that are part of the one before."""
    return [
        {"stage": entry.name, "depth": entry.depth, "seconds": round(entry.seconds, 3), "peak_bytes": entry.peak_bytes}
        for entry in stages
        if entry.seconds > 0
    ]
