"""Energies of matches of photographs: of identical, mirrored, torn and half-wrong ones."""

from dataclasses import replace

import pytest
import torch
from tests.patch_images import flipped_copy, patch_image

from pullback.mapping.grid_match import patch_centres
from pullback.mapping.patch_energies import match_signals, patch_distortion, patch_energies
from pullback.types import PatchMatch, PatchPair

GRID, SIZE = (12, 16), (120, 160)


@pytest.fixture(scope="module")
def photo():
    return patch_image(GRID, SIZE, k=20)


def hard(pair, p2p21):
    """A match by its point map, with its functional map."""
    one, two = pair.image1, pair.image2
    fmap12 = two.basis.project(one.basis.evecs[p2p21])
    return PatchMatch(p2p21, patch_centres(one.grid, one.size, one.patches)[p2p21], fmap12=fmap12)


def both_ways(pair, p2p21, p2p12):
    return replace(hard(pair, p2p21), reverse=hard(pair.swapped(), p2p12))


def energies_of(pair, match):
    return patch_energies(pair, match, match.reverse, match_signals(pair, match, match.reverse))


def test_a_photograph_that_is_matched_to_itself_has_no_energy(photo):
    pair, same = PatchPair("self", photo, photo), torch.arange(photo.n)
    energies = energies_of(pair, both_ways(pair, same, same))
    assert max(energies.values()) < 1e-3, energies


def test_a_mirrored_photograph_is_told_by_its_orientation_alone(photo):
    copy, p2p21 = flipped_copy(photo)
    pair = PatchPair("mirrored", photo, copy)
    energies = energies_of(pair, both_ways(pair, p2p21, p2p21.argsort()))
    assert energies.pop("mirrored") == 1 and 0.2 < energies.pop("layout") < 0.8
    assert max(energies.values()) < 1e-3, energies


def test_a_random_map_has_more_of_every_energy(photo):
    copy, p2p21 = flipped_copy(photo)
    other = patch_image(GRID, SIZE, k=20, seed=3)
    pair, wrong = PatchPair("pair", photo, copy), PatchPair("wrong", photo, other)
    drawn = torch.randperm(photo.n, generator=torch.Generator().manual_seed(0))
    right = energies_of(pair, both_ways(pair, p2p21, p2p21.argsort()))
    energies = energies_of(wrong, both_ways(wrong, drawn, drawn))
    for name in ("cycle", "unreturned", "area", "angle", "crushed", "dissent", "mutual", "features_basis"):
        assert energies[name] > right[name] + 0.1, name


def test_what_does_not_come_back_is_told_where_it_is(photo):
    pair, same = PatchPair("self", photo, photo), torch.arange(photo.n)
    astray = torch.where(same % GRID[1] < 8, same, same.flip(0))
    match = both_ways(pair, astray, same)
    returns = match_signals(pair, match, match.reverse).there.returns.view(GRID)
    assert returns[:, :7].max() < 0.01 and returns[:3, 9:].min() > 0.2


def test_distortion_is_not_read_across_patches_that_are_missing():
    patches = torch.arange(GRID[0] * GRID[1])
    patches = patches[(patches % GRID[1] < 6) | (patches % GRID[1] > 9)]  # a gap as wide as the window
    photo = patch_image(GRID, SIZE, k=20, patches=patches)
    centres = patch_centres(GRID, SIZE, patches)
    shifted = centres + torch.where(patches % GRID[1] > 9, 40.0, 0.0)[:, None]  # each part moves as a whole
    area, angle, mirrored = patch_distortion(shifted, photo, photo)
    assert area.max() < 1e-3 and angle.max() < 1e-3 and mirrored.sum() == 0


def test_twice_the_pixels_are_no_distortion(photo):
    large = replace(photo, size=(240, 320))
    places = patch_centres(GRID, (240, 320))
    area, angle, _ = patch_distortion(places, large, photo)
    assert area.max() < 1e-3 and angle.max() < 1e-3


def test_a_photograph_that_is_turned_by_180_degrees_has_lost_its_layout(photo):
    pair, turned = PatchPair("self", photo, photo), torch.arange(photo.n).flip(0)
    energies = energies_of(pair, both_ways(pair, turned, turned))
    assert energies["layout"] > 0.99 and energies["mirrored"] == 0 and energies["cycle"] < 1e-3


def test_without_functional_maps_their_energies_are_left_out(photo):
    pair, same = PatchPair("self", photo, photo), torch.arange(photo.n)
    match = replace(hard(pair, same), fmap12=None)
    energies = patch_energies(pair, match, match, match_signals(pair, match, match))
    assert "cycle" in energies and not {"bijectivity", "orthogonality", "commutativity"} & energies.keys()
