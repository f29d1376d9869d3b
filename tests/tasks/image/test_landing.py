"""Where places on one photograph land on the other, and how sure that is."""

import numpy as np
import pytest
import torch
from tests.patch_images import patch_image

from pullback.mapping.grid_match import patch_centres
from pullback.metrics.verdict import Verdict
from pullback.tasks.image.judging import ImageVerdict
from pullback.tasks.image.landing import land_places
from pullback.types import Image, ImagePair, PatchMatch, PatchPair

GRID, SIZE = (6, 8), (60, 80)
SHIFT = torch.tensor([7.0, -3.0])  # from image 2 to image 1


@pytest.fixture(scope="module")
def shifted():
    """Image 1 shows what image 2 shows, 7 pixels farther right and 3 farther up."""
    photo = patch_image(GRID, SIZE, k=10)
    centres, same = patch_centres(GRID, SIZE), torch.arange(photo.n)
    return PatchPair("shifted", photo, photo), PatchMatch(same, centres + SHIFT), PatchMatch(same, centres - SHIFT)


def photographs(mask1=None):
    pixels = torch.zeros(3, *SIZE, dtype=torch.uint8)
    return ImagePair("shifted", Image("one", pixels, mask=mask1), Image("two", pixels))


PLACES = torch.tensor([[40.0, 30.0], [12.0, 33.0]])


@pytest.mark.parametrize(("side", "moved"), [("source", -SHIFT), ("target", SHIFT)])
def test_places_land_where_their_pixels_do_and_come_back(side, moved, shifted):
    landing = land_places(photographs(), *shifted, PLACES, side=side)
    assert np.allclose(landing.lands_place, PLACES + moved, atol=1e-4)
    assert landing.returns.max() < 1e-4
    assert np.array_equal(landing.on("source"), landing.place if side == "source" else landing.lands_place)


def test_a_row_names_both_sides_in_pixels(shifted):
    (row, _) = land_places(photographs(), *shifted, PLACES, side="source").rows()
    assert row == {
        "point": 1,
        "source_x": 40,
        "source_y": 30,
        "target_x": 33,
        "target_y": 33,
        "returns_within": pytest.approx(0, abs=0.01),
    }


def test_the_confidence_is_that_of_the_patch_on_the_target(shifted):
    confidence = torch.linspace(0, 1, 48)
    verdict = ImageVerdict(Verdict("good", 0.01, (), ""), {}, confidence)
    landing = land_places(photographs(), *shifted, PLACES, side="target", verdict=verdict)
    at = [3 * 8 + 4, 3 * 8 + 1]
    assert np.allclose(landing.confidence, confidence[at])


def test_a_place_outside_the_mask_lands_nowhere(shifted):
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[:, :20] = True
    landing = land_places(photographs(mask), *shifted, PLACES, side="source")
    assert np.isnan(landing.lands_place[0]).all() and np.isfinite(landing.lands_place[1]).all()
