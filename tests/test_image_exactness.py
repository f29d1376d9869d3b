"""Where the answer is known, every mode as configured finds it: a photograph and itself, its mirror image,
its copy at another size.
"""

import pytest
import torch
from hydra.utils import instantiate
from tests.composing import composed
from tests.patch_images import flipped_copy, patch_image, resampled_copy

from pullback.mapping.grid_match import patch_centres
from pullback.types import PatchPair

QUICK = {
    "closed_form": [],
    "paper": ["solver.optimiser.steps=20", "solver.optimiser.refiner.hidden=32", "solver.optimiser.latent_dim=10"],
    "release": ["solver.optimiser.refiner.hidden=64"],
}
BASELINES = ["raw_basis", "raw_descriptors", "concat"]


def solver(name: str):
    return instantiate(
        composed("eval", "dataset=photos", f"solver={name}", *QUICK.get(name, [])).solver, _convert_="all"
    )


@pytest.fixture(scope="module")
def image():
    return patch_image((12, 15), (120, 180), k=60, channels=64)


@pytest.mark.parametrize("name", [*QUICK, *BASELINES])
def test_a_photograph_matches_itself(image, name):
    (match,) = solver(name)([PatchPair("self", image, image)])
    place = patch_centres(image.grid, image.size)
    assert (match.xy21 - place).norm(dim=1).max() < 12  # one patch is 10 × 12 pixels
    assert (match.p2p21 == torch.arange(image.n)).float().mean() > 0.98


@pytest.mark.parametrize("name", ["closed_form", "paper", *BASELINES])
def test_a_mirror_image_is_mirrored_back(image, name):
    """Not so in the mode of the released code: its map starts from the identity and its entries may not be negative."""
    flipped, p2p21 = flipped_copy(image)
    (match,) = solver(name)([PatchPair("flip", image, flipped)])
    place = patch_centres(image.grid, image.size)[p2p21]
    error = (match.xy21 - place).norm(dim=1)
    assert error.median() < 6 and (error < 12).float().mean() > 0.95


@pytest.mark.parametrize("name", ["closed_form", *BASELINES])
def test_a_copy_at_another_size_and_grid_lies_in_the_same_place(image, name):
    copy = resampled_copy(image, grid=(14, 13), size=(210, 130), k=60)
    (match,) = solver(name)([PatchPair("resampled", image, copy)])
    error = (match.xy21 - patch_centres(copy.grid, image.size)).norm(dim=1)
    assert error.median() < 12 and (error < 24).float().mean() > 0.9


def test_the_order_of_a_mask_s_patches_is_told_by_their_places(image):
    """Half of image 2: its patches go where they went in the whole, up to a patch."""
    half = patch_image((12, 15), (120, 180), k=60, channels=64, patches=torch.arange(90))
    match = solver("closed_form")([PatchPair("half", image, half)])[0]
    error = (match.xy21 - patch_centres(image.grid, image.size)[:90]).norm(dim=1)
    assert (error < 12).float().mean() > 0.95
