"""Geodesic distances against closed forms: great circles, straight lines, and the axioms of a metric."""

import numpy as np
import pytest

from pullback.geometry.geodesic import METHODS, edge_graph, geodesic_rows


@pytest.fixture(scope="module")
def sphere() -> tuple[np.ndarray, np.ndarray]:
    """Unit icosphere with 2,562 vertices, edges about 0.07 long."""
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=4)
    return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)


def plane(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit square with size × size vertices, each cell cut along the same diagonal, from (0, 0) to (1, 1)."""
    x, y = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size), indexing="ij")
    verts = np.stack([x.ravel(), y.ravel(), np.zeros(size * size)], axis=1)
    index = np.arange(size * size).reshape(size, size)
    a, b, c, d = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    return verts, np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


@pytest.mark.parametrize(("method", "mean_error"), [("dijkstra", 0.15), ("fast_marching", 0.03), ("heat", 0.03)])
def test_distances_on_the_sphere_are_great_circles(sphere, method, mean_error):
    verts, faces = sphere
    sources = np.array([7, 100, 2000])
    exact = np.arccos(np.clip(verts[sources] @ verts.T, -1, 1))
    dist = geodesic_rows(verts, faces, sources, method=method)
    assert dist.shape == exact.shape
    assert dist.dtype == np.float32
    assert np.abs(dist - exact).mean() < mean_error
    assert np.abs(dist - exact).max() < 3 * mean_error


def test_no_edge_path_is_shorter_than_the_chord_polygon_allows(sphere):
    verts, faces = sphere
    exact = np.arccos(np.clip(verts[[7]] @ verts.T, -1, 1))
    longest_edge = edge_graph(verts, faces).data.max()
    chord_over_arc = longest_edge / (2 * np.arcsin(longest_edge / 2))
    assert (geodesic_rows(verts, faces, np.array([7])) >= chord_over_arc * exact - 1e-6).all()


def test_edge_paths_on_a_diagonal_grid_have_their_closed_form():
    verts, faces = plane(9)
    # from the corner (0, 0): diagonal steps first, straight ones for the rest
    step = np.abs(np.sort(verts[:, :2] * 8, axis=1))
    expected = (np.sqrt(2) * step[:, 0] + (step[:, 1] - step[:, 0])) / 8
    np.testing.assert_allclose(geodesic_rows(verts, faces, np.array([0]))[0], expected, atol=1e-6)


@pytest.mark.parametrize("method", ["fast_marching", "heat"])
def test_distances_on_a_plane_are_straight_lines(method):
    verts, faces = plane(41)
    source = 20 * 41 + 20
    exact = np.linalg.norm(verts - verts[source], axis=1)
    assert np.abs(geodesic_rows(verts, faces, np.array([source]), method=method)[0] - exact).mean() < 0.02


def test_edge_graph_distances_are_a_metric(sphere):
    verts, faces = sphere
    some = np.arange(0, len(verts), 40)
    dist = geodesic_rows(verts, faces, some)[:, some].astype(np.float64)
    assert (np.diag(dist) == 0).all()
    assert (dist[~np.eye(len(some), dtype=bool)] > 0).all()
    np.testing.assert_allclose(dist, dist.T, atol=1e-6)
    assert (dist[:, :, None] <= dist[:, None, :] + dist.T[None] + 1e-6).all()


@pytest.mark.parametrize("method", METHODS)
def test_distances_scale_with_the_mesh_and_start_at_zero(sphere, method):
    verts, faces = sphere
    sources = np.array([0, 5])
    small = geodesic_rows(verts, faces, sources, method=method)
    np.testing.assert_allclose(geodesic_rows(3 * verts, faces, sources, method=method), 3 * small, rtol=1e-4, atol=1e-4)
    assert np.abs(small[[0, 1], sources]).max() < 1e-6
    assert (small >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_each_row_depends_on_its_own_source_alone(sphere, method):
    verts, faces = sphere
    many = np.arange(0, 150)
    together = geodesic_rows(verts, faces, many, method=method)
    np.testing.assert_array_equal(geodesic_rows(verts, faces, many[[130, 3]], method=method), together[[130, 3]])


def test_progress_counts_every_row_once(sphere):
    counts = []
    geodesic_rows(*sphere, np.arange(150), progress=counts.append)
    assert sum(counts) == 150
    assert len(counts) > 1


def test_no_sources_give_no_rows(sphere):
    assert geodesic_rows(*sphere, np.empty(0, dtype=np.int64)).shape == (0, len(sphere[0]))


@pytest.mark.parametrize("method", METHODS)
def test_unreachable_vertices_are_an_error_that_names_the_mesh(sphere, method):
    verts, faces = sphere
    two = np.concatenate([verts, verts + 5]), np.concatenate([faces, faces + len(verts)])
    with pytest.raises(ValueError, match=r"pair\.off: 2 components of 2562, 2562 vertices.*largest"):
        geodesic_rows(*two, np.array([0]), method=method, name="pair.off")


@pytest.mark.parametrize("source", [-1, 2562])
def test_a_source_outside_the_mesh_is_an_error(sphere, source):
    with pytest.raises(ValueError, match=rf"source {source} is not one of its vertices 0\.\.2561"):
        geodesic_rows(*sphere, np.array([source]))


def test_an_unknown_method_lists_the_known_ones(sphere):
    with pytest.raises(ValueError, match="dijkstra, fast_marching, heat"):
        geodesic_rows(*sphere, np.array([0]), method="exact")


def test_fast_marching_refuses_a_non_manifold_mesh_and_says_what_to_use():
    verts = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1.0]])
    faces = np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]])  # three faces share the edge 0-1
    with pytest.raises(ValueError, match=r"data\.geodesics=dijkstra"):
        geodesic_rows(verts, faces, np.array([0]), method="fast_marching")
    assert geodesic_rows(verts, faces, np.array([2]))[0, 4] == pytest.approx(2.0)  # along the edges through vertex 0
