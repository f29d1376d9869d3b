"""Reading photographs, masks, flows and keypoints: every kind of file that people have,
and what is said of the broken ones.
"""

import struct

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from tests.image_fakes import scene, write_flow, write_image

from pullback.data.image.decoding import ImageError
from pullback.data.image.io import (
    read_disparity,
    read_image,
    read_mask,
    read_pixels,
    save_image,
    write_disparity,
    write_mask,
)
from pullback.data.image.truth import is_known_flow, read_flo, read_mat_keypoints, write_flo


@pytest.fixture
def pixels():
    return scene(1, 20, 26)


def colours(photo):
    """A photograph as (H, W, 3) numpy array."""
    return photo.permute(1, 2, 0).numpy()


def test_a_colour_photograph_is_read_as_it_is(tmp_path, pixels):
    write_image(tmp_path / "a.png", pixels)
    photo = read_pixels(tmp_path / "a.png")
    assert photo.dtype == torch.uint8
    assert photo.is_contiguous()
    assert np.array_equal(colours(photo), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, pixels, orientation):
    # How a camera stores an upright picture for each orientation: the inverse of what a viewer must do (EXIF 2.3, table
    # 6).
    stored = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, 1),
        7: np.rot90(pixels, 2).transpose(1, 0, 2),
        8: np.rot90(pixels, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(colours(read_pixels(tmp_path / "a.png")), pixels)


def test_grey_becomes_three_equal_channels(tmp_path, pixels):
    write_image(tmp_path / "a.png", pixels[..., 0])
    assert np.array_equal(colours(read_pixels(tmp_path / "a.png")), pixels[..., :1].repeat(3, axis=2))


def test_what_is_transparent_is_white(tmp_path, pixels):
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:5] = 0
    alpha[5:10] = 128
    write_image(tmp_path / "a.png", np.dstack([pixels, alpha]))
    read = colours(read_pixels(tmp_path / "a.png")).astype(float)
    assert (read[:5] == 255).all()
    assert np.abs(read[5:10] - (pixels[5:10] * (128 / 255.0) + 255 * (127 / 255.0))).max() <= 1
    assert np.array_equal(read[10:], pixels[10:])


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    values = np.linspace(0, 65535, 20 * 26).reshape(20, 26).astype(np.uint16)
    write_image(tmp_path / "a.png", values)
    read = colours(read_pixels(tmp_path / "a.png"))
    assert np.array_equal(read[..., 1], np.round(values / 257.0))


def test_cmyk_palette_and_bilevel_files_are_colours(tmp_path, pixels):
    flat = np.zeros((16, 16, 3), np.uint8)
    flat[:, 8:] = (200, 30, 60)
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "cmyk.tif")
    Image.fromarray(flat).quantize(4).save(tmp_path / "palette.png")
    for name in ("cmyk.tif", "palette.png"):
        assert np.abs(colours(read_pixels(tmp_path / name)).astype(int) - flat).max() <= 3
    Image.fromarray(pixels[..., 0] > 100).save(tmp_path / "bilevel.png")
    assert np.array_equal(
        colours(read_pixels(tmp_path / "bilevel.png"))[..., 2], np.where(pixels[..., 0] > 100, 255, 0)
    )


def test_a_palette_with_a_transparent_colour_is_laid_on_white(tmp_path):
    flat = np.zeros((16, 16), np.uint8)
    flat[:, 8:] = 1
    image = Image.new("P", (16, 16))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata(flat.flatten().tolist())
    image.save(tmp_path / "a.png", transparency=0)
    read = colours(read_pixels(tmp_path / "a.png"))
    assert (read[:, :8] == 255).all()
    assert (read[:, 8:] == [40, 50, 60]).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp"])
def test_a_file_cut_short_is_named(tmp_path, pixels, suffix):
    write_image(tmp_path / f"whole{suffix}", np.tile(pixels, (4, 4, 1)))
    content = (tmp_path / f"whole{suffix}").read_bytes()
    cut = tmp_path / f"cut{suffix}"
    for length in (len(content) // 2, len(content) // 4):
        cut.write_bytes(content[:length])
        with pytest.raises(ImageError, match=rf"cut\{suffix}: (cannot be decoded|not an image)"):
            read_pixels(cut)


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("<html>404</html>")
    with pytest.raises(ImageError, match=r"empty\.jpg: the file is empty"):
        read_pixels(tmp_path / "empty.jpg")
    with pytest.raises(ImageError, match=r"text\.jpg: not a photograph but a web page: .*open the address"):
        read_pixels(tmp_path / "text.jpg")
    (tmp_path / "words.jpg").write_text("hello")
    with pytest.raises(ImageError, match=r"words\.jpg: not an image.* Convert it"):
        read_pixels(tmp_path / "words.jpg")
    for path in (tmp_path, tmp_path / "none.jpg"):
        with pytest.raises(FileNotFoundError, match="there is no image file"):
            read_pixels(path)


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 16), (0, 3)])
def test_a_mask_is_what_is_greater_than_zero(tmp_path, pixels, values):
    wanted = pixels[..., 0] > 120
    stored = np.where(wanted, values[1], values[0]).astype(np.uint8)
    write_image(tmp_path / "grey.png", stored)
    write_image(tmp_path / "colour.png", np.dstack([stored, stored * 0, stored * 0]))
    indexed = Image.fromarray(stored)
    indexed.putpalette([255, 255, 255, 0, 0, 0] * 128)  # the numbers count, not their colours
    indexed.save(tmp_path / "indexed.png")
    for name in ("grey.png", "colour.png", "indexed.png"):
        assert np.array_equal(read_mask(tmp_path / name).numpy(), wanted), name


def test_a_mask_with_transparency_is_refused(tmp_path, pixels):
    write_image(tmp_path / "a.png", np.dstack([pixels, pixels[..., 0]]))
    with pytest.raises(ImageError, match="a mask with transparency"):
        read_mask(tmp_path / "a.png")


def test_photographs_and_masks_are_written_as_they_are_read(tmp_path, pixels):
    photo = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    save_image(tmp_path / "a.png", photo)
    assert torch.equal(read_pixels(tmp_path / "a.png"), photo)
    save_image(tmp_path / "a.jpg", photo, quality=95)
    assert (read_pixels(tmp_path / "a.jpg").float() - photo.float()).abs().mean() < 3
    write_mask(tmp_path / "m.png", photo[0] > 99)
    assert torch.equal(read_mask(tmp_path / "m.png"), photo[0] > 99)


def test_a_flow_is_read_with_x_first(tmp_path):
    flow = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    write_flow(tmp_path / "a.flo", flow)
    assert np.array_equal(read_flo(tmp_path / "a.flo").numpy(), flow.transpose(2, 0, 1))


def test_a_flow_is_written_byte_for_byte_as_in_tss(tmp_path):
    flow = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    write_flow(tmp_path / "a.flo", flow)
    write_flo(tmp_path / "b.flo", torch.from_numpy(flow.transpose(2, 0, 1).copy()))
    assert (tmp_path / "b.flo").read_bytes() == (tmp_path / "a.flo").read_bytes()
    assert (tmp_path / "b.flo").read_bytes()[:12] == b"PIEH" + struct.pack("<ii", 7, 5)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-4], "it is cut short"),
        (lambda content: content + b"1234", "it is damaged"),
        (lambda content: content[:10], "10 bytes hold no flow"),
        (lambda content: b"", "0 bytes hold no flow"),
        (lambda content: b"PIEX" + content[4:], r"begins with b'PIEX'.* b'PIEH'"),
        (lambda content: b"HEIP" + content[4:], "big-endian"),
        (lambda content: content[:4] + struct.pack("<ii", -7, -5) + content[12:], "it is damaged"),
    ],
)
def test_a_damaged_flow_is_named(tmp_path, damage, message):
    write_flow(tmp_path / "a.flo", np.zeros((5, 7, 2)))
    (tmp_path / "a.flo").write_bytes(damage((tmp_path / "a.flo").read_bytes()))
    with pytest.raises(ImageError, match=rf"a\.flo: .*{message}"):
        read_flo(tmp_path / "a.flo")


def test_unknown_flow_is_infinite_or_huge_in_either_coordinate():
    flow = torch.zeros(2, 2, 3)
    flow[0, 0, 0], flow[1, 0, 1], flow[0, 1, 0], flow[1, 1, 1] = 1e10, -1e9, torch.nan, torch.inf
    flow[0, 1, 2] = -9e8
    assert is_known_flow(flow).tolist() == [[False, False, True], [False, False, True]]


def test_disparities_survive_to_a_256th_of_a_pixel(tmp_path):
    disparity = torch.rand(9, 11) * 60 + 0.01
    disparity[2, 3] = torch.nan
    write_disparity(tmp_path / "d.png", disparity)
    read = read_disparity(tmp_path / "d.png")
    assert torch.equal(read.isnan(), disparity.isnan())
    assert (read - disparity).nan_to_num(0.0).abs().max() <= 0.5 / 256
    with pytest.raises(ValueError, match="from 0 to 255"):
        write_disparity(tmp_path / "d.png", disparity * 10)
    write_image(tmp_path / "g.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(ImageError, match="16-bit grey"):
        read_disparity(tmp_path / "g.png")


def test_matlab_counts_pixels_from_one(tmp_path):
    savemat(tmp_path / "a.mat", {"pts_coord": np.array([[1.0, 10.5, 30.0], [1.0, 2.0, 20.25]])})
    assert read_mat_keypoints(tmp_path / "a.mat").tolist() == [[0, 0], [9.5, 1], [29, 19.25]]


@pytest.mark.parametrize("points", [np.zeros((10, 2)), np.full((2, 3), np.nan), "words", np.zeros(4)])
def test_keypoints_of_another_form_are_refused(tmp_path, points):
    savemat(tmp_path / "a.mat", {"pts_coord": points})
    with pytest.raises(ImageError, match=r"a\.mat: pts_coord should hold two rows of finite numbers"):
        read_mat_keypoints(tmp_path / "a.mat")


def test_a_damaged_or_foreign_matlab_file_is_named(tmp_path):
    savemat(tmp_path / "a.mat", {"kps": np.zeros((2, 10))}, do_compression=True)
    with pytest.raises(ImageError, match=r"looked for under pts_coord, but the file holds kps"):
        read_mat_keypoints(tmp_path / "a.mat")
    content = (tmp_path / "a.mat").read_bytes()
    for damaged in (content[:150], b"", b"not a Matlab file" * 20):
        (tmp_path / "a.mat").write_bytes(damaged)
        with pytest.raises(ImageError, match=r"a\.mat: cannot be read"):
            read_mat_keypoints(tmp_path / "a.mat")
    with pytest.raises(FileNotFoundError, match="no keypoint file"):
        read_mat_keypoints(tmp_path / "none.mat")


def test_a_photograph_bears_the_name_of_its_file_and_a_mask_of_its_size(tmp_path, pixels):
    write_image(tmp_path / "cup.png", pixels)
    photo = read_image(tmp_path / "cup.png")
    assert (photo.name, photo.size, photo.category, photo.mask, photo.box) == ("cup", (20, 26), "", None, None)
    assert read_image(tmp_path / "cup.png", name="a", mask=torch.ones(20, 26, dtype=torch.bool)).name == "a"
    with pytest.raises(ImageError, match=r"cup\.png: its mask has 20 × 26 pixels, the photograph 26 × 20"):
        read_image(tmp_path / "cup.png", mask=torch.ones(26, 20, dtype=torch.bool))
