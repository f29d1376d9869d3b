"""Photographs of every depth and mode: 12 and 16 bits, signed, floating point, Lab, several frames;
and what is said of them.
"""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.image_bytes import png, tiff
from tests.image_fakes import rectangle, scene, write_image

from pullback.data.image.decoding import ImageError
from pullback.data.image.io import read_disparity, read_image, read_mask, read_pixels
from pullback.data.image.tones import eight_bits

ORDERS = pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])


def grey(photo) -> np.ndarray:
    return photo.pixels[0].numpy().astype(float)


def ramp(low: float, high: float, dtype: type, shape: tuple[int, int] = (20, 26)) -> np.ndarray:
    """Values that rise from left to right."""
    return np.broadcast_to(np.linspace(low, high, shape[1]), shape).astype(dtype)


@pytest.mark.parametrize(("low", "high"), [(27016, 27776), (0, 4095), (0, 1023), (1000, 17000), (65000, 65535)])
@ORDERS
def test_sixteen_bits_in_a_small_part_of_their_range_are_stretched_and_it_is_said(tmp_path, low, high, order):
    (tmp_path / "a.tif").write_bytes(tiff(ramp(low, high, np.uint16), order))
    write_image(tmp_path / "a.png", ramp(low, high, np.uint16))
    for name in ("a.tif", "a.png"):
        photo = read_image(tmp_path / name)
        assert np.abs(grey(photo) - ramp(0, 255, float)).max() <= 2
        assert len(photo.notes) == 1 and f"values run from {low:g} to {high:g}" in photo.notes[0]


def test_sixteen_bits_that_use_their_range_keep_it_and_nothing_is_said(tmp_path):
    write_image(tmp_path / "a.png", ramp(3000, 60000, np.uint16))
    photo = read_image(tmp_path / "a.png")
    assert np.array_equal(grey(photo), np.round(ramp(3000, 60000, np.uint16) / 257.0))
    assert photo.notes == ()


def test_a_few_dead_pixels_do_not_undo_the_stretching(tmp_path):
    values = ramp(27016, 27776, np.uint16, (200, 200)).copy()
    values[3, 4], values[7, 9] = 0, 65535
    write_image(tmp_path / "a.png", values)
    assert grey(read_image(tmp_path / "a.png")).std() > 60


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colours_in_a_small_part_of_their_range_keep_their_low_bytes(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 4096, (20, 26, channels))
    values[..., 3:] = 65535
    (tmp_path / "a.png").write_bytes(png(values))
    photo = read_image(tmp_path / "a.png")
    assert np.abs(photo.pixels.permute(1, 2, 0).numpy() - values[..., :3] / 4095 * 255).max() <= 2
    assert "stretched" in photo.notes[0]


@ORDERS
def test_sixteen_bit_colours_of_tiff_too(tmp_path, order):
    values = np.random.default_rng(0).integers(20000, 24096, (20, 26, 3)).astype(np.uint16)
    (tmp_path / "a.tif").write_bytes(tiff(values, order))
    photo = read_image(tmp_path / "a.tif")
    assert np.abs(photo.pixels.permute(1, 2, 0).numpy() - (values - 20000.0) / 4095 * 255).max() <= 2
    wide = np.random.default_rng(0).integers(0, 65536, (20, 26, 3)).astype(np.uint16)
    (tmp_path / "b.tif").write_bytes(tiff(wide, order))
    assert np.array_equal(read_pixels(tmp_path / "b.tif").permute(1, 2, 0).numpy(), wide >> 8)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "sample_format"),
    [
        (-3000, 3000, np.int32, 2),
        (-5e6, 2e9, np.int32, 2),
        (0, 200, np.int32, 2),
        (-3.5, 40.25, np.float32, 3),
        (0, 255, np.float32, 3),
    ],
)
def test_signed_and_floating_point_values_are_stretched(tmp_path, low, high, dtype, sample_format):
    (tmp_path / "a.tif").write_bytes(tiff(ramp(low, high, dtype), "<", sample_format=sample_format))
    photo = read_image(tmp_path / "a.tif")
    assert np.abs(grey(photo) - ramp(0, 255, float)).max() <= 2
    assert "stretched" in photo.notes[0]


def test_floating_point_values_between_0_and_1_are_shares_of_white(tmp_path):
    write_image(tmp_path / "a.tif", ramp(0.1, 0.9, np.float32))
    photo = read_image(tmp_path / "a.tif")
    assert np.abs(grey(photo) - 255 * ramp(0.1, 0.9, np.float32)).max() <= 0.5
    assert photo.notes == ()
    write_image(tmp_path / "a.tif", ramp(0.1, 0.2, np.float32))
    assert np.abs(grey(read_image(tmp_path / "a.tif")) - ramp(0, 255, float)).max() <= 2


def test_values_that_are_no_numbers_become_black_and_are_counted(tmp_path):
    values = ramp(-3.5, 40.25, np.float32).copy()
    values[0, :3] = np.nan, np.inf, -np.inf
    write_image(tmp_path / "a.tif", values)
    photo = read_image(tmp_path / "a.tif")
    assert (grey(photo)[0, :3] == 0).all() and grey(photo)[5].std() > 60
    assert photo.notes[0].startswith("3 of its 520 values are no numbers")
    write_image(tmp_path / "a.tif", values * np.nan)
    with pytest.raises(ImageError, match=r"a\.tif: none of its 520 values is a number"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.int16])
def test_strips_give_what_the_formula_gives(dtype):
    values = np.random.default_rng(0).normal(3000, 200, (700, 5)).astype(dtype)
    low, high = np.percentile(values, 0.1, method="higher"), np.percentile(values, 99.9, method="lower")
    slow = np.round(((values.astype(float) - low) / (high - low)).clip(0, 1) * 255)
    assert np.array_equal(eight_bits(values)[0], slow)


def test_constant_values_of_any_kind_are_no_division_by_zero():
    for values in (np.full((3, 4), 27000, np.uint16), np.full((3, 4), -7.5, np.float32), np.full((3, 4), 0, np.int32)):
        assert (eight_bits(values)[0] == eight_bits(values)[0][0, 0]).all()


@pytest.mark.parametrize("ending", [".webp", ".tif", ".png", ".avif", ".jpg"])
def test_exif_orientation_is_honoured_in_every_format(tmp_path, ending):
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24] = 255  # white above on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(pixels).save(tmp_path / f"a{ending}", exif=exif)
    read = read_pixels(tmp_path / f"a{ending}")
    assert read.shape == (3, 48, 32)
    assert read[:, :20, 20:].float().mean() > 250 and read[:, :20, :12].float().mean() < 5


def test_a_mask_and_disparities_are_turned_as_their_photograph_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(rectangle(8, 10, (0, 0, 3, 2))).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(read_mask(tmp_path / "m.png").numpy(), rectangle(8, 10, (7, 6, 10, 8)))
    Image.fromarray(ramp(256, 512, np.uint16)).save(tmp_path / "d.png", exif=exif)
    assert read_disparity(tmp_path / "d.png")[0, 0] == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"Exif\0\0", b"MM\0*" + b"\xff" * 30, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 20, b"x" * 40],
)
@pytest.mark.parametrize("ending", [".png", ".webp", ".jpg"])
def test_damaged_exif_data_are_no_reason_to_refuse_a_photograph(tmp_path, recwarn, content, ending):
    Image.fromarray(scene(1)).save(tmp_path / f"whole{ending}")
    Image.fromarray(scene(1)).save(tmp_path / f"a{ending}", exif=content)
    photo = read_image(tmp_path / f"a{ending}")
    assert torch.equal(photo.pixels, read_pixels(tmp_path / f"whole{ending}"))
    assert all("EXIF" in note for note in photo.notes)
    assert not [warning for warning in recwarn if "EXIF" in str(warning.message)]


def test_an_orientation_that_is_none_is_said(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 9
    Image.fromarray(scene(1)).save(tmp_path / "a.png", exif=exif)
    assert "EXIF data are damaged" in read_image(tmp_path / "a.png").notes[0]


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png", ".tif"])
def test_of_several_frames_the_first_is_taken_and_it_is_said(tmp_path, ending):
    frames = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (40, 200)]
    for frame in frames:
        frame.putpixel((3, 3), (90, 90, 90))
    frames[0].save(tmp_path / f"a{ending}", save_all=True, append_images=frames[1:])
    photo = read_image(tmp_path / f"a{ending}")
    assert abs(photo.pixels[0, 9, 9].item() - 40) <= 3
    assert "several pictures, of which the first" in photo.notes[0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"])
def test_every_mode_is_read_as_colours(tmp_path, mode):
    flat = np.zeros((16, 16, 3), np.uint8)
    flat[:, 8:] = 200
    image = Image.fromarray(flat)
    if mode == "LAB":
        lightness = Image.fromarray(np.where(flat[..., 0] > 0, 205, 0).astype(np.uint8))
        image = Image.merge("LAB", [lightness, Image.new("L", (16, 16), 128), Image.new("L", (16, 16), 128)])
    else:
        image = image.convert(mode)
    ending = ".tif" if mode in ("RGBX", "CMYK", "YCbCr", "LAB") else ".png"
    image.save(tmp_path / f"a{ending}")
    read = read_pixels(tmp_path / f"a{ending}")
    assert read[:, :, :8].float().mean() < 10 and read[:, :, 8:].float().mean() > 190


def test_cmyk_jpeg_of_adobe_is_not_inverted(tmp_path):
    flat = np.zeros((16, 16, 3), np.uint8)
    flat[:, 8:] = 200
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    read = read_pixels(tmp_path / "a.jpg").float()
    assert read[:, :, :6].mean() < 20 and read[:, :, 10:].mean() > 180
