from dataclasses import replace

import pytest
import torch

from pullback.mapping.heats import (
    heats_at_matches,
    heats_by_features,
    heats_by_fmap,
    patch_means,
    pixels_of_patches,
)
from pullback.types import Eigenbasis, PatchImage


def carried_alone(heat1, fmap12, image1, image2):
    values = heats_by_fmap(patch_means(heat1[None], image1), fmap12, image1, image2)
    return pixels_of_patches(values, image2.patches, image2.grid, image2.size)[0]


def photo(grid, size, patches=None):
    """A photograph whose basis is complete: one function for each patch."""
    patches = torch.arange(grid[0] * grid[1]) if patches is None else patches
    n = len(patches)
    mixed = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(n))).Q
    basis = Eigenbasis(torch.arange(n).float(), mixed, torch.ones(n))
    return PatchImage("photo", grid, size, patches, basis, torch.zeros(n, 1), torch.zeros(n, 1))


def test_a_heat_map_follows_the_functional_map_of_a_flip():
    image = photo((4, 6), (8, 12))
    flipped = torch.arange(24).view(4, 6).flip(1).flatten()
    fmap12 = image.basis.project(image.basis.evecs[flipped])
    heat1 = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)).repeat_interleave(2, 0).repeat_interleave(2, 1)
    carried = carried_alone(heat1, fmap12, image, image)
    assert carried.shape == (8, 12)
    means = carried.view(4, 2, 6, 2).mean(dim=(1, 3))
    assert torch.corrcoef(torch.stack([means.flatten(), heat1[::2, ::2].flip(1).flatten()]))[0, 1] > 0.95


def test_a_heat_map_is_cut_off_below_zero_and_zero_outside_the_graph():
    image1, image2 = photo((4, 6), (8, 12)), photo((3, 3), (9, 9), torch.tensor([0, 1, 3]))
    fmap12 = image2.basis.evecs.T @ torch.tensor([[1.0] + 23 * [0.0], 24 * [-1.0], 24 * [1.0]]) @ image1.basis.evecs
    carried = carried_alone(torch.ones(8, 12), fmap12, image1, image2)
    assert carried.min() == 0
    assert (
        carried[1, 1] == pytest.approx(1, abs=1e-4)
        and carried[7, 1] == 0
        and carried[1, 4] == pytest.approx(0, abs=1e-5)
    )
    with pytest.raises(ValueError, match=r"heat1 has size \(9, 9\) but photograph photo has \(8, 12\)"):
        carried_alone(torch.ones(9, 9), fmap12, image1, image2)


def spot():
    heat1 = torch.zeros(40, 60)
    heat1[10, 20] = 1.0
    return heat1[None]


def shifted(x, y):
    return torch.tensor([x, y]).view(2, 1, 1).expand(2, 40, 60).contiguous()


def test_heat_follows_the_point_map():
    carried = heats_at_matches(spot(), shifted(5.0, -3.0))[0]
    assert carried[13, 15] == pytest.approx(1, abs=1e-4) and carried.sum() == pytest.approx(1, abs=1e-3)
    assert (heats_at_matches(spot(), shifted(200.0, 0.0)) == 0).all()


def test_heat_follows_the_nearest_neighbours_of_the_descriptors():
    image2 = replace(photo((4, 6), (40, 60)), feat=torch.eye(24))
    image1 = replace(image2, feat=image2.feat.flip(0))  # patch i of image 2 matches patch 23 - i of image 1
    heat1 = torch.zeros(1, 40, 60)
    heat1[0, :10, :10] = 1.0
    values = heats_by_features(patch_means(heat1, image1), image1, image2)
    carried = pixels_of_patches(values, image2.patches, image2.grid, image2.size)[0]
    assert carried[35, 55] == pytest.approx(1, abs=0.05) and carried[:20].max() == 0


def test_several_functions_are_carried_as_each_alone():
    image = photo((4, 6), (8, 12))
    fmap12 = torch.randn(24, 24, generator=torch.Generator().manual_seed(1))
    heats1 = torch.rand(3, 8, 12, generator=torch.Generator().manual_seed(2))
    values = heats_by_fmap(patch_means(heats1, image), fmap12, image, image)
    together = pixels_of_patches(values, image.patches, image.grid, image.size)
    for one, heat1 in zip(together, heats1, strict=True):
        assert torch.allclose(one, carried_alone(heat1, fmap12, image, image), atol=1e-5)
