"""Mirror images: one is matched as such, others are left alone, and places are those of the photographs as they are."""

import numpy as np
import pytest
import torch
from tests.later import later
from tests.mean_colours import MeanColours

from pullback.mapping.grid_match import patch_centres
from pullback.nn.fusion import Branch, Fusion
from pullback.solvers.patch_matching import closed_form
from pullback.tasks.image.patches import GraphSettings
from pullback.types import Image, ImagePair


class Slopes(MeanColours):
    """How colours change from patch to patch: to the right and to the left are opposites."""

    def compute(self, images, photos):
        (colour,) = super().compute(images, photos).values()
        (down, right) = (colour.roll(-1, dim) - colour.roll(1, dim) for dim in (2, 3))
        return {"slopes": torch.cat([down, right], dim=1)}


image_module = later("pullback.tasks.image.module")


def scene(seed: int) -> Image:
    """Blots of colour that no mirroring carries to themselves."""
    noise = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(seed))
    pixels = torch.nn.functional.interpolate(noise, size=(96, 128), mode="bicubic").clamp(0, 1)[0]
    return Image(f"scene{seed}", (255 * pixels).to(torch.uint8))


def mirror(photo: Image) -> Image:
    return Image(f"{photo.name} mirrored", photo.pixels.flip(2))


def match(pair: ImagePair, folder, mirrored: str):
    fusion = Fusion(Branch(Slopes(size=128)), Branch(Slopes(size=128)))
    graph = GraphSettings(k=60, weights="uniform", normalisation="none")
    module = image_module.ImageMatching(fusion, closed_form(), graph, cache_dir=folder, mirrored=mirrored)
    (patches,), (found,) = module.match([pair])
    return patches, found


@pytest.mark.parametrize("seed", [1, 2])
def test_a_mirrored_photograph_is_matched_in_the_coordinates_of_the_original(tmp_path, seed):
    two = scene(seed)
    patches, found = match(ImagePair("m", mirror(two), two), tmp_path, "auto")
    here = patch_centres(patches.image2.grid, two.size)
    there = torch.stack([127 - here[:, 0], here[:, 1]], dim=1)
    assert (found.xy21 - there).norm(dim=1).median() < 4  # pixels, half a patch
    never = match(ImagePair("m", mirror(two), two), tmp_path, "never")[1]
    assert (never.xy21 - there).norm(dim=1).median() > 16


@pytest.mark.parametrize("seed", [1, 2])
def test_a_pair_that_is_not_mirrored_keeps_its_match_to_the_last_digit(tmp_path, seed):
    two = scene(seed)
    one = Image("darker", (two.pixels * 0.9).to(torch.uint8))
    kept, plain = (match(ImagePair("p", one, two), tmp_path, mirrored)[1] for mirrored in ("auto", "never"))
    np.testing.assert_array_equal(kept.xy21, plain.xy21)


def test_another_word_is_refused(tmp_path):
    with pytest.raises(ValueError, match="use one of never, auto"):
        match(ImagePair("p", scene(1), scene(2)), tmp_path, "always")
