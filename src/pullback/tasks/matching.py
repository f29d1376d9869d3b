"""Two mesh files in, one correspondence out: a point map in the vertex numbers of the files, functional maps and pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from pullback.data.io import write_vts
from pullback.data.shapes import PreparedShape
from pullback.figures.camera import View, broadest_view
from pullback.figures.correspondence import draw_correspondence
from pullback.figures.fmap import draw_features
from pullback.figures.picture import sheet
from pullback.figures.plot import save_figure
from pullback.figures.report import ReportContent, write_report
from pullback.figures.surface import as_array
from pullback.mapping.pointmap import coverage
from pullback.tasks.provenance import run_facts
from pullback.types import Eigenbasis, Match

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

    def between_files(self) -> Int[ndarray, " m2"]:
        """For each vertex of the target's file a vertex of the source's, both 0-based.

        Cleaning may have dropped vertices of either: none of the source is hit, and one of the target goes where its nearest
        neighbour among the kept ones goes.
        """
        return file_ids(self.source)[as_array(self.p2p21)[self.target.relabel.successor]]


def file_ids(prepared: PreparedShape) -> Int[ndarray, " n"]:
    """The vertex of its file that each vertex of a shape stands for."""
    successor, moved = prepared.relabel.successor, prepared.relabel.moved
    order = np.argsort(-moved, kind="stable")  # the last one written is the vertex itself, or the nearest
    ids = np.empty(prepared.shape.n, dtype=np.int64)
    ids[successor[order]] = order
    return ids


@torch.no_grad()
def match_shapes(source: PreparedShape, target: PreparedShape, backbone: nn.Module, solver: Solver, *, device: torch.device) -> FileMatch:
    """Features, then the solver: as in an evaluation."""
    shape1, shape2 = source.shape.to(device), target.shape.to(device)
    backbone = backbone.to(device).eval()
    feat1, feat2 = backbone(shape1), backbone(shape2)
    match = solver(feat1, feat2, shape1.basis, shape2.basis)
    return FileMatch(source, target, *(values.cpu() for values in (match.p2p21, match.fmap12, match.fmap12_init, feat1, feat2)))


def write_match(folder: Path, result: FileMatch, *, method: str, view: View, config: str) -> Path:
    """Writes ``p2p21.txt`` (from 1), ``match.npz`` (from 0), ``match.png`` and ``report/index.html``; returns the path of the last."""
    shape1, shape2 = result.source.shape, result.target.shape
    folder.mkdir(parents=True, exist_ok=True)
    p2p21 = result.between_files()
    write_vts(folder / "p2p21.txt", p2p21)
    arrays = {"fmap12": result.fmap12, "fmap12_init": result.fmap12_init, "evals1": shape1.basis.evals, "evals2": shape2.basis.evals}
    np.savez(folder / "match.npz", p2p21=p2p21, **{name: as_array(values) for name, values in arrays.items()})
    view = broadest_view(as_array(shape1.verts).astype(np.float64), as_array(shape1.faces), view=view)
    names = (f"source: {shape1.name}", f"target: {shape2.name}")
    picture = draw_correspondence(shape1, shape2, result.p2p21, title=f"{shape2.name} → {shape1.name}", names=names, view=view)
    save_figure(sheet([picture]), folder / "match.png")
    facts = run_facts()
    content = ReportContent(
        title=f"{shape2.name} → {shape1.name}",
        subtitle=f"{method}. Covers {100 * coverage(result.p2p21, shape1.basis.mass):.0f} % of the source's area.",
        correspondences=[picture],
        fmaps=(result.fmap12_init, result.fmap12),
        features=draw_features(shape1, shape2, result.feat1, result.feat2, view=view),
        config=config,
        command=facts.pop("command"),
        environment=facts,
    )
    return write_report(folder / "report" / "index.html", content)
