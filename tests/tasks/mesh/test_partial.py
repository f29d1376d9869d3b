"""A part in a whole: noticed, matched where it belongs, and marked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.fakes import write_mesh
from tests.meshes import plane, sphere, subdivide
from tests.tasks.mesh.test_judging import judge

from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import PreparationSettings, bare_shape, load_shape
from pullback.geometry.regions import cut_out
from pullback.nn.backbone import LandmarkFeatures, RawDescriptor
from pullback.nn.descriptor import WKS, LandmarkKernels
from pullback.solvers.best_of_starts import BestOfStarts
from pullback.solvers.nearest import FeatureNearest
from pullback.solvers.starts import FeatureStart
from pullback.solvers.zoomout import ZoomOut
from pullback.tasks.mesh.boundaries import OPEN
from pullback.tasks.mesh.partial.detection import Part, PartialError, check_choice, likely_part
from pullback.tasks.mesh.partial.matching import (
    carried_over,
    match_part,
    more_likely,
    region_of,
    share_by_landmarks,
    slanted_sizes,
    with_part,
)
from pullback.tasks.mesh.partial.sides import CoarseSide
from pullback.tasks.mesh.two_meshes import match_shapes

SETTINGS = PreparationSettings(k=60)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def whole(icosphere, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_mesh(folder / "whole.off", *icosphere)
    return load_shape(folder / "whole.off", SETTINGS, folder / "cache")


@pytest.fixture(scope="module")
def cut(icosphere):
    """A part of the whole, in its unit of length, and the vertex of the whole that each of its vertices is."""
    verts, faces = icosphere
    ids, part = cut_out(verts, faces, verts[:, 2] < 0.5)
    return bare_shape(FileMesh(verts[ids], part), SETTINGS, name="part"), ids


def starts():
    return BestOfStarts(starts=[FeatureStart()], judge=judge(1.0), points=300, k=40)


def test_a_cut_is_noticed_in_either_order_and_two_whole_shapes_are_not(whole, cut):
    part, ids = cut
    share = float(whole.shape.basis.mass[ids].sum())
    for pair, side in (((part, whole), 0), ((whole, part), 1)):
        found = likely_part(*pair)
        assert found.side == side and found.shares[0] == pytest.approx(share, rel=0.1) and not found.asked
        assert likely_part(*pair, "false") is None
    assert likely_part(whole, whole) is None
    assert likely_part(whole, whole, "target").side == 1 and likely_part(whole, part, "true").side == 1


def test_a_small_hole_makes_no_part(whole, icosphere):
    verts, faces = subdivide(*icosphere)
    pierced = bare_shape(FileMesh(verts, faces[1:]), SETTINGS, name="pierced")
    assert likely_part(whole, pierced) is None
    assert likely_part(whole, pierced, "true").side == 1
    assert OPEN < 0.2  # an arm that is missing leaves 0.23


def test_meshes_of_a_few_vertices_are_matched_as_wholes():
    small = bare_shape(FileMesh(*plane(5)), PreparationSettings(k=10), name="plane")
    ball = bare_shape(FileMesh(*sphere(1)), PreparationSettings(k=10), name="ball")
    assert likely_part(small, ball) is None and likely_part(small, ball, "true") is None


def test_other_units_of_length_leave_the_size_open(whole, cut):
    part, _ = cut
    inches = replace(part, given=FileMesh(part.given.verts * 39.4, part.given.faces))
    assert len(likely_part(whole, inches).shares) > 1


def test_two_open_shapes_of_like_size_are_not_known_to_lie_in_each_other(cut):
    assert likely_part(cut[0], cut[0]) is None


def test_an_unknown_choice_is_refused():
    assert check_choice(True) == "true"
    with pytest.raises(PartialError, match="partial=left is unknown; use one of auto, true, false, source, target"):
        check_choice("left")


@pytest.mark.parametrize(
    "shares, sizes",
    [((1.0, 1.0), (100, 100)), ((0.3, 1.0), (100, 30)), ((1.0, 0.3), (30, 100)), ((0.0101, 1.0), (100, 1))],
)
def test_the_part_has_fewer_eigenfunctions_by_its_share_of_the_area(shares, sizes):
    assert slanted_sizes(100, *shares) == sizes


def test_the_region_of_everything_gives_the_ordinary_result(whole):
    region, ids = region_of(whole, np.ones(whole.shape.n, bool), SETTINGS)
    torch.testing.assert_close(region.shape.verts, whole.shape.verts, atol=1e-5, rtol=0)
    ordinary = match_shapes(whole, whole, RawDescriptor(WKS(k=60)), FeatureNearest(), device=CPU)
    for side in (0, 1):
        found = carried_over(ordinary, (whole, whole), Part(side, (1.0,)), ids)
        assert torch.equal(found.p2p21, ordinary.p2p21)
        torch.testing.assert_close(found.fmap12, ordinary.fmap12, atol=1e-4, rtol=0)
        assert all(mask.all() for mask in found.matched()) and found.omissions() == ""


@pytest.mark.parametrize("side", [0, 1])
def test_a_part_is_found_where_it_was_cut_from_and_the_rest_is_marked(whole, cut, side):
    part, ids = cut
    of_part = torch.from_numpy(np.linspace(0, len(ids) - 1, 6).astype(int))
    of_whole = torch.from_numpy(ids)[of_part]
    pair, landmarks = ((part, whole), (of_part, of_whole)) if side == 0 else ((whole, part), (of_whole, of_part))
    solver = ZoomOut(k_init=20, step=10, n_steps=3, two_way=False)
    backbone = LandmarkFeatures(LandmarkKernels(k=60))
    choosing = {"starts": starts(), "judge": judge(1.0), "device": CPU}
    found = match_part(
        *pair, likely_part(*pair), backbone, solver, settings=SETTINGS, landmarks=landmarks, rounds=1, **choosing
    )
    truth = torch.from_numpy(ids)
    inside = torch.zeros(whole.shape.n, dtype=bool)
    inside[truth] = True
    marked = found.matched2 if side == 0 else found.matched1
    assert float((marked & inside).sum() / (marked | inside).sum()) > 0.9
    if side == 0:
        both = marked & inside
        away = (part.shape.verts[found.p2p21[both]] - whole_on_part(part, ids, whole.shape.n)[both]).norm(dim=1)
    else:
        away = (whole.shape.verts[found.p2p21] - whole.shape.verts[truth]).norm(dim=1)
    assert away.mean() < 0.03
    assert found.fmap12.shape[side] > found.fmap12.shape[1 - side]
    said = found.verdict.verdict.sentence
    assert f"the {('source', 'target')[side]} is taken for a part of the" in said and "partial=false" in said
    lone = (~found.matched()[1 - side]).sum()
    assert lone == (~marked).sum() and f"{lone} vertices of the" in found.omissions()


def whole_on_part(part, ids, n):
    """Where each vertex of the whole lies on the part."""
    places = torch.full((n, 3), torch.nan)
    places[torch.from_numpy(ids)] = part.shape.verts
    return places


def test_landmarks_tell_the_size_whatever_the_units(whole, cut):
    part, ids = cut
    sides = CoarseSide.of(part.shape, 1000), CoarseSide.of(whole.shape, 1000)
    some = np.linspace(0, len(ids) - 1, 8).astype(int)
    share = share_by_landmarks(sides, (some, ids[some]))
    assert share == pytest.approx(float(whole.shape.basis.mass[ids].sum()), rel=0.1)


def test_a_part_is_taken_for_one_only_where_energies_say_so(whole):
    given = {"device": CPU, "starts": starts(), "judge": judge(1.0)}
    match = match_shapes(whole, whole, RawDescriptor(WKS(k=60)), FeatureNearest(), **given)
    verdict = match.verdict
    better, worse = (
        replace(match, verdict=replace(verdict, verdict=replace(verdict.verdict, expected_error=factor * error)))
        for error in (verdict.verdict.expected_error,)
        for factor in (1.1, 1.4)
    )
    assert more_likely(better, match) is better and more_likely(worse, match) is match


def test_a_part_is_called_good_only_from_half_the_error_of_wholes_on(whole):
    given = {"device": CPU, "starts": starts(), "judge": judge(1.0)}
    verdict = match_shapes(whole, whole, RawDescriptor(WKS(k=60)), FeatureNearest(), **given).verdict
    error = verdict.verdict.expected_error
    doubtful, good = (with_part(verdict, Part(1, (0.75,)), 0.25, factor * error).verdict for factor in (0.9, 1.1))
    assert (doubtful.level, good.level) == ("doubtful", "good")
    assert "landmarks=pairs.txt" in doubtful.sentence and "25 % of which has no partner" in good.sentence
    assert good.expected_error == pytest.approx(error * 0.75**0.5)


def test_a_region_is_as_smooth_on_the_shape_as_its_copy_allows(whole):
    side = CoarseSide.of(whole.shape, 200)
    upper = side.verts[:, 2] > 0
    fine = side.refined(upper)
    assert (fine == (whole.shape.verts[:, 2].numpy() > 0)).mean() > 0.9
    assert np.array_equal(side.refined(np.ones(side.n, bool)), np.ones(whole.shape.n, bool))
