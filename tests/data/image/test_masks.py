"""Masks of one's own, from files and arrays."""

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from pullback.data.image.decoding import ImageError
from pullback.data.image.masks import with_mask
from pullback.types import Image

PHOTO = Image("photo", torch.zeros(3, 40, 60, dtype=torch.uint8), path="photo.jpg")
LEFT = np.zeros((40, 60), dtype=np.uint8)
LEFT[:, :30] = 255


def written(folder, values):
    PillowImage.fromarray(values).save(folder / "mask.png")
    return folder / "mask.png"


@pytest.mark.parametrize("form", ["file", "bytes", "booleans", "numbers", "tensor"])
def test_every_form_of_a_mask_says_the_same(form, tmp_path):
    given = {
        "file": written(tmp_path, LEFT),
        "bytes": LEFT,
        "booleans": LEFT > 0,
        "numbers": LEFT / 255,
        "tensor": torch.from_numpy(LEFT),
    }[form]
    mask = with_mask(PHOTO, given, key="mask1").mask
    assert mask[:, :30].all() and not mask[:, 30:].any()


@pytest.mark.parametrize("times", [2, 0.5])
def test_a_mask_of_the_same_proportions_is_resized(times, tmp_path):
    size = (int(60 * times), int(40 * times))
    PillowImage.fromarray(LEFT).resize(size, PillowImage.Resampling.NEAREST).save(tmp_path / "mask.png")
    mask = with_mask(PHOTO, tmp_path / "mask.png", key="mask2").mask
    assert mask.shape == (40, 60) and mask[:, :30].all() and not mask[:, 30:].any()


def test_a_mask_of_other_proportions_names_file_and_sizes(tmp_path):
    path = written(tmp_path, LEFT[:, :50])
    with pytest.raises(ImageError, match=r"mask1=.*mask\.png: the mask has 50 × 40 pixels and photo\.jpg 60 × 40"):
        with_mask(PHOTO, path, key="mask1")


def test_a_turned_mask_is_told_to_be_turned(tmp_path):
    with pytest.raises(ImageError, match="turned by 90°"):
        with_mask(PHOTO, written(tmp_path, LEFT.T), key="mask1")


def test_an_empty_mask_is_told_with_what_to_paint(tmp_path):
    with pytest.raises(ImageError, match=r"mask2=.*mask\.png: the mask is empty; paint it white"):
        with_mask(PHOTO, written(tmp_path, LEFT * 0), key="mask2")


def test_what_is_no_picture_is_no_mask(tmp_path):
    (tmp_path / "mask.png").write_text("white on the left")
    with pytest.raises(ImageError, match=r"mask\.png"):
        with_mask(PHOTO, tmp_path / "mask.png", key="mask1")
    with pytest.raises(ImageError, match=r"mask1: an array of uint8 and shape \(40, 60, 3\) is no mask"):
        with_mask(PHOTO, np.zeros((40, 60, 3), dtype=np.uint8), key="mask1")
