import numpy as np
import torch
from tests.figures.looks import dominant
from tests.figures.photographs import gradient_photo

from pullback.figures.eigenfunctions import draw_eigenfunctions, patch_map
from pullback.types import Eigenbasis, PatchImage, PatchPair


def patch_image(grid=(4, 6), size=(40, 60), patches=None, k=6):
    """Patches whose first eigenfunction after the constant grows to the right."""
    patches = torch.arange(grid[0] * grid[1]) if patches is None else patches
    evecs = torch.ones(len(patches), k)
    evecs[:, 1] = patches % grid[1] - (grid[1] - 1) / 2
    basis = Eigenbasis(torch.arange(k).float(), evecs, torch.ones(len(patches)))
    feat = torch.ones(len(patches), 2)
    return PatchImage("image", grid, size, patches, basis, feat, feat)


def test_patch_values_lie_over_the_photograph_and_other_patches_are_unknown():
    image = patch_image(patches=torch.arange(24).view(4, 6)[:, :3].flatten())
    values = (image.patches % 6).double().numpy()
    shown = patch_map(image, values, (40, 60))
    np.testing.assert_allclose(shown[20, [4, 14, 24]], [0, 1, 2], atol=0.06)
    assert np.isnan(shown[:, 31:]).all() and np.isfinite(shown[:, :30]).all()


def test_both_photographs_stand_side_by_side_for_each_eigenfunction():
    pair = PatchPair("pair", patch_image(), patch_image((3, 3), (30, 30)))
    first, second = draw_eigenfunctions(
        pair, gradient_photo(40, 60), gradient_photo(30, 30), title="a pair", height=120
    )
    assert [panel.label for panel in (*first.panels, *second.panels)] == [
        "image 1 · image 2",
        "φ 1",
        "φ 2",
        "φ 3",
        "φ 4",
        "φ 5",
    ]
    image = first.panels[1].image
    assert image.shape == (120, 180 + 8 + 120, 4)
    assert (image[:, 180:188, 3] == 0).all() and (image[:, 188:, 3] == 255).all()
    colour = dominant(image[60])
    assert colour[10] == colour[198] == 2 and colour[170] == colour[-10] == 0  # blue to red in both
