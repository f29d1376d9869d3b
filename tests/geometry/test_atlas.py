"""Triangles that lie over seams of an atlas are laid out on one side of them."""

import numpy as np
from tests.textured import halves, rolled

from pullback.geometry.atlas import Atlas
from pullback.geometry.nearest_on_triangles import nearest_on_surface, nearest_weights


def places(verts, faces, points):
    found = [nearest_on_surface(point, verts, faces)[:2] for point in points]
    return np.array([face for face, _ in found]), np.array([weights for _, weights in found])


def small_triangles(verts, faces, *, count, size, seed=0):
    """Triangles around places of a surface, by the triangles and weights of their corners."""
    rng = np.random.default_rng(seed)
    corners = verts[faces[rng.integers(len(faces), size=count)]].mean(axis=1)
    points = corners[:, None] + size * rng.standard_normal((count, 3, 3))
    face, weights = places(verts, faces, points.reshape(-1, 3))
    return face.reshape(-1, 3), weights.reshape(-1, 3, 3)


def test_nothing_is_torn_across_the_texture():
    for make, least in ((halves, 5), (rolled, 5)):
        verts, faces, uv = make()
        face, weights = small_triangles(verts, faces, count=150, size=0.08)
        naive = (weights[..., None] * uv[face]).sum(axis=2)
        laid, chosen = Atlas(verts, faces, uv).lay(face, weights, reach=np.full(len(face), np.inf))
        spans = [np.ptp(values, axis=1).max(axis=1) for values in (naive, laid)]
        assert (spans[0] > 0.3).sum() >= least and spans[1].max() < 0.2
        assert (chosen[:, None] == face).any(axis=1).all()


def test_triangles_away_from_seams_keep_the_exact_places():
    verts, faces, uv = rolled()
    face, weights = small_triangles(verts, faces, count=100, size=0.03)
    naive = (weights[..., None] * uv[face]).sum(axis=2)
    laid, _ = Atlas(verts, faces, uv).lay(face, weights, reach=np.full(len(face), np.inf))
    inside = np.ptp(naive, axis=1).max(axis=1) < 0.2
    assert inside.sum() > 60 and np.allclose(laid[inside], naive[inside], atol=1e-9)


def test_a_corner_beyond_the_seam_takes_the_nearest_place_on_this_side():
    verts, faces, uv = rolled()
    points = np.array([[np.cos(a), np.sin(a), h] for a, h in ((0.05, 1.0), (0.06, 1.1), (-0.04, 1.05))])
    face, weights = places(verts, faces, points)
    laid, _ = Atlas(verts, faces, uv).lay(face[None], weights[None], reach=np.array([np.inf]))
    assert np.allclose(laid[0, :2], (weights[:2, :, None] * uv[face[:2]]).sum(axis=1))
    assert abs(laid[0, 2, 0]) < 1e-6 and abs(laid[0, 2, 1] - 1.05 / 3) < 0.01  # the seam, at its height


def test_corners_torn_far_apart_are_drawn_together():
    verts, faces, uv = rolled()
    face, weights = np.array([[0, 0, 200]]), np.array([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]])
    laid, _ = Atlas(verts, faces, uv).lay(face, weights, reach=np.array([0.1]))
    naive = (weights[..., None] * uv[face]).sum(axis=2)
    assert np.ptp(laid[0], axis=0).max() < 0.5 < np.ptp(naive[0], axis=0).max()


def test_the_nearest_point_of_a_triangle_is_found_inside_on_edges_and_at_corners():
    corners = np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])
    points = np.array([[0.5, 0.5, 3], [1, -1, 0], [3, -1, 0], [2, 2, 1]])
    weights = nearest_weights(points, np.broadcast_to(corners, (4, 3, 3)))
    assert np.allclose(weights @ corners, [[0.5, 0.5, 0], [1, 0, 0], [2, 0, 0], [1, 1, 0]])
    flat = nearest_weights(np.array([[0.5, 1.0, 0]]), np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]]))
    assert np.allclose(flat @ [[0.0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0.5, 0, 0]])
