"""Energies of maps without ground truth: none for the truth, and each kind of mistake shows in the one made for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.conftest import shape_of
from tests.meshes import sphere

from pullback.geometry.probing import compute_probe
from pullback.mapping.energies import (
    SampledMaps,
    feature_residual,
    local_distortion,
    map_distance,
    map_energies,
    nearest_point,
    point_signals,
)


@pytest.fixture(scope="module")
def body():
    """A slender body, a little thicker above, with all its points in the probe."""
    verts, faces = sphere(3)
    thick = 1 + 0.2 * verts[:, [1]] + 0.1 * np.sin(2 * verts[:, [0]] + 1)
    return compute_probe(shape_of("body", verts * thick * [0.5, 2.0, 0.4], faces), count=642)


def symmetric(p2p):
    return SampledMaps(p2p, p2p)


def to_places(probe, places):
    return nearest_point(places, probe.verts)


def test_the_identity_costs_nothing_that_a_map_can_help(body):
    energies = map_energies(symmetric(torch.arange(body.s)), body, body)
    assert max(energies[name] for name in ("cycle", "unreturned", "metric", "area", "flipped", "uncovered")) < 1e-4
    assert max(energies[name] for name in ("curvature", "commutativity", "tearing", "torn", "bijectivity")) < 0.02


def test_a_random_map_is_worse_than_the_identity_in_every_energy(body):
    shuffled = symmetric(torch.randperm(body.s, generator=torch.Generator().manual_seed(0)))
    good, bad = (map_energies(maps, body, body) for maps in (symmetric(torch.arange(body.s)), shuffled))
    assert all(bad[name] > good[name] for name in good if name not in ("uncovered", "cycle", "unreturned"))
    assert bad["cycle"] > 0.1 and bad["unreturned"] > 0.5


def test_a_mirrored_map_is_told_by_its_orientation(body):
    mirrored = symmetric(to_places(body, body.verts * torch.tensor([1.0, 1.0, -1.0])))
    energies = map_energies(mirrored, body, body)
    assert energies["flipped"] > 0.95 and energies["cycle"] < 0.02


def test_a_half_turn_of_the_upper_part_shows_where_it_meets_the_lower(body):
    turn = torch.where(body.verts[:, [1]] > 0, torch.tensor([-1.0, 1.0, -1.0]), torch.ones(3))
    maps = symmetric(to_places(body, body.verts * turn))
    area, angle, _ = local_distortion(maps.p2p21, body, body)
    waist = body.verts[:, 1].abs() < 0.1
    assert angle[waist].mean() > 3 * angle[~waist].mean()
    assert map_energies(maps, body, body)["angle"] > map_energies(symmetric(torch.arange(body.s)), body, body)["angle"]
    assert area.shape == (body.s,)


def test_a_map_into_one_half_leaves_the_other_uncovered(body):
    upper = to_places(body, body.verts.abs())
    mass = body.basis.mass
    energies = map_energies(SampledMaps(upper, torch.arange(body.s)), body, body)
    below = (body.verts[:, 1] < -0.1).float() @ mass
    assert energies["uncovered"] == pytest.approx(float(below) / 2, abs=0.2)  # of both directions one is onto


def test_signals_are_large_at_the_points_that_are_wrong(body):
    p2p = torch.arange(body.s)
    wrong = torch.arange(0, 40)
    p2p[wrong] = p2p[wrong].flip(0)
    returns = point_signals(SampledMaps(p2p, torch.arange(body.s)), body, body)[:, 0]
    assert (returns[wrong] > 0).float().mean() > 0.9 and returns[40:].max() == 0


def test_features_that_agree_leave_no_residual_and_unrelated_ones_about_one(body):
    generator = torch.Generator().manual_seed(1)
    feat, other = (torch.randn(body.s, 16, generator=generator) for _ in range(2))
    same = symmetric(torch.arange(body.s))
    assert feature_residual(same, feat, feat, body, body) == 0
    assert feature_residual(same, feat, other, body, body) == pytest.approx(1, abs=0.1)


def test_maps_differ_by_the_distance_of_their_images(body):
    one, other = torch.zeros(body.s, dtype=torch.long), torch.full((body.s,), 5)
    apart = float((body.verts[0] - body.verts[5]).norm())
    assert map_distance(symmetric(one), symmetric(other), body, body) == pytest.approx(apart, rel=1e-4)
    assert map_distance(symmetric(one), symmetric(one), body, body) == 0


def test_energies_do_not_depend_on_the_signs_of_eigenfunctions(body):
    signs = torch.tensor([1.0, -1.0]).repeat(body.basis.k)[: body.basis.k]
    basis = replace(body.basis, evecs=body.basis.evecs * signs)
    turned = replace(
        body, basis=basis, grad_x=body.grad_x * signs, grad_y=body.grad_y * signs, coords=body.coords * signs[:, None]
    )
    maps = symmetric(to_places(body, body.verts * torch.tensor([1.0, 1.0, -1.0])))
    one, other = map_energies(maps, body, body), map_energies(maps, body, turned)
    assert one == pytest.approx(other, abs=1e-3)
