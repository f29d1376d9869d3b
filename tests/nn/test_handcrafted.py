import time

import pytest
import torch
from tests.nn.photo_fakes import photo, photo_of, textured

from pullback.nn.handcrafted import DenseGradients, at_offset, blur, oriented_gradients


def descriptors(image: torch.Tensor, **options) -> torch.Tensor:
    """(h, w, c) at the photograph's own size."""
    backbone = DenseGradients(
        **{"size": max(image.shape[1:]), "patch": 8, "scales": (2.0, 4.0), "colour": 0.0} | options
    )
    return backbone([photo_of(image)])[0]["gradients"].permute(1, 2, 0)


def nearest(query: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    return torch.cdist(query.flatten(0, 1), reference.flatten(0, 1)).argmin(dim=1)


def test_every_scale_has_nine_histograms_and_two_colours():
    maps = DenseGradients(scales=(3.0, 6.0), orientations=6, colour=0.5, size=96, patch=8)([photo_of(textured(64, 96))])
    assert maps[0]["gradients"].shape == (2 * 9 * 6 + 2 * 2, 8, 12)


@pytest.mark.parametrize(("turn", "bin_"), [((1.0, 0.0), 0), ((0.0, 1.0), 2), ((-1.0, 0.0), 4), ((0.0, -1.0), 6)])
def test_a_ramp_fills_the_bin_of_its_direction(turn, bin_):
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    ramp = (0.03 * (turn[0] * x + turn[1] * y))[None, None]
    energy = oriented_gradients(ramp, bins=8, signed=True)[0, :, 4:-4, 4:-4]
    expected = torch.zeros(8)
    expected[bin_] = 0.03
    assert torch.allclose(energy.mean(dim=(1, 2)), expected, atol=1e-6)


def test_energy_between_two_bins_is_shared_and_none_is_lost():
    image = textured(32, 32)[None, :1]
    energy = oriented_gradients(image, bins=8, signed=True)
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    dx, dy = (
        (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2,
        (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2,
    )
    assert torch.allclose(energy.sum(dim=1, keepdim=True), torch.hypot(dx, dy), atol=1e-6)
    assert ((energy > 1e-7).sum(dim=1) <= 2).all()


def test_unsigned_bins_do_not_tell_dark_before_light_from_light_before_dark():
    image = textured(32, 32)[None, :1]
    assert torch.allclose(
        oriented_gradients(image, bins=8, signed=False), oriented_gradients(1 - image, bins=8, signed=False), atol=1e-5
    )
    assert not torch.allclose(
        oriented_gradients(image, bins=8, signed=True), oriented_gradients(1 - image, bins=8, signed=True), atol=1e-3
    )


def test_the_blur_is_a_gaussian_and_keeps_constants_up_to_the_border():
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    x = torch.arange(-20.0, 21.0)
    gaussian = torch.exp(-(x[:, None] ** 2 + x**2) / (2 * 3.0**2)) / (2 * torch.pi * 3.0**2)
    assert torch.allclose(blur(point, 3.0)[0, 0], gaussian, atol=2e-4)
    assert torch.allclose(blur(torch.full((1, 2, 9, 5), 0.3), 4.0), torch.full((1, 2, 9, 5), 0.3))


def test_values_are_read_at_patch_centres_and_offsets_from_them():
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    values = torch.stack([x, y])[None]
    shifted = at_offset(values, patch=8, dx=2.25, dy=-1.5)[0]
    centres_x, centres_y = torch.arange(6) * 8 + 3.5, torch.arange(4) * 8 + 3.5
    assert torch.allclose(shifted[0], (centres_x + 2.25).expand(4, 6), atol=1e-4)
    assert torch.allclose(shifted[1], (centres_y - 1.5)[:, None].expand(4, 6), atol=1e-4)


def test_exposure_contrast_and_gamma_hardly_change_the_descriptors():
    image = textured(96, 128) * 0.8 + 0.1
    plain = torch.nn.functional.normalize(descriptors(image), dim=2)
    for changed in (image * 0.6, image * 0.5 + 0.3, image**1.6):
        other = torch.nn.functional.normalize(descriptors(changed), dim=2)
        assert (plain * other).sum(dim=2).min() > 0.97


def test_the_colour_of_the_light_hardly_changes_the_colour_channels():
    image = textured(96, 96) * 0.7 + 0.1
    light = torch.tensor([1.1, 1.0, 0.8])[:, None, None]
    one, other = (descriptors(lit, colour=1.0)[..., -4:] for lit in (image, image * light))
    assert (one - other).norm() < 0.2 * one.norm()


def test_a_shifted_photo_is_matched_to_itself_at_the_true_shift():
    image = textured(160, 192)
    one, two = descriptors(image[:, :, :-32]), descriptors(image[:, :, 32:])
    found = nearest(two, one).reshape(20, 20)
    rows, cols = torch.meshgrid(torch.arange(20), torch.arange(20), indexing="ij")
    right = (found == rows * 20 + cols + 4)[2:-2, 2:-6]
    assert right.float().mean() > 0.97


def test_a_mirrored_photo_has_the_mirrored_grid_with_exchanged_bins():
    image = textured(64, 96)
    both = [blur(one[None, :1], 2.0) for one in (image, image.flip(2))]
    plain, mirrored = (at_offset(oriented_gradients(one, bins=8, signed=True), patch=8) for one in both)
    exchanged = [(4 - i) % 8 for i in range(8)]  # dx changes sign
    assert torch.allclose(mirrored.flip(3)[:, exchanged], plain, atol=1e-6)


def test_a_flat_place_keeps_a_short_descriptor():
    image = torch.full((3, 64, 64), 0.5)
    image[:, :, 48:] = 0.9
    lengths = descriptors(image, scales=(2.0,)).norm(dim=2)
    assert lengths[:, :3].max() < 0.05
    assert torch.allclose(lengths[:, 5:7].mean(), torch.ones(()), atol=0.05)


def test_descriptors_of_a_scale_have_length_one():
    assert torch.allclose(descriptors(textured(64, 64), scales=(3.0,)).norm(dim=2), torch.ones(8, 8), atol=1e-3)


def test_different_sizes_in_one_call_equal_one_by_one():
    photos = [photo(60, 80, seed=0), photo(80, 60, seed=1), photo(60, 80, seed=2)]
    backbone = DenseGradients(size=80, patch=8)
    for one, maps in zip(photos, backbone(photos), strict=True):
        assert torch.allclose(maps["gradients"], backbone([one])[0]["gradients"], atol=1e-5)


def test_the_fingerprint_names_every_option_and_has_no_weights():
    changes = ({}, {"scales": (3.0,)}, {"signed": False}, {"colour": 0.5}, {"orientations": 6}, {"patch": 16})
    prints = [DenseGradients(**options).fingerprint() for options in changes]
    assert len({tuple(one.items()) for one in prints}) == 6
    assert prints[0]["weights_sha256"] is None


@pytest.mark.parametrize("options", [{"scales": ()}, {"scales": (0.0,)}, {"orientations": 2}, {"colour": -1.0}])
def test_options_out_of_range_are_refused_by_name(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        DenseGradients(**options)


def test_a_photo_of_480_pixels_takes_less_than_half_a_second_of_processor_time():
    backbone, image = DenseGradients(), photo_of(textured(360, 480))
    backbone([image])
    start = time.process_time()
    backbone([image])
    assert time.process_time() - start < 0.5
