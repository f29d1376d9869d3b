"""What a match of two meshes shows of itself: a picture, figures and the report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from torch import Tensor

from pullback.data.mesh.shapes import PreparedShape
from pullback.figures.alignment import aligning_rotation, turned
from pullback.figures.camera import View, broadest_view
from pullback.figures.correspondence import draw_correspondence
from pullback.figures.fmap import draw_features
from pullback.figures.picture import Picture, sheet
from pullback.figures.plot import save_figure
from pullback.figures.report import ReportContent, write_report
from pullback.figures.report_kinds import MESHES
from pullback.figures.surface import Surface, as_array, simplification
from pullback.figures.three import ViewerError
from pullback.figures.viewer import write_viewer
from pullback.geometry.mesh import face_areas
from pullback.stages import Stage, stage
from pullback.tasks.mesh.exports.writing import Exports
from pullback.tasks.mesh.two_meshes import FileMatch, file_ids
from pullback.tasks.mesh.viewed import viewed_match
from pullback.tasks.provenance import run_facts
from pullback.writing import write_atomically

# Dropped parts of less area than this, in units of the shape's, are not drawn: far away dust would make the shape
# small.
_SHOWN_SHARE = 0.05
_LEAD = (
    "Every point of the target wears the colour of the point of the source that it is mapped to: equal places should "
    "have equal colours. Where it is pale the map is unsure, or there is no match."
)


def dropped_part(prepared: PreparedShape) -> Surface | None:
    """The faces of the file that cleaning dropped, where the shape lies.

    None where they are less than 5 % of its area.
    """
    if not prepared.relabel.dropped.any():
        return None
    given = prepared.as_given()
    verts, faces = given.verts, given.faces
    faces = faces[prepared.relabel.dropped[faces].any(axis=1)]
    here, there = as_array(prepared.shape.verts).astype(np.float64), verts[file_ids(prepared)]
    scale = np.linalg.norm(here - here.mean(axis=0)) / np.linalg.norm(there - there.mean(axis=0))
    verts = (verts - there.mean(axis=0)) * scale + here.mean(axis=0)
    if not len(faces) or face_areas(verts, faces).sum() < _SHOWN_SHARE:
        return None
    used, corners = np.unique(faces, return_inverse=True)
    return Surface(verts[used].astype(np.float32), corners.reshape(-1, 3))


def write_match(
    folder: Path,
    result: FileMatch,
    *,
    method: str,
    view: View,
    config: str,
    stages: Sequence[Stage] = (),
    exports: Exports | None = None,
) -> Path:
    """Writes ``metrics.json``, ``match.png``, ``report/viewer.html`` and ``report/index.html``: the path of the last.

    ``stages`` is what was measured so far; it may grow while this runs. ``exports`` are the files beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{result.target.shape.name} → {result.source.shape.name}"
    with stage("pictures"):
        picture, features = _pictures(result, title=title, view=view)
        save_figure(sheet([picture]), folder / "match.png")
    with stage("viewer"):
        viewer, missing = _write_viewer(folder / "report", result, title=title, view=view)
    exports = exports or Exports()
    metrics, facts = _metrics(result) | exports.metrics(), run_facts()
    simplified = simplification(result.source.shape, result.target.shape)
    notes = [_sentence(note) for note in (result.omissions(), *exports.notes)]
    said = [*_verdict_line(result), f"{method}.", *_sentences(metrics), *notes, simplified]
    content = ReportContent(
        title=title,
        subtitle=" ".join([*said, missing]).strip(),
        viewer=viewer,
        kind=replace(MESHES, correspondences=_LEAD),
        correspondences=[picture],
        fmaps=(result.fmap12_init, result.fmap12),
        features=features,
        files=[(each.name, each.what) for each in exports.written],
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


def _pictures(result: FileMatch, *, title: str, view: View) -> tuple[Picture, list[Picture]]:
    """The correspondence, the target turned to the source's side, and the features."""
    shape1, shape2 = result.source.shape, result.target.shape
    view = broadest_view(as_array(shape1.verts).astype(np.float64), as_array(shape1.faces), view=view)
    certain2 = None if result.verdict is None else as_array(result.verdict.confidence2)
    rotation = aligning_rotation(as_array(shape1.verts), as_array(shape2.verts), result.partners(), certain2)
    rest1, rest2 = dropped_part(result.source), dropped_part(result.target)
    seen2 = turned(shape2, rotation)
    picture = draw_correspondence(
        shape1,
        seen2,
        result.p2p21,
        title=title,
        names=(f"source: {shape1.name}", f"target: {shape2.name}"),
        view=view,
        unmatched=(rest1, rest2 and turned(rest2, rotation)),
        confidence2=certain2,
        matched=(_mask(result.matched1), _mask(result.matched2)),
    )
    names = ("source", "target")
    return picture, draw_features(shape1, seen2, result.feat1, result.feat2, names=names, view=view)


def _write_viewer(folder: Path, result: FileMatch, *, title: str, view: View) -> tuple[str, str]:
    """The name of the interactive page in a folder, and what is to be said where there is none."""
    try:
        told = _verdict_line(result)
        return write_viewer(folder / "viewer.html", viewed_match(result, title=title, view=view, told=told)).name, ""
    except ViewerError as error:
        return "", _sentence(str(error))


def _metrics(result: FileMatch) -> dict[str, Any]:
    """What is known of a match without ground truth."""
    shape1, shape2 = result.source.shape, result.target.shape
    metrics: dict[str, Any] = {} if result.verdict is None else result.verdict.metrics()
    sides = (("matched1", shape1, result.matched1), ("matched2", shape2, result.matched2))
    metrics |= {
        "coverage": result.coverage(),
        # shares of the area that have a partner
        **{name: 1.0 if part is None else float(shape.basis.mass[part].sum()) for name, shape, part in sides},
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


def _mask(matched: Bool[Tensor, " n"] | None) -> Bool[ndarray, " n"] | None:
    return None if matched is None else matched.numpy()


def _sentences(metrics: Mapping[str, Any]) -> list[str]:
    said = [f"Covers {100 * metrics['coverage']:.0f} % of the source's area."]
    if "landmarks" in metrics:
        landed = metrics["landmarks"]
        far = f"{landed['mean']:.3f} √area from their places on average, {landed['largest']:.3f} at most"
        said.append(f"The {len(landed['each'])} landmarks land {far}.")
    return said


def _verdict_line(result: FileMatch) -> list[str]:
    return [] if result.verdict is None else [_sentence(f"Verdict: {result.verdict.verdict.sentence}")]


def _sentence(text: str) -> str:
    return f"{text}." if text else ""


def _table(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """The finished stages; ``depth`` tells those that are part of the one before."""
    return [
        {"stage": entry.name, "depth": entry.depth, "seconds": round(entry.seconds, 3), "peak_bytes": entry.peak_bytes}
        for entry in stages
        if entry.seconds > 0
    ]
