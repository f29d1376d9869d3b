"""The match of a part with a whole: with the region found for it, carried over to all of the whole."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import PreparationSettings, PreparedShape, bare_shape
from pullback.geometry.regions import cut_out
from pullback.metrics.verdict import LEVELS, Judge
from pullback.stages import stage
from pullback.tasks.mesh.judging import MeshVerdict
from pullback.tasks.mesh.partial.detection import Part
from pullback.tasks.mesh.partial.search import RegionSearch
from pullback.tasks.mesh.partial.sides import CoarseSide
from pullback.tasks.mesh.two_meshes import FileMatch, Landmarks, file_ids, match_shapes

_COARSE = 1000  # vertices of the whole's copy
_FEWEST = 300  # of the part's
# Of the expected error below which a map between wholes is good: with it no part is called good whose error is above 10
# among the cuts that settings were chosen on.
_STRICTER = 0.5
_SLACK = 1.25  # expected errors that differ by this factor hardly differ
_ADVICE = "Look whether its edge lies where it should, or give landmarks of the common part: landmarks=pairs.txt"


@torch.no_grad()
def match_part(
    source: PreparedShape,
    target: PreparedShape,
    part: Part,
    backbone: nn.Module,
    solver: Any,
    *,
    settings: PreparationSettings,
    landmarks: Landmarks | None = None,
    rounds: int | None = None,
    **choosing: Any,
) -> FileMatch | None:
    """The match of two shapes of which one is a part of the other; None where no region of the whole can be matched.

    The region is improved ``rounds`` times: 2 with landmarks, which settle most of it, else 4. ``choosing`` is what
    ``match_shapes`` takes: device, starts and judge.
    """
    pair = (source, target)
    small, whole = pair[part.side], pair[1 - part.side]
    with stage("the region of the whole"):
        sides = (
            CoarseSide.of(small.shape, max(_FEWEST, round(_COARSE * part.shares[0]))),
            CoarseSide.of(whole.shape, _COARSE),
        )
        shares, known = part.shares, None
        if landmarks is not None:
            of_part, of_whole = landmarks[part.side], landmarks[1 - part.side]
            known = sides[0].coarse_ids(of_part.numpy()), sides[1].coarse_ids(of_whole.numpy())
            shares = (share_by_landmarks(sides, known),)
        backbone, rounds = backbone.cpu().eval(), rounds or (4 if landmarks is None else 2)
        search = RegionSearch(*sides, backbone, choosing["judge"], shares, landmarks=known, rounds=rounds)
        guess = next(iter(search.run()), None)
        found = None if guess is None else region_of(whole, sides[1].refined(guess.kept), settings)
    if guess is None or found is None:
        return None
    region, ids = found
    inside = _landmarks_inside(landmarks, ids, part)
    if landmarks is not None and inside is None:
        return None
    # Where the search saw either: places on the whole.
    images = sides[1].places[guess.images][sides[0].coarse_ids(np.arange(small.shape.n))]
    seen = torch.from_numpy(images).float(), whole.shape.verts[ids]
    two, before = ((small, region), seen) if part.side == 0 else ((region, small), seen[::-1])
    match = match_shapes(*two, backbone, solver, landmarks=inside, more={"before": before}, is_part=True, **choosing)
    return judged_as_part(carried_over(match, pair, part, ids), part, choosing["judge"])


def more_likely(part: FileMatch, whole: FileMatch) -> FileMatch:
    """Of a match as a part and one as wholes the one whose energies speak for it; where they hardly differ, as a part:
    a boundary that was noticed is a reason of its own.
    """
    if part.verdict is None or whole.verdict is None:
        return whole
    expected = [match.verdict.verdict.expected_error for match in (part, whole) if match.verdict]
    return part if expected[0] < _SLACK * expected[1] else whole


def share_by_landmarks(
    sides: tuple[CoarseSide, CoarseSide], landmarks: tuple[Int[ndarray, " t"], Int[ndarray, " t"]]
) -> float:
    """The part's share of the whole's area, by how far landmarks lie apart on either."""
    apart1, apart2 = (side.distances(points)[:, points] for side, points in zip(sides, landmarks, strict=True))
    different = (apart1 > 0) & (apart2 > 0)
    ratio = np.median(apart2[different] / apart1[different]) if different.any() else 1.0
    return float(min(ratio**2, 0.97))


def region_of(
    whole: PreparedShape, kept: ndarray, settings: PreparationSettings
) -> tuple[PreparedShape, Int[Tensor, " r"]] | None:
    """A region of a whole as a shape of its own, and the vertex of the whole that each of its vertices is."""
    verts = whole.shape.verts.double().numpy()
    cut = cut_out(verts, whole.shape.faces.numpy(), kept)
    if cut is None:
        return None
    mesh = FileMesh(verts[cut[0]], cut[1])
    region = bare_shape(mesh, replace(settings, coarsen=None), name=f"region of {whole.shape.name}")
    return region, torch.from_numpy(cut[0][file_ids(region)])


def _landmarks_inside(landmarks: Landmarks | None, ids: Int[Tensor, " r"], part: Part) -> Landmarks | None:
    """Landmarks that lie in the region, of which the whole's are vertices of the region now; None for too few."""
    if landmarks is None:
        return None
    place = {int(vertex): i for i, vertex in enumerate(ids)}
    of_part, of_whole = landmarks[part.side], landmarks[1 - part.side]
    inside = [i for i, vertex in enumerate(of_whole.tolist()) if vertex in place]
    if len(inside) < 3:
        return None
    now = of_part[inside], torch.tensor([place[int(of_whole[i])] for i in inside])
    return now if part.side == 0 else (now[1], now[0])


def carried_over(
    match: FileMatch, pair: tuple[PreparedShape, PreparedShape], part: Part, ids: Int[Tensor, " r"]
) -> FileMatch:
    """A match with a region as one with the whole: what lies outside the region has no partner."""
    source, target = pair
    whole = pair[1 - part.side].shape
    inside = torch.zeros(whole.n, dtype=torch.bool)
    inside[ids] = True
    rest: dict[str, Any] = {"source": source, "target": target}
    if part.side == 1:  # the target is the part
        rest |= {"p2p21": ids[match.p2p21], "matched1": inside, "feat1": spread(match.feat1, ids, whole.n)}
    else:
        p2p21 = torch.zeros(whole.n, dtype=torch.int64).index_copy_(0, ids, match.p2p21)
        rest |= {"p2p21": p2p21, "matched2": inside, "feat2": spread(match.feat2, ids, whole.n)}
        if match.verdict is not None:
            certain = torch.zeros(whole.n).index_copy_(0, ids, match.verdict.confidence2)
            rest["verdict"] = replace(match.verdict, confidence2=certain)
    found = replace(match, **rest)
    return replace(found, fmap12=slanted_fmap(found))


def judged_as_part(match: FileMatch, part: Part, judge: Judge) -> FileMatch:
    """A match that was carried over, with a verdict that counts in that the region may be another one too."""
    if match.verdict is None:
        return match
    mask, basis = (
        (match.matched2, match.target.shape.basis) if part.side == 0 else (match.matched1, match.source.shape.basis)
    )
    alone = 0.0 if mask is None else 1 - float(basis.mass[mask].sum())
    good_below = _STRICTER * judge.model(match.verdict.energies).good_below
    return replace(match, verdict=with_part(match.verdict, part, alone, good_below))


def with_part(verdict: MeshVerdict, part: Part, alone: float, good_below: float) -> MeshVerdict:
    """The verdict with the remark that one shape was taken for a part of the other, of which this share has no partner;
    errors in units of √area of the source. No better than doubtful from an expected error of ``good_below`` on.
    """
    told = verdict.verdict
    if told.level == LEVELS[0] and told.expected_error >= good_below:
        told = replace(told, level=LEVELS[1], why=("a limb of the region may be another one",), advice=_ADVICE)
    small, whole = part.names
    lone = f"{100 * alone:.0f} %" if alone >= 0.01 else "less than 1 %"
    remark = f"the {small} is taken for a part of the {whole}, {lone} of which has no partner"
    other = "" if part.asked else "; partial=false matches all of it"
    expected = told.expected_error * (1.0 if part.side == 0 else (1 - alone) ** 0.5)
    return replace(verdict, verdict=replace(told, remark=remark + other, expected_error=expected))


def slanted_fmap(match: FileMatch) -> Float[Tensor, "k2 k1"]:
    """The functional map 1 → 2 between the bases of part and whole: functions on the whole are restricted to the part,
    those on the part continued by zero.

    Its diagonal is slanted: as many eigenfunctions of the part reach as high as the whole's by the part's share of the
    area (Rodolà et al. 2017, by Weyl's law).
    """
    basis1, basis2 = match.source.shape.basis, match.target.shape.basis
    k2, k1 = match.fmap12.shape
    share1, share2 = (
        1.0 if matched is None else float(basis.mass[matched].sum())
        for basis, matched in ((basis1, match.matched1), (basis2, match.matched2))
    )
    size1, size2 = slanted_sizes(min(k1, k2), share1, share2)
    pulled = basis1.first(min(size1, basis1.k)).evecs[match.p2p21]
    if match.matched2 is not None:
        pulled = pulled * match.matched2[:, None].to(pulled)
    return basis2.first(min(size2, basis2.k)).project(pulled)


def slanted_sizes(k: int, share1: float, share2: float) -> tuple[int, int]:
    """How many eigenfunctions of either shape reach equally high, k of the one that is matched as a whole's: those of a
    part are fewer by its share of the area, ``share1`` of shape 1 and ``share2`` of shape 2 having partners.
    """
    return max(1, round(k * min(1, share2 / share1))), max(1, round(k * min(1, share1 / share2)))


def spread(values: Float[Tensor, "r c"], ids: Int[Tensor, " r"], n: int) -> Float[Tensor, "n c"]:
    """Features of a region on the whole: their mean where there are none."""
    return values.mean(dim=0).expand(n, -1).clone().index_copy_(0, ids, values)
