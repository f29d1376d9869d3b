"""Two meshes in, one correspondence out: a point map in the vertex numbers of their files, and functional maps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree
from torch import Tensor, nn

from pullback.brief import OneLine
from pullback.data.mesh.io import write_vts
from pullback.data.mesh.shapes import PreparedShape
from pullback.geometry.cleaning import MeshError
from pullback.mapping.pointmap import coverage
from pullback.metrics.verdict import Judge
from pullback.nn.finite import check_features
from pullback.solvers.best_of_starts import BestOfStarts
from pullback.solvers.solver import matching
from pullback.stages import stage
from pullback.tasks.mesh.judging import MeshVerdict, begin, judged
from pullback.tasks.stored_arrays import check_map
from pullback.types import Eigenbasis, Match
from pullback.writing import write_atomically

# Features whose deviation from their mean is a smaller share of them than this are the same except for rounding.
_FEATURELESS = 1e-5

Landmarks = tuple[Int[Tensor, " t"], Int[Tensor, " t"]]  # vertices of the source and of the target that belong together
Solver = Callable[[Float[Tensor, "n1 c"], Float[Tensor, "n2 c"], Eigenbasis, Eigenbasis], Match]


@dataclass(frozen=True, repr=False)
class FileMatch(OneLine):
    """The match of a source (shape 1) and a target (shape 2), with the features that led to it; on the CPU.

    Where one is a part of the other, the vertices of the larger that have a partner are marked: ``p2p21`` counts only
    at those of shape 2 that are ``matched2``.
    """

    source: PreparedShape
    target: PreparedShape
    p2p21: Int[Tensor, " n2"]  # between the shapes
    fmap12: Float[Tensor, "k2 k1"]
    fmap12_init: Float[Tensor, "k2_init k1_init"]
    feat1: Float[Tensor, "n1 c"]
    feat2: Float[Tensor, "n2 c"]
    landmarks: Landmarks | None = None  # of the shapes
    verdict: MeshVerdict | None = None
    matched1: Bool[Tensor, " n1"] | None = None  # vertices that have a partner; None: all
    matched2: Bool[Tensor, " n2"] | None = None

    def landmark_distances(self) -> Float[Tensor, " t"]:
        """How far from its place on the source each landmark lands, straight through space, in units of √area."""
        verts1, (corr1, corr2) = self.source.shape.verts, self.landmarks or (self.p2p21[:0], self.p2p21[:0])
        return (verts1[self.p2p21[corr2]] - verts1[corr1]).norm(dim=1)

    def between_files(self) -> Int[ndarray, " m2"]:
        """For each vertex of the target's file a vertex of the source's, both 0-based.

        -1 for those that have no partner on the source, and for those that cleaning dropped.

        Of the source no dropped vertex is hit. Twins that cleaning joined (along seams) get the same answer.
        """
        return np.where(self.matched()[1], in_given_numbers(self.p2p21, self.source, self.target), -1)

    def partners(self) -> Int[ndarray, " n2"]:
        """The map between the shapes, -1 where a vertex of shape 2 has no partner."""
        p2p21 = self.p2p21.numpy()
        return p2p21 if self.matched2 is None else np.where(self.matched2.numpy(), p2p21, -1)

    def matched(self) -> tuple[Bool[ndarray, " m1"], Bool[ndarray, " m2"]]:
        """Which vertices of the source's and of the target's file have a partner on the other; none that cleaning
        dropped has.
        """
        sides = ((self.source, self.matched1), (self.target, self.matched2))
        found = [
            ~side.relabel.dropped & (True if matched is None else matched.numpy()[side.relabel.successor])
            for side, matched in sides
        ]
        return found[0], found[1]

    def coverage(self) -> float:
        """Share of the source's area that vertices of the target with a partner are mapped to."""
        used = self.p2p21 if self.matched2 is None else self.p2p21[self.matched2]
        return float(coverage(used, self.source.shape.basis.mass))

    def dropped(self) -> tuple[int, int]:
        """How many vertices of the source's and of the target's file the map leaves out."""
        return int(self.source.relabel.dropped.sum()), int(self.target.relabel.dropped.sum())

    def omissions(self) -> str:
        """What is to be said of vertices that the map leaves out; empty where there are none."""
        dropped1, dropped2 = self.dropped()
        alone1, alone2 = (int((~matched).sum()) for matched in self.matched())
        said = []
        if alone2 > dropped2:
            said.append(
                f"{alone2 - dropped2} vertices of the target have no partner on the source: 0 in p2p21.txt, -1 in "
                "match.npz (matched2 there)"
            )
        if alone1 > dropped1:
            said.append(
                f"{alone1 - dropped1} vertices of the source have no partner on the target (matched1 in match.npz)"
            )
        if dropped2:
            said.append(f"{dropped2} vertices of the target were dropped by cleaning: 0 in p2p21.txt, -1 in match.npz")
        said += (
            [f"{dropped1} vertices of the source were dropped: none of them is hit (dropped1 in match.npz)"]
            if dropped1
            else []
        )
        return "; ".join(said)


def in_given_numbers(p2p21: Int[Tensor, " n2"], source: PreparedShape, target: PreparedShape) -> Int[ndarray, " m2"]:
    """A point map between two shapes as one between their files, as ``FileMatch.between_files`` describes it."""
    relabel = target.relabel
    return np.where(relabel.dropped, -1, file_ids(source)[p2p21.numpy()[relabel.successor]])


def between_shapes(p2p21: Int[ndarray, " m2"], source: PreparedShape, target: PreparedShape) -> Int[Tensor, " n2"]:
    """A point map between two files as one between their shapes.

    A vertex of the target without a partner (-1) takes that of the nearest one that has one.
    """
    given = p2p21[file_ids(target)]
    lost = given < 0
    if lost.any():
        verts = target.shape.verts.double().numpy()
        given = np.where(lost, given[~lost][cKDTree(verts[~lost]).query(verts)[1]], given)
    return torch.from_numpy(source.relabel.successor[given].astype(np.int64))


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
    initial: Int[Tensor, " n2"] | None = None,
    starts: BestOfStarts | None = None,
    judge: Judge | None = None,
    more: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    is_part: bool = False,
) -> FileMatch:
    """Features, then the solver: as in an evaluation.

    ``landmarks`` are vertices of the shapes, for a backbone that takes them. An ``initial`` map between the shapes is
    what the solver begins with, in the place of the features. With ``starts`` the solver begins with the
    best of them, where there are several; with a ``judge`` too the result has a verdict.
    ``more`` are features of both shapes for further starts, by name; ``is_part`` says that one shape was cut out as
    what the other is a part of.
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
        if not learned and initial is None:
            _check_told_apart(prepared.relabel.name, feat)
    start = None if initial is None else initial.to(device)
    choice, begun = begin(starts, backbone, (shape1, shape2), (feat1, feat2), initial=start, more=more)
    match = matching(solver)(*begun, shape1.basis, shape2.basis)
    with stage(f"full-resolution map of {shape2.n:,} vertices"):
        p2p21 = match.p2p21
    check_map(p2p21, match.fmap12, of=f"{shape2.name} → {shape1.name}")
    fmap12, fmap12_init, feat1, feat2 = (x.cpu() for x in (match.fmap12, match.fmap12_init, feat1, feat2))
    found = FileMatch(source, target, p2p21.cpu(), fmap12, fmap12_init, feat1, feat2, landmarks=landmarks)
    if choice is None or judge is None:
        return found
    given_map = (learned or initial is not None, landmarks is not None)
    known: dict[str, Any] = {"given": given_map, "suspect_part": not is_part}
    return replace(found, verdict=judged(choice, found.p2p21, judge, source=source, target=target, **known))


def _check_told_apart(name: str, feat: Float[Tensor, "n c"]) -> None:
    """Raises MeshError for signatures that are the same at every vertex: nearest neighbours would send all to one."""
    if float((feat - feat.mean(dim=0)).norm()) < _FEATURELESS * float(feat.norm()):
        raise MeshError(
            f"{name}: its {len(feat)} vertices all have the same features (a shape as regular as a tetrahedron), "
            "so that nothing tells "
            "them apart. Give points that correspond, landmarks=FILE backbone=landmarks, or a shape with less symmetry"
        )


def write_map(folder: Path, result: FileMatch) -> None:
    """Writes ``p2p21.txt`` (from 1) and ``match.npz`` (from 0).

    A vertex of the target without a partner has 0 in the text and -1 in the array, ``matched1`` and ``matched2`` tell
    those that have one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    p2p21, (matched1, matched2) = result.between_files(), result.matched()
    write_vts(folder / "p2p21.txt", p2p21)
    arrays: dict[str, Any] = {
        "p2p21": p2p21,
        "fmap12": result.fmap12.numpy(),
        "fmap12_init": result.fmap12_init.numpy(),
        "evals1": result.source.shape.basis.evals.numpy(),
        "evals2": result.target.shape.basis.evals.numpy(),
        "dropped1": result.source.relabel.dropped,  # for each vertex of the file
        "dropped2": result.target.relabel.dropped,
        "matched1": matched1,
        "matched2": matched2,
    }
    if result.verdict is not None:
        arrays |= result.verdict.arrays(result.target.relabel)
    write_atomically(folder / "match.npz", lambda file: np.savez(file, **arrays))
