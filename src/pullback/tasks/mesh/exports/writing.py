"""Writes the files of a match that were asked for, and says what each is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from jaxtyping import Float, Num, UInt8
from numpy import ndarray

from pullback.data.mesh.looks.look import Look
from pullback.data.mesh.looks.reading import read_look
from pullback.data.mesh.query_points import QueryPoints
from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.writers.glb import write_glb
from pullback.data.mesh.writers.obj import write_obj
from pullback.data.mesh.writers.ply import write_ply
from pullback.figures.camera import View, broadest_view
from pullback.figures.palette import position_colors
from pullback.figures.surface import as_array
from pullback.stages import stage
from pullback.tasks.mesh.barycentric import SurfacePoints, barycentric_map
from pullback.tasks.mesh.exports.deforming import deformed
from pullback.tasks.mesh.exports.transfer import PALE, carried_colors, carried_surface, carried_values, vertex_colors
from pullback.tasks.mesh.landing import land
from pullback.tasks.mesh.two_meshes import FileMatch, file_ids
from pullback.tasks.point_tables import write_table
from pullback.writing import write_atomically, write_text_atomically


@dataclass(frozen=True)
class Written:
    """A file that was written."""

    name: str  # in the folder of the match
    what: str  # in words


@dataclass(frozen=True)
class Exports:
    """What was written of a match for other programs."""

    written: tuple[Written, ...] = ()
    notes: tuple[str, ...] = ()  # what the source names and could not be had

    def metrics(self) -> dict[str, Any]:
        """As ``metrics.json`` has it."""
        told = {"exports": {each.name: each.what for each in self.written}} if self.written else {}
        return told | ({"export_notes": list(self.notes)} if self.notes else {})


class Exporter:
    """Knows of a match what files are made of; each part is computed when it is first asked for."""

    def __init__(self, result: FileMatch, view: View):
        self.result, self.view = result, view
        self.source, self.target = result.source.as_given(), result.target.as_given()
        self.notes: list[str] = []

    @cached_property
    def points(self) -> SurfacePoints:
        return barycentric_map(self.result, self.source)

    @cached_property
    def look1(self) -> Look:
        """What the source wears."""
        given, name = self.result.source.given, self.result.source.relabel.name
        look = read_look(name, self.source) if given is None else given.look or Look()
        self.notes += [f"{Path(name).name}: {note}" for note in look.notes]
        return look

    @cached_property
    def positions(self) -> UInt8[ndarray, "m1 4"]:
        """Colours by place, as in the report, for a source without its own."""
        shape, relabel = self.result.source.shape, self.result.source.relabel
        verts = as_array(shape.verts).astype(np.float64)
        view = broadest_view(verts, as_array(shape.faces), view=self.view)
        shown = np.column_stack([np.round(255 * position_colors(verts, view=view)), np.full(len(verts), 255)])
        return np.where(relabel.dropped[:, None], PALE, shown[relabel.successor]).astype(np.uint8)

    @cached_property
    def confidence(self) -> Float[ndarray, " m2"] | None:
        """For each vertex of the target; 0 for those without a partner."""
        if self.result.verdict is None:
            return None
        certain = self.result.verdict.arrays(self.result.target.relabel)["confidence2"]
        return np.where(self.result.between_files() < 0, 0, certain).astype(np.float32)

    @cached_property
    def look2(self) -> Look:
        """What the target wears: the source's colours, labels and values, and the confidence of each vertex."""
        values: dict[str, Num[ndarray, " m2"]] = carried_values(self.look1, self.points)
        if self.confidence is not None:
            if "confidence" in values:
                values["source_confidence"] = values.pop("confidence")
            values["confidence"] = self.confidence
        colors = carried_colors(self.look1, self.source.faces, self.points, self.positions)
        if not self.look1.materials:
            return Look(colors=colors, values=values)
        places = (
            (self._unit(self.result.source, self.source), self.result.source.relabel.successor[self.source.faces]),
            (self._unit(self.result.target, self.target), self.target.faces),
        )
        surface = carried_surface(self.look1, self.points, *places)
        return replace(surface, colors=colors, values=values)

    @staticmethod
    def _unit(prepared: Any, given: FileMesh) -> Float[ndarray, "m 3"]:
        """The vertices of a file where the shape has them: in units of √area."""
        return prepared.shape.verts.double().numpy()[prepared.relabel.successor]

    def wears(self) -> str:
        """In words what the source wears."""
        kinds = [
            (self.look1.has_texture, "texture"),
            (self.look1.has_colors and not self.look1.has_texture, "colours"),
            (not self.look1.has_colors, "positions as colours"),
        ]
        values = f" and {', '.join(self.look1.values)}" if self.look1.values else ""
        return next(word for there, word in kinds if there) + values


def _ply(of: Exporter, folder: Path) -> list[Written]:
    write_ply(
        folder / "target.ply",
        of.target.verts,
        of.target.faces,
        colors=of.look2.colors,
        values=of.look2.values,
        comments=[f"the target with the {of.wears()} of the source", "grey: no partner"],
    )
    return [Written("target.ply", f"the target with the source's {of.wears()}")]


def _obj(of: Exporter, folder: Path) -> list[Written]:
    if not of.look1.materials:
        return []
    beside = write_obj(folder / "target.obj", of.target.verts, of.target.faces, of.look2)
    names = ", ".join(path.name for path in beside)
    return [Written("target.obj", f"the same with the source's texture coordinates and materials ({names})")]


def _glb(of: Exporter, folder: Path) -> list[Written]:
    write_glb(folder / "target.glb", of.target.verts, of.target.faces, of.look2)
    return [Written("target.glb", f"the target with the source's {of.wears()}")]


def _deformed(of: Exporter, folder: Path) -> list[Written]:
    verts, what = deformed(of.result, of.target), "the source in the target's pose, with its own vertices and faces"
    colors = vertex_colors(of.look1, of.source, of.positions)
    write_ply(
        folder / "source_posed.ply", verts, of.source.faces, colors=colors, values=of.look1.values, comments=[what]
    )
    written = [Written("source_posed.ply", what)]
    if of.look1.materials:
        write_obj(folder / "source_posed.obj", verts, of.source.faces, of.look1)
        written.append(Written("source_posed.obj", "the same with its materials"))
    return written


def _landmarks(of: Exporter, folder: Path) -> list[Written]:
    given = of.result.landmarks
    if given is None:
        return []
    ids = file_ids(of.result.source), file_ids(of.result.target)
    landing = land(of.result, QueryPoints.of_vertices(ids[0][given[0].numpy()]))
    wanted = ids[1][given[1].numpy()]
    apart = np.linalg.norm(landing.lands_place - of.target.verts[wanted], axis=1)
    rows = [
        {**row, "given_target_vertex": int(vertex) + 1, "apart": float(f"{distance:.6g}")}
        for row, vertex, distance in zip(landing.rows(), wanted, apart, strict=True)
    ]
    write_table(folder / "landmarks.csv", rows)
    return [Written("landmarks.csv", "where the landmarks of the source land, beside the given ones")]


def _confidence(of: Exporter, folder: Path) -> list[Written]:
    if of.confidence is None:
        return []
    write_text_atomically(folder / "confidence.txt", "".join(f"{value:.4f}\n" for value in of.confidence.tolist()))
    what = "line i: the probability that vertex i of the target lies within 0.10 √area of its place"
    return [Written("confidence.txt", what)]


def _barycentric(of: Exporter, folder: Path) -> list[Written]:
    points = of.points
    rows = zip((points.face + 1).tolist(), np.nan_to_num(points.weights).tolist(), strict=True)
    text = "".join(f"{face} {a:.7g} {b:.7g} {c:.7g}\n" for face, (a, b, c) in rows)
    write_text_atomically(folder / "barycentric.txt", text)
    what = (
        "line i: the triangle of the source for vertex i of the target, counted from 1, and the weights of its corners"
    )
    return [Written("barycentric.txt", f"{what}; 0: none")]


def _mat(of: Exporter, folder: Path) -> list[Written]:
    result = of.result
    arrays: dict[str, Any] = {
        "p2p21": (result.between_files() + 1)[:, None].astype(np.float64),
        "C": result.fmap12.double().numpy(),
        "P21": of.points.matrix(),
        "face21": (of.points.face + 1)[:, None].astype(np.float64),
        "weights21": of.points.weights,
    }
    for side, prepared, mesh in (("1", result.source, of.source), ("2", result.target, of.target)):
        basis, relabel = prepared.shape.basis, prepared.relabel
        evecs = basis.evecs.double().numpy()[relabel.successor]
        evecs[relabel.dropped] = np.nan
        arrays |= {f"evals{side}": basis.evals.double().numpy()[:, None], f"evecs{side}": evecs}
        arrays |= {f"verts{side}": mesh.verts, f"faces{side}": (mesh.faces + 1).astype(np.float64)}
    if of.confidence is not None:
        arrays["confidence2"] = of.confidence[:, None].astype(np.float64)
    write_atomically(folder / "match.mat", lambda file: scipy.io.savemat(file, arrays, do_compression=True))
    return [Written("match.mat", "for MATLAB: the map, counted from 1, the functional map C, both bases, P21")]


_MAKERS: Mapping[str, Callable[[Exporter, Path], list[Written]]] = {
    "ply": _ply,
    "obj": _obj,
    "glb": _glb,
    "deformed": _deformed,
    "landmarks": _landmarks,
    "confidence": _confidence,
    "barycentric": _barycentric,
    "mat": _mat,
}


def write_exports(folder: Path, result: FileMatch, names: Sequence[str], *, view: View) -> Exports:
    """Writes the files that are called ``names``.

    Raises CannotWrite, and as reading the files of the match does.
    """
    if not names:
        return Exports()
    with stage("exports"):
        exporter = Exporter(result, view)
        written = [each for name in _MAKERS if name in names for each in _MAKERS[name](exporter, folder)]
    return Exports(tuple(written), tuple(exporter.notes))
