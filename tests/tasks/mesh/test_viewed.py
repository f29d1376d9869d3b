"""What of two matched meshes the viewer gets."""

import numpy as np
import pytest

from pullback.figures.camera import View
from pullback.tasks.mesh.viewed import coarse_enough, partners, viewed_pair


@pytest.fixture(scope="module")
def pair(tiny_pair):
    shapes = (tiny_pair.shape1, tiny_pair.shape2)
    p2p21 = tiny_pair.corr1.numpy()
    confidence = np.linspace(0, 1, len(p2p21))
    return viewed_pair(shapes, p2p21, title="t", view=View(), fmap12=np.eye(60), confidence2=confidence)


def test_partners_turn_a_bijection_round(pair):
    np.testing.assert_array_equal(pair.p2p12, np.argsort(pair.p2p21))


def test_a_source_vertex_far_from_every_image_has_no_partner(pair):
    upper = pair.side1.verts[:, 1] > 0
    found = partners(pair.side1, np.where(upper[pair.p2p21], pair.p2p21, -1))
    np.testing.assert_array_equal(found[upper], pair.p2p12[upper])
    low = pair.side1.verts[:, 1] < -0.2
    assert low.any() and (found[low] == -1).all()
    assert (partners(pair.side1, np.full(len(pair.p2p21), -1)) == -1).all()


def test_a_fine_mesh_is_shown_with_a_part_of_its_vertices_and_says_so(pair):
    small = coarse_enough(pair, most=200)
    for side, whole in ((small.side1, pair.side1), (small.side2, pair.side2)):
        assert 60 < len(side.verts) <= 200 and side.faces.max() < len(side.verts)
        np.testing.assert_array_equal(side.verts, whole.verts[side.ids])
        np.testing.assert_array_equal(side.evecs, whole.evecs[side.ids])
        assert side.mass.sum() == pytest.approx(whole.mass.sum(), rel=1e-5)
    assert "642" in small.told[-1] and "200" in small.told[-1]
    # a vertex goes to the one that stays nearest to its true match
    true = pair.side1.verts[pair.p2p21[small.side2.ids]]
    away = np.linalg.norm(small.side1.verts[small.p2p21] - true, axis=1)
    nearest = np.linalg.norm(small.side1.verts[None] - true[:, None], axis=2).min(axis=1)
    np.testing.assert_allclose(away, nearest, atol=1e-6)
    np.testing.assert_array_equal(small.confidence2, pair.confidence2[small.side2.ids])


def test_vertices_without_a_partner_stay_without_one_where_a_part_is_shown(pair):
    from dataclasses import replace

    p2p21 = np.where(np.arange(len(pair.p2p21)) % 2, pair.p2p21, -1)
    small = coarse_enough(replace(pair, p2p21=p2p21), most=200)
    np.testing.assert_array_equal(small.p2p21 < 0, p2p21[small.side2.ids] < 0)


def test_a_small_mesh_is_shown_whole(pair):
    assert coarse_enough(pair) is pair
