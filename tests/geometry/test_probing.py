import numpy as np
import pytest
import torch
from tests.conftest import shape_of
from tests.meshes import sphere

from pullback.geometry.probing import compute_probe


def test_cells_share_out_all_vertices_and_their_mass(tiny_shape):
    probe = compute_probe(tiny_shape, count=100, k=20)
    assert probe.s == 100 and probe.cell.shape == (tiny_shape.n,)
    mass = torch.zeros(100).index_add(0, probe.cell, tiny_shape.basis.mass)
    assert torch.allclose(mass, probe.basis.mass, atol=1e-6)
    assert torch.equal(probe.cell[probe.points], torch.arange(100))


def test_a_shape_of_few_vertices_is_its_own_probe():
    shape = shape_of("small", *sphere(0), k=12)
    probe = compute_probe(shape, count=700, k=60)
    assert probe.s == 12 and probe.basis.k == 12
    assert probe.near.shape == (12, 6) and not (probe.near == torch.arange(12)[:, None]).any()


def test_curvature_is_higher_on_a_bump_than_in_a_dent():
    verts, faces = sphere(3)
    bump, dent = (np.exp(-12 * ((verts - place) ** 2).sum(axis=1)) for place in ([1, 0, 0], [-1, 0, 0]))
    shape = shape_of("bumpy", verts * (1 + 0.4 * bump - 0.4 * dent)[:, None], faces)
    curvature = compute_probe(shape, count=642).curvature
    assert (curvature[bump.argmax()] > curvature.mean(dim=0) + 0.5).all()
    assert (curvature[dent.argmax()] < curvature.mean(dim=0) - 0.5).all()


def test_boundary_edges_are_counted():
    verts, faces = sphere(2)
    closed, cut = (
        shape_of("ball", verts, faces),
        shape_of("cut", *_used(verts, faces[(verts[faces][:, :, 2] < 0.3).all(axis=1)])),
    )
    assert compute_probe(closed, k=20).boundary == 0
    assert compute_probe(cut, k=20).boundary == pytest.approx(0.07, abs=0.04)


def _used(verts, faces):
    used, corners = np.unique(faces, return_inverse=True)
    return verts[used], corners.reshape(-1, 3)
