import numpy as np
import pytest

from pullback.geometry.mesh import cotangent_stiffness, face_areas, lumped_mass, normalise_area, vertex_normals

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
TWO_TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])


def slow_stiffness(verts, faces):
    """Gradients of the hat functions, triangle by triangle: the definition."""
    stiffness = np.zeros((len(verts), len(verts)))
    for face in faces:
        a, b, c = verts[face]
        normal = np.cross(b - a, c - a)
        area = np.linalg.norm(normal) / 2
        normal /= 2 * area
        gradients = [np.cross(normal, opposite) / (2 * area) for opposite in (c - b, a - c, b - a)]
        for i in range(3):
            for j in range(3):
                stiffness[face[i], face[j]] += area * gradients[i] @ gradients[j]
    return stiffness


def test_areas_and_masses_of_a_unit_square():
    assert face_areas(SQUARE, TWO_TRIANGLES) == pytest.approx([0.5, 0.5])
    assert lumped_mass(SQUARE, TWO_TRIANGLES) == pytest.approx([1 / 3, 1 / 6, 1 / 3, 1 / 6])


def test_the_stiffness_matrix_is_the_dirichlet_energy_of_hat_functions(icosphere):
    verts, faces = icosphere
    stiffness = cotangent_stiffness(verts, faces)
    assert np.allclose(stiffness.toarray(), slow_stiffness(verts, faces), atol=1e-10)
    assert np.abs(stiffness @ np.ones(len(verts))).max() < 1e-10


def test_normals_of_a_sphere_are_its_radii():
    from tests.meshes import sphere

    verts, faces = sphere(3)
    assert (vertex_normals(verts, faces) * verts).sum(axis=1).min() > 0.999


def test_a_vertex_between_two_opposite_sheets_still_gets_a_unit_normal():
    verts, faces = SQUARE, np.concatenate([TWO_TRIANGLES, TWO_TRIANGLES[:, ::-1]])
    assert np.linalg.norm(vertex_normals(verts, faces), axis=1) == pytest.approx(1)


def test_normalisation_centres_the_surface_and_gives_it_unit_area(icosphere):
    verts, faces = icosphere
    moved = normalise_area(5 * verts + [1, 2, 3], faces)
    mass = lumped_mass(moved, faces)
    assert mass.sum() == pytest.approx(1)
    assert np.abs(mass @ moved).max() < 1e-12
    assert np.allclose(moved, normalise_area(verts, faces))


def test_a_needle_triangle_leaves_the_stiffness_finite():
    verts = np.array([[0, 0, 0], [1, 0, 0], [0.5, 1, 0], [0.5, 1e-14, 0]])
    stiffness = cotangent_stiffness(verts, np.array([[0, 1, 2], [0, 3, 1]]))
    assert np.isfinite(stiffness.toarray()).all()
