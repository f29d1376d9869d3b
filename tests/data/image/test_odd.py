"""Photographs that are odd and whole: forms of TIFF, dead pixels, PNG files with damaged descriptions,
masks that JPEG has blurred.
"""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from tests.image_bytes import chunk, png, tiff
from tests.image_fakes import rectangle, scene, write_image

from pullback.data.image.decoding import ImageError
from pullback.data.image.io import read_image, read_mask, read_pixels


def pixels_of(path) -> np.ndarray:
    return read_pixels(path).permute(1, 2, 0).numpy()


def planes(colours: np.ndarray, order: str) -> bytes:
    """An uncompressed TIFF whose three colours lie one behind the other, each a strip of its own."""
    height, width, _ = colours.shape
    one = height * width * colours.itemsize
    content = tiff(colours.transpose(2, 0, 1).reshape(3 * height, width), order)
    entries = {
        256: [width],
        257: [height],
        258: [8 * colours.itemsize] * 3,
        259: [1],
        262: [2],
        273: [8, 8 + one, 8 + 2 * one],
    }
    entries |= {277: [3], 278: [height], 279: [one] * 3, 284: [2]}
    at, far = 8 + 3 * one, b""
    far_at = at + 2 + 12 * len(entries) + 4
    directory = struct.pack(order + "H", len(entries))
    for tag, values in entries.items():
        directory += struct.pack(order + "HHI", tag, 4, len(values))
        directory += struct.pack(order + "I", values[0] if len(values) == 1 else far_at + len(far))
        far += b"" if len(values) == 1 else struct.pack(order + "3I", *values)
    return content[:at] + directory + bytes(4) + far


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_of_tiff_in_planes_of_their_own_are_read_as_they_are(tmp_path, order, dtype):
    (tmp_path / "a.tif").write_bytes(planes(scene(1).astype(dtype) * (257 if dtype == np.uint16 else 1), order))
    assert np.array_equal(pixels_of(tmp_path / "a.tif"), scene(1))


@pytest.mark.parametrize("scale", [1, 257, 1 / 255], ids=["8 bits", "16 bits", "floating point"])
def test_a_tiff_whose_white_is_0_is_no_negative(tmp_path, scale):
    grey, white = scene(1)[..., 0], 255 * scale
    stored = (white - grey.astype(float) * scale).astype({1: np.uint8, 257: np.uint16}.get(scale, np.float32))
    (tmp_path / "a.tif").write_bytes(tiff(stored, "<", sample_format=3 if scale < 1 else 1, t262=0))
    assert np.array_equal(pixels_of(tmp_path / "a.tif")[..., 0], grey)
    assert np.array_equal(read_mask(tmp_path / "a.tif").numpy(), grey > 0)


def test_values_with_and_without_a_sign_are_told_apart(tmp_path):
    grey = scene(1)[..., 0]
    (tmp_path / "a.tif").write_bytes(tiff(grey.astype(np.uint32) * 2**24, "<"))
    (tmp_path / "b.tif").write_bytes(tiff((grey.astype(int) - 128).astype(np.int8), "<", sample_format=2))
    for name in ("a.tif", "b.tif"):
        read = pixels_of(tmp_path / name)[..., 0]
        assert np.corrcoef(read.flatten(), grey.flatten())[0, 1] > 0.999
        assert "stretched" in read_image(tmp_path / name).notes[0]


@pytest.mark.parametrize(
    ("dtype", "kind", "colours", "said"),
    [
        (np.float64, 3, (), "1 × 64-bit floating-point"),
        (np.float16, 3, (), "1 × 16-bit floating-point"),
        (np.float32, 3, (3,), "3 × 32-bit floating-point"),
        (np.uint32, 1, (3,), "3 × 32-bit unsigned"),
    ],
)
def test_numbers_of_tiff_that_pillow_cannot_read_are_named_with_what_to_do(tmp_path, dtype, kind, colours, said):
    (tmp_path / "a.tif").write_bytes(tiff(np.zeros((4, 5, *colours), dtype), "<", sample_format=kind))
    with pytest.raises(
        ImageError, match=rf"a\.tif: a TIFF of {said} numbers a pixel.*: save it as a 16-bit PNG, or its grey values"
    ):
        read_pixels(tmp_path / "a.tif")


def test_one_dead_pixel_keeps_no_photograph_black_however_small(tmp_path):
    grey = scene(1, 12, 16)[..., :1].astype(np.uint16) * 16  # 12 bits
    grey[3, 4] = 65535
    write_image(tmp_path / "grey.png", grey[..., 0])
    (tmp_path / "colour.png").write_bytes(png(grey.repeat(3, axis=2)))
    for name in ("grey.png", "colour.png"):
        photo = read_image(tmp_path / name)
        assert photo.pixels.float().std() > 60
        assert "stretched" in photo.notes[0]


def described_png(*descriptions: bytes) -> bytes:
    """A photograph with chunks before its pixels."""
    file = io.BytesIO()
    Image.fromarray(scene(1)).save(file, "PNG")
    content = file.getvalue()
    return content[:33] + b"".join(descriptions) + content[33:]


@pytest.mark.parametrize(
    "damaged",
    [
        chunk(b"gAMA", b"\0"),
        chunk(b"pHYs", b"abc"),
        chunk(b"cHRM", b"abc"),
        chunk(b"tEXt", b"a\0b")[:-4] + bytes(4),
        chunk(b"eXIf", b"II*\0")[:-4] + bytes(4),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3_000_000))),
    ],
    ids=["gAMA", "pHYs", "cHRM", "checksum", "checksum of EXIF", "text that unpacks to megabytes"],
)
def test_a_damaged_description_is_no_reason_to_refuse_a_png(tmp_path, damaged):
    (tmp_path / "a.png").write_bytes(described_png(damaged))
    photo = read_image(tmp_path / "a.png")
    assert np.array_equal(photo.pixels.permute(1, 2, 0).numpy(), scene(1))
    assert photo.notes == ("what its file says beside the picture is damaged, and left out",)


def test_beside_a_damaged_description_orientation_and_transparency_count(tmp_path):
    turned = chunk(b"eXIf", b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x0112, 3, 1, 6, 0))
    clear = chunk(b"tRNS", struct.pack(">3H", *map(int, scene(1)[0, 0])))
    (tmp_path / "a.png").write_bytes(described_png(chunk(b"gAMA", b"\0"), turned, clear))
    (tmp_path / "b.png").write_bytes(described_png(turned, clear))
    assert torch.equal(read_pixels(tmp_path / "a.png"), read_pixels(tmp_path / "b.png"))
    assert read_pixels(tmp_path / "a.png").shape == (3, 32, 24)


def test_a_png_with_a_damaged_picture_is_refused_whatever_else_is_damaged(tmp_path):
    content = described_png(chunk(b"gAMA", b"\0"))
    for broken in (content[: len(content) // 2], content[:20] + b"\xff" + content[21:]):
        (tmp_path / "a.png").write_bytes(broken)
        with pytest.raises(ImageError, match=r"a\.png: "):
            read_pixels(tmp_path / "a.png")


def test_the_specks_that_jpeg_leaves_are_not_on_the_mask(tmp_path):
    mask = rectangle(40, 60, (13, 11, 37, 30))
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "a.jpg", quality=75)
    assert np.array_equal(read_mask(tmp_path / "a.jpg").numpy(), mask)


def test_small_numbers_of_sixteen_bit_colours_are_on_the_mask(tmp_path):
    mask = rectangle(10, 12, (3, 2, 8, 9))
    (tmp_path / "a.png").write_bytes(png(np.repeat(mask[..., None], 3, axis=2) * 7))
    assert np.array_equal(read_mask(tmp_path / "a.png").numpy(), mask)


@pytest.mark.parametrize(
    ("head", "name"), [(b"OFF\n3 1 0\n", "a.off"), (b"ply\n", "a.ply"), (b"glTF\2\0\0\0", "a.glb")]
)
def test_a_mesh_that_is_called_a_photograph_is_told_its_name(tmp_path, head, name):
    (tmp_path / "a.jpg").write_bytes(head + bytes(30))
    with pytest.raises(ImageError, match=rf"a\.jpg: not an image\. It begins like a mesh: call it {name}"):
        read_image(tmp_path / "a.jpg")
