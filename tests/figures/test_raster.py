import numpy as np
import pytest

from pullback.figures import raster
from pullback.figures.raster import rasterise


def slow_rasterise(points, faces, width, height):
    """The nearest face at each pixel by testing every triangle at every pixel; -1 for none.
    Returns the closest call as well.
    """
    face, depth, margin = (
        np.full((height, width), -1),
        np.full((height, width), -np.inf),
        np.full((height, width), np.inf),
    )
    for y in range(height):
        for x in range(width):
            for i, (a, b, c) in enumerate(points[faces]):
                weights = np.linalg.solve(np.stack([[*a[:2], 1], [*b[:2], 1], [*c[:2], 1]], axis=1), [x, y, 1])
                margin[y, x] = min(margin[y, x], abs(weights.min()))
                z = weights @ [a[2], b[2], c[2]]
                if weights.min() >= 0:
                    margin[y, x] = min(margin[y, x], abs(z - depth[y, x]))
                    if z > depth[y, x]:
                        face[y, x], depth[y, x] = i, z
    return face, depth, margin


def as_images(fragments, width, height):
    face, depth = np.full(width * height, -1), np.full(width * height, -np.inf)
    face[fragments.pixel], depth[fragments.pixel] = fragments.face, fragments.depth
    return face.reshape(height, width), depth.reshape(height, width)


@pytest.mark.parametrize("fragments", [50, 2_000_000])
def test_fragments_equal_those_of_testing_every_triangle_at_every_pixel(monkeypatch, fragments):
    monkeypatch.setattr(raster, "_MAX_FRAGMENTS", fragments)
    rng = np.random.default_rng(3)
    points, faces = rng.uniform([-4, -4, 0], [24, 19, 5], (30, 3)), rng.permutation(30).reshape(10, 3)
    face, depth = as_images(rasterise(points, faces, width=20, height=15), 20, 15)
    expected_face, expected_depth, margin = slow_rasterise(points, faces, 20, 15)
    clear = margin > 1e-4
    assert clear.mean() > 0.95 and (expected_face >= 0).mean() > 0.3
    np.testing.assert_array_equal(face[clear], expected_face[clear])
    np.testing.assert_allclose(depth[clear], expected_depth[clear], atol=1e-4)


def test_barycentric_weights_give_back_the_pixel():
    points, faces = np.array([[-3.0, -2, 0], [30, 1, 2], [4, 25, 7]]), np.array([[0, 1, 2]])
    fragments = rasterise(points, faces, width=20, height=15)
    y, x = np.divmod(fragments.pixel, 20)
    np.testing.assert_allclose(fragments.weights @ points[:, :2], np.column_stack([x, y]), atol=1e-4)
    np.testing.assert_allclose(fragments.weights.sum(axis=1), 1)


def test_two_triangles_that_share_an_edge_leave_no_crack_between_them():
    rng = np.random.default_rng(0)
    for _ in range(20):
        corners = np.array([[-5.0, -5], [40, -5], [40, 40], [-5, 40]]) + rng.uniform(-2, 2, (4, 2))
        points = np.column_stack([corners, np.zeros(4)])
        assert len(rasterise(points, np.array([[0, 1, 2], [0, 2, 3]]), width=30, height=30).pixel) == 900


def test_a_triangle_seen_edge_on_and_one_outside_the_picture_cover_nothing():
    points = np.array([[1.0, 1, 0], [5, 5, 0], [9, 9, 5], [50, 50, 0], [60, 50, 0], [50, 60, 0]])
    assert len(rasterise(points, np.array([[0, 1, 2], [3, 4, 5]]), width=20, height=15).pixel) == 0
