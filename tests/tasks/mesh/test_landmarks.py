"""Ground-truth points of a pair for features that are made of landmarks."""

from dataclasses import replace

import pytest
import torch
from tests.later import later

from pullback.nn.backbone import LandmarkFeatures
from pullback.nn.descriptor import LandmarkKernels
from pullback.solvers.zoomout import ZoomOut
from pullback.tasks.mesh.landmarks import known_points
from pullback.types import ShapePair

mesh_module = later("pullback.tasks.mesh.module")


def test_the_points_are_the_same_on_both_shapes_and_lie_apart(tiny_pair):
    points1, points2 = known_points(tiny_pair, 6)
    true_p2p21 = tiny_pair.corr1[tiny_pair.corr2.argsort()]
    assert torch.equal(true_p2p21[points2], points1)
    apart = torch.cdist(tiny_pair.shape1.verts[points1], tiny_pair.shape1.verts[points1]) + torch.eye(6) * 9
    assert apart.min() > 0.3  # of a surface of area 1


def test_fewer_known_points_than_asked_for_are_refused_with_the_name_of_the_pair(tiny_pair):
    few = replace(tiny_pair, corr1=tiny_pair.corr1[:3], corr2=tiny_pair.corr2[:3])
    with pytest.raises(ValueError, match=r"landmarks=6, of the pair tiny-twin: 6 points cannot be chosen among 3"):
        known_points(few, 6)
    with pytest.raises(ValueError, match=r"the pair tiny-twin has none; use landmarks=null"):
        known_points(ShapePair(tiny_pair.shape1, tiny_pair.shape2), 6)


def test_a_pair_is_matched_from_its_known_points(tiny_pair):
    backbone = LandmarkFeatures(LandmarkKernels(n_energies=4, k=40))
    module = mesh_module.MeshMatching(backbone, ZoomOut(k_init=20, step=10, n_steps=3), landmarks=6)
    assert torch.equal(module.match_for_test(tiny_pair).p2p21, tiny_pair.corr1[tiny_pair.corr2.argsort()])


@pytest.mark.parametrize("count", [0, -2])
def test_what_is_no_number_of_points_is_refused(count):
    with pytest.raises(ValueError, match=r"is no number of points; use landmarks=6"):
        mesh_module.MeshMatching(LandmarkFeatures(LandmarkKernels()), ZoomOut(), landmarks=count)
