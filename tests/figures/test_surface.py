import time

import numpy as np
import pytest
from tests.figures.looks import BLUE, RED, Mesh, dominant, render
from tests.meshes import sphere

from pullback.figures.camera import View, broadest_view
from pullback.figures.scene import Scene
from pullback.figures.surface import Lit, fitting_scale


def triangle(z):
    return np.array([[-1.0, -1, z], [1, -1, z], [0, 1, z]])


@pytest.mark.parametrize(("first", "second", "seen"), [(0.5, -0.5, RED), (-0.5, 0.5, BLUE)])
def test_a_nearer_triangle_hides_a_farther_one(first, second, seen):
    verts, faces = np.concatenate([triangle(first), triangle(second)]), np.array([[0, 1, 2], [3, 4, 5]])
    image = render(verts, faces, np.array([RED, BLUE]), width=40, height=40)
    covered = image[image[..., 3] == 255]
    assert len(covered) > 400
    assert set(dominant(covered)) == {int(np.argmax(seen))}


def test_the_silhouette_of_a_sphere_is_a_disc():
    verts, faces = sphere(4)
    image = render(verts, faces, np.full((len(verts), 3), 0.6), width=200, height=260, scale=80.0)
    assert image.shape == (260, 200, 4) and image.dtype == np.uint8
    assert image[..., 3].sum() / 255 == pytest.approx(np.pi * 80**2, rel=5e-3)


def test_edges_are_smooth_and_the_background_is_transparent():
    verts, faces = sphere(3)
    alpha = render(verts, faces, np.full((len(verts), 3), 0.6), width=60, height=60)[..., 3]
    assert alpha[0, 0] == 0 and alpha[30, 30] == 255
    assert ((alpha > 0) & (alpha < 255)).sum() > 60


def test_the_side_that_faces_the_light_is_brighter():
    verts, faces = sphere(3)
    image = render(verts, faces, np.full((len(verts), 3), 0.6), width=80, height=80)
    assert image[25, 25, 0] > image[40, 40, 0] > image[60, 60, 0]
    assert image[60, 60, 0] > 60  # the ambient light keeps colours legible in the shade


def test_colours_of_vertices_and_of_faces_land_where_they_belong():
    verts, faces = sphere(3)
    by_vertex = np.where(verts[:, [0]] < 0, RED, BLUE)
    by_face = np.where(verts[faces].mean(axis=1)[:, [0]] < 0, RED, BLUE)
    for colors in (by_vertex, by_face):
        image = render(verts, faces, colors, width=80, height=80)
        assert dominant(image[40, 20]) == 0 and dominant(image[40, 60]) == 2


def test_the_inside_of_an_open_surface_is_lit_like_its_outside():
    outside = render(triangle(0), np.array([[0, 1, 2]]), RED[None], width=40, height=40)
    inside = render(triangle(0), np.array([[0, 2, 1]]), RED[None], width=40, height=40)
    np.testing.assert_allclose(inside.astype(int), outside, atol=1)


def test_a_wrong_number_of_colours_is_refused():
    verts, faces = sphere(1)
    with pytest.raises(ValueError, match="7 colours given for 42 vertices and 80 faces"):
        render(verts, faces, np.zeros((7, 3)), width=40, height=40)


def test_a_picture_is_the_same_whatever_the_unit_and_place_of_the_shape():
    verts, faces = sphere(2)
    colors = np.full((len(verts), 3), 0.6)
    near = render(verts * [1, 1.5, 1], faces, colors, width=50, height=70)
    far = render(1000 * verts * [1, 1.5, 1] + 77, faces, colors, width=50, height=70)
    np.testing.assert_allclose(near.astype(int), far, atol=2)


def test_a_scan_of_twenty_thousand_faces_takes_less_than_a_second_and_a_half():
    verts, faces = sphere(5)
    verts *= [0.6, 1.5, 0.4]  # about as much picture as a standing body fills
    start = time.process_time()
    render(verts, faces, np.full((len(verts), 3), 0.6), width=400, height=600)
    assert time.process_time() - start < 1.5


def test_the_default_view_has_x_to_the_right_y_up_and_looks_along_minus_z():
    np.testing.assert_allclose(View().rotation(), np.eye(3), atol=1e-15)


@pytest.mark.parametrize(
    "view", [View(), View("z", "-y"), View("-y", "x", azimuth=40.0, elevation=-20.0), View(elevation=70.0)]
)
def test_a_view_is_a_rotation(view):
    rotation = view.rotation()
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_the_named_axes_point_up_and_at_the_camera():
    rotation = View(up="-z", front="x").rotation()
    np.testing.assert_allclose(rotation @ [0, 0, -1], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(rotation @ [1, 0, 0], [0, 0, 1], atol=1e-15)


@pytest.mark.parametrize(("arguments", "message"), [({"up": "w"}, "no axis"), ({"up": "z", "front": "-z"}, "one line")])
def test_an_impossible_view_says_why(arguments, message):
    with pytest.raises(ValueError, match=message):
        View(**arguments)


def test_a_long_shape_is_seen_from_its_flank_and_a_round_one_from_the_front():
    verts, faces = sphere(2)
    assert broadest_view(verts * [0.3, 0.3, 1], faces) == View(front="x")
    assert broadest_view(verts * [1, 0.3, 0.3], faces) == View()
    assert broadest_view(verts, faces) == View()


def test_shapes_on_one_stage_keep_their_relative_size_and_fit():
    verts, faces = sphere(3)
    colors = np.full((len(verts), 3), 0.6)
    small, large = Mesh(verts, faces), Mesh(2 * verts, faces)
    stage = Scene.around([small, large], height=120, max_width=200)
    images = [stage.draw(mesh, colors) for mesh in (small, large)]
    assert {image.shape[0] for image in images} == {120}
    areas = [image[..., 3].sum() for image in images]
    assert areas[1] / areas[0] == pytest.approx(4, rel=0.01)
    assert all(image[[0, -1]].max() == 0 and image[:, [0, -1]].max() == 0 for image in images)


def test_lying_shapes_lower_the_stage_instead_of_overflowing_it():
    verts, faces = sphere(2)
    stage = Scene.around([Mesh(verts * [5, 1, 1], faces)], height=300, max_width=200)
    image = stage.draw(Mesh(verts * [5, 1, 1], faces), np.full((len(verts), 3), 0.6))
    assert image.shape[1] <= 202 and image.shape[0] < 70


def test_the_fitting_scale_fills_the_tighter_side():
    verts, faces = sphere(2)
    wide = render(verts * [2, 1, 1], faces, np.full((len(verts), 3), 0.6), width=100, height=100)
    columns = np.flatnonzero(wide[..., 3].any(axis=0))
    assert columns[0] == pytest.approx(4, abs=1.5) and columns[-1] == pytest.approx(95, abs=1.5)
    assert fitting_scale(verts * [2, 1, 1], width=100, height=100, view=View()) == pytest.approx(92 / 4, rel=1e-3)


def test_several_pictures_of_one_lit_mesh_are_those_drawn_one_by_one():
    verts, faces = sphere(3)
    lit = Lit.seen(verts, faces, width=60, height=80)
    for colors in (np.abs(verts), np.abs(verts[faces[:, 0]])):  # by vertex, by face
        np.testing.assert_array_equal(lit.coloured(colors), render(verts, faces, colors, width=60, height=80))
