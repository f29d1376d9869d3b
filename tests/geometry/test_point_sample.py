"""The sample of a mesh: how it is spread, what it weighs, and what it depends on."""

import numpy as np
import pytest
from scipy.sparse import csgraph
from scipy.spatial import cKDTree
from tests.meshes import plane, sphere

from pullback.geometry.geodesic import edge_graph
from pullback.geometry.mesh import lumped_mass
from pullback.geometry.point_sample import nearest_source, sample_points


@pytest.fixture(scope="module")
def ball():
    verts, faces = sphere(4)
    return verts * [1.0, 1.3, 1.7], faces


def spacing_of(verts, points, area):
    """Distance of each point to the nearest other one, in units of the side of a square with the area of a point."""
    return cKDTree(verts[points]).query(verts[points], k=2)[0][:, 1] / np.sqrt(area / len(points))


def side_by_side(mesh, shift):
    verts, faces = mesh
    return np.concatenate([verts, verts + shift]), np.concatenate([faces, faces + len(verts)])


def test_points_keep_their_distance_and_leave_no_gaps(ball):
    verts, faces = ball
    mass = lumped_mass(verts, faces)
    points, _ = sample_points(verts, faces, mass, count=200)
    assert (np.diff(points) > 0).all() and len(points) == 200
    random = np.random.default_rng(0).choice(len(verts), 200, replace=False)
    assert spacing_of(verts, points, mass.sum()).min() > 0.6 > spacing_of(verts, random, mass.sum()).min()
    gaps = cKDTree(verts[points]).query(verts)[0] / np.sqrt(mass.sum() / 200)
    assert gaps.max() < 1.2


def test_points_are_spread_over_the_area_and_not_over_the_vertices():
    fine, coarse = plane(60), plane(15)
    verts = np.concatenate([fine[0], coarse[0] + [1, 0, 0]])
    faces = np.concatenate([fine[1], coarse[1] + len(fine[0])])
    points, _ = sample_points(verts, faces, lumped_mass(verts, faces), count=120)
    assert 50 <= (points < len(fine[0])).sum() <= 70


def test_the_masses_are_those_of_the_cells_along_the_mesh(ball):
    verts, faces = ball
    mass = lumped_mass(verts, faces)
    points, sample_mass = sample_points(verts, faces, mass, count=50)
    nearest = csgraph.dijkstra(edge_graph(verts, faces), indices=points).argmin(axis=0)
    expected = np.bincount(nearest, weights=mass, minlength=50)
    assert np.abs(sample_mass - expected).sum() < 0.02 * mass.sum()  # vertices in the middle may go to either side
    assert sample_mass.sum() == pytest.approx(mass.sum())
    assert (sample_mass > 0).all()


def test_the_same_mesh_gives_the_same_sample(ball):
    verts, faces = ball
    first, second = (sample_points(verts, faces, lumped_mass(verts, faces), count=100) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_a_mesh_with_fewer_vertices_is_its_own_sample(ball):
    verts, faces = ball
    mass = lumped_mass(verts, faces)
    points, sample_mass = sample_points(verts, faces, mass, count=len(verts))
    assert np.array_equal(points, np.arange(len(verts))) and np.array_equal(sample_mass, mass)


def test_every_piece_of_a_mesh_gets_a_point(ball):
    verts, faces = ball
    small = sphere(1)
    verts, faces = np.concatenate([verts, 0.001 * small[0] + 3]), np.concatenate([faces, small[1] + len(verts)])
    mass = lumped_mass(verts, faces)
    points, sample_mass = sample_points(verts, faces, mass, count=50)
    on_small = points >= len(ball[0])
    assert on_small.sum() == 1
    assert sample_mass[on_small] == pytest.approx(mass[len(ball[0]) :].sum())
    assert len(sample_points(verts, faces, mass, count=1)[0]) == 2


def test_sheets_that_touch_back_to_back_are_sampled_each_by_itself():
    verts, faces = side_by_side(plane(40), [0, 0, 0.001])
    n = len(verts) // 2
    faces[len(faces) // 2 :] = faces[len(faces) // 2 :, ::-1]  # the second faces the other way
    mass = lumped_mass(verts, faces)
    points, sample_mass = sample_points(verts, faces, mass, count=200)
    assert 85 <= (points < n).sum() <= 115
    assert sample_mass[points < n].sum() == pytest.approx(mass[:n].sum())
    assert spacing_of(verts, points[points < n], 1).min() > 0.6


def test_sources_in_one_place_each_own_themselves():
    verts, faces = plane(4)
    verts[1] = verts[0]
    cell, dist = nearest_source(edge_graph(verts, faces), np.array([0, 1, 15]))
    assert cell[[0, 1, 15]].tolist() == [0, 1, 2]
    assert dist[[0, 1, 15]].tolist() == [0, 0, 0]


def test_an_empty_sample_is_refused(ball):
    verts, faces = ball
    with pytest.raises(ValueError, match=r"a sample of 0 points.*data\.samples"):
        sample_points(verts, faces, lumped_mass(verts, faces), count=0)
