import torch
from tests.patch_pairs import patch_image

from pullback.mapping.patch_batch import pad_patches


def test_rows_beyond_a_photograph_are_zero_and_not_present():
    images = [patch_image((2, 3)), patch_image((4, 3), seed=1)]
    padded = pad_patches(images, [image.feat for image in images])
    assert padded.feat.shape == (2, 12, 12)
    assert torch.equal(padded.feat[0, :6], images[0].feat)
    assert not padded.feat[0, 6:].any()
    assert padded.present.sum(dim=1).tolist() == [6, 12]
    assert not padded.is_full
    assert pad_patches(images[:1], [images[0].feat]).is_full


def test_places_are_fractions_of_the_photograph_with_x_first():
    image = patch_image((2, 4))
    place = pad_patches([image], [image.feat]).place[0].view(2, 4, 2)
    assert torch.allclose(place[0, :, 0], torch.tensor([1, 3, 5, 7]) / 8)
    assert torch.allclose(place[:, 0, 1], torch.tensor([1, 3]) / 4)
