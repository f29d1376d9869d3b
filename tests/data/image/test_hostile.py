"""Files that would fill the memory, that are no photographs, or that lead out of their data set: refused by name;
and empty pictures.
"""

import io
import resource
import shlex
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from tests.image_fakes import scene, write_image
from tests.reported import CASES

from pullback.data.image.decoding import ImageError, ImageSupportError
from pullback.data.image.io import read_image, read_mask, read_pixels
from pullback.data.image.truth import read_flo, read_mat_keypoints
from pullback.errors import UserError


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(width: int, height: int, content: bytes = b"", kind: int = 2) -> bytes:
    """A PNG that says it has this size, and unpacks to ``content``."""
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", content or zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


# --- too large


@pytest.mark.parametrize(
    ("width", "height"), [(20_000, 20_000), (100_000, 100_000), (2_000_000_000, 1), (60_000, 30_000)]
)
def test_a_photograph_that_is_too_large_is_said_to_be_large_and_not_damaged(tmp_path, recwarn, width, height):
    (tmp_path / "a.png").write_bytes(png_of(width, height))
    for read in (read_pixels, read_mask):
        with pytest.raises(
            ImageError, match=rf"a\.png: {width:,} × {height:,} pixels are too many \(up to 200 million"
        ) as raised:
            read(tmp_path / "a.png")
        assert "damaged" not in str(raised.value)
    assert not [warning for warning in recwarn if "Bomb" in warning.category.__name__]


def test_a_small_file_that_unpacks_to_a_gigabyte_is_refused_before_it_does(tmp_path):
    rows = zlib.compressobj(9)
    # the rest would be as easy
    content = b"".join(rows.compress(bytes(12_000 * 3 + 1)) for _ in range(60)) + rows.flush()
    (tmp_path / "bomb.png").write_bytes(png_of(12_000, 12_000, content))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        ImageError, match=r"bomb\.png: 12,000 × 12,000 pixels in a file of [\d,]+ bytes: it was made to fill the memory"
    ):
        read_image(tmp_path / "bomb.png")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_pillows_own_limit_is_as_before_after_a_photograph_was_read(tmp_path):
    write_image(tmp_path / "a.png", scene(1))
    before = Image.MAX_IMAGE_PIXELS
    read_pixels(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS


def test_photographs_beyond_pillows_limit_are_read_within_ours(tmp_path, monkeypatch, recwarn):
    write_image(tmp_path / "a.png", scene(1, 40, 50))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_pixels(tmp_path / "a.png").shape == (3, 40, 50)
    assert not len(recwarn)


def test_not_enough_memory_is_said(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", scene(1))

    def load(image):
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    with pytest.raises(ImageError, match=r"a\.png: there is not memory enough to unpack it\. Give a smaller copy"):
        read_pixels(tmp_path / "a.png")


def test_the_advice_to_make_a_smaller_copy_works(tmp_path):
    (tmp_path / "large.png").write_bytes(png_of(20_000, 20_000))
    with pytest.raises(ImageError) as raised:
        read_pixels(tmp_path / "large.png")
    _, _, command = str(raised.value).partition("python -c ")
    write_image(tmp_path / "FILE.png", scene(1, 40, 60))
    (code,) = shlex.split(command)
    subprocess.run([sys.executable, "-c", code.replace("FILE", "FILE.png")], cwd=tmp_path, check=True)
    assert read_pixels(tmp_path / "small.png").shape == (3, 10, 15)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_photograph_above_the_wanted_size_is_read_at_a_fraction_of_it(tmp_path, ending):
    write_image(tmp_path / f"a{ending}", np.kron(scene(1, 30, 40), np.ones((8, 8, 1), np.uint8)))
    whole = read_image(tmp_path / f"a{ending}")
    photo = read_image(tmp_path / f"a{ending}", shrink_above=240 * 320 // 4)
    assert photo.size == (120, 160) and whole.size == (240, 320)
    means = whole.pixels.float().reshape(3, 120, 2, 160, 2).mean(dim=(2, 4))
    assert (photo.pixels.float() - means).abs().mean() < 4
    assert "read at 1/2 of its size" in photo.notes[0] and whole.notes == ()


def test_a_long_strip_is_not_shrunk_to_nothing(tmp_path):
    write_image(tmp_path / "a.png", scene(1, 2, 5000))
    assert min(read_image(tmp_path / "a.png", shrink_above=100).size) >= 1


# --- no photographs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"<!DOCTYPE html><html><body>404 Not Found",
            "not a photograph but a web page: .*open the address in a browser",
        ),
        (b'{"error": "not found"}', "not a photograph but text .*download the picture again"),
        (b"%PDF-1.7\n", "not a photograph but a PDF document: save the page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", r"not a photograph but a drawing \(SVG\): export it as a PNG"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42", "not a photograph but a video: save the frame"),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(20), "not a photograph but a camera's raw file: develop it"),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "not a photograph but a camera's raw file: develop it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a photograph but a pointer of Git LFS: .*git lfs pull"),
        (b"PK\x03\x04" + bytes(30), "not a photograph but a ZIP archive: unpack it"),
        (b"\xff\x0a" + bytes(30), "not a photograph but a JPEG XL photograph"),
        (b"words", "not an image, or of a kind that Pillow cannot read"),
    ],
)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "photo"])
def test_what_is_no_photograph_is_said_with_what_to_do(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=f"{name}: {message}"):
        read_pixels(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.txt", "a"])
def test_a_photograph_may_be_called_anything(tmp_path, name):
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "JPEG2000", "TIFF"):
        Image.fromarray(scene(1)).save(tmp_path / "whole", kind)
        (tmp_path / name).write_bytes((tmp_path / "whole").read_bytes())
        assert (read_pixels(tmp_path / name).numpy().transpose(1, 2, 0).astype(float) - scene(1)).mean() < 5


def test_heic_is_read_where_its_reader_is_installed(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif: pip install 'pullback[heic]'")
    pixels = np.kron(scene(1, 8, 10), np.ones((8, 8, 1), np.uint8))
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / "a.heic", quality=95)
    read = read_pixels(tmp_path / "a.heic").numpy().transpose(1, 2, 0)
    assert np.abs(read.astype(float) - pixels).mean() < 8
    (tmp_path / "cut.heic").write_bytes((tmp_path / "a.heic").read_bytes()[:300])
    with pytest.raises(ImageError, match=r"cut\.heic: cannot be decoded"):
        read_pixels(tmp_path / "cut.heic")


def test_heic_without_its_reader_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(30))
    with pytest.raises(ImageSupportError, match=r"a\.heic: HEIC .* pip install 'pullback\[heic\]'") as raised:
        read_pixels(tmp_path / "a.heic")
    assert isinstance(raised.value, UserError)


def test_the_extra_that_heic_names_exists():
    text = (Path(__file__).resolve().parents[3] / "pyproject.toml").read_text()
    assert "\nheic = [" in text


# --- nothing to see


@pytest.mark.parametrize("value", [0, 255, 127, (10, 200, 30)])
def test_a_photograph_of_one_colour_is_told(tmp_path, value):
    pixels = np.zeros((24, 32, 3), np.uint8) + np.array(value, np.uint8)
    write_image(tmp_path / "a.png", pixels)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    for name in ("a.png", "a.jpg"):
        assert read_image(tmp_path / name).notes[0].startswith("there is nothing on it")


def test_noise_of_a_camera_and_a_speck_are_nothing_on_it_either(tmp_path):
    rng = np.random.default_rng(0)
    dark = np.abs(rng.normal(2, 0.7, (200, 200, 3))).round().astype(np.uint8)
    dark[50, 60] = 255
    write_image(tmp_path / "a.png", dark)
    assert "there is nothing on it: all but 0.1% of its pixels" in read_image(tmp_path / "a.png").notes[0]


def test_a_thumbnail_of_a_few_pixels_is_told(tmp_path):
    write_image(tmp_path / "a.png", scene(1, 8, 9))
    assert read_image(tmp_path / "a.png").notes == (
        "it has only 9 × 8 pixels, on which there is next to nothing to match",
    )


def test_a_transparent_picture_is_told_once(tmp_path):
    write_image(tmp_path / "a.png", np.dstack([scene(1), np.zeros((24, 32), np.uint8)]))
    (note,) = read_image(tmp_path / "a.png").notes
    assert "all of it is transparent" in note


def test_photographs_with_something_on_them_are_not_warned_of(tmp_path):
    line = np.full((100, 100, 3), 255, np.uint8)
    line[40:44] = 0
    soft = np.broadcast_to(np.linspace(100, 120, 100)[:, None], (100, 100, 3)).astype(np.uint8)
    for pixels in (scene(1), line, soft):
        write_image(tmp_path / "a.png", pixels)
        assert read_image(tmp_path / "a.png").notes == ()


# --- flows and keypoints


def test_a_flow_of_absurd_size_is_refused_without_reading_it(tmp_path):
    for width, height in ((2_000_000_000, 2_000_000_000), (-1, 5), (1, 0), (100_000, 100_000)):
        (tmp_path / "a.flo").write_bytes(struct.pack("<fii", 202021.25, width, height) + bytes(64))
        with pytest.raises(ImageError, match=rf"a\.flo: 76 bytes, but {width} × {height} pixels make"):
            read_flo(tmp_path / "a.flo")
    with open(tmp_path / "a.flo", "wb") as file:  # sparse: nothing is on the disk
        file.write(struct.pack("<fii", 202021.25, 20_000, 20_000))
        file.truncate(12 + 8 * 20_000 * 20_000)
    with pytest.raises(ImageError, match=r"a\.flo: 20000 × 20000 pixels are too many"):
        read_flo(tmp_path / "a.flo")


def mat(**content) -> bytes:
    file = io.BytesIO()
    savemat(file, content, do_compression=True)
    return file.getvalue()


@pytest.mark.parametrize("name", ["pts_coord", "other"])
def test_a_matlab_file_that_unpacks_to_hundreds_of_megabytes_is_refused_before_it_does(tmp_path, name):
    (tmp_path / "a.mat").write_bytes(mat(**{name: np.zeros((2, 2_000_000))}))
    assert (tmp_path / "a.mat").stat().st_size < 400_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match=r"a\.mat: unpacked, it holds more than 16 MiB"):
        read_mat_keypoints(tmp_path / "a.mat")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 * 1024


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((10, 2)),
        np.full((2, 3), np.nan),
        np.full((2, 3), 1e9),
        np.full((2, 3), 1 + 2j),
        np.zeros((2, 3, 2)),
        np.zeros((2, 150_000)),
        np.array([["a", 1], [2, 3]], dtype=object),
        {"x": [1, 2]},
    ],
    ids=lambda points: getattr(points, "dtype", type(points)),
)
def test_keypoints_of_any_other_form_are_refused_by_name(tmp_path, points):
    savemat(tmp_path / "a.mat", {"pts_coord": points})
    with pytest.raises(ImageError, match=r"a\.mat: "):
        read_mat_keypoints(tmp_path / "a.mat")


def test_a_cell_array_that_says_it_is_huge_is_refused(tmp_path):
    savemat(tmp_path / "a.mat", {"pts_coord": np.array([[1, "b"]], dtype=object)})
    content = (tmp_path / "a.mat").read_bytes()
    wide = content.replace(struct.pack("<ii", 1, 2), struct.pack("<ii", 30_000, 60_000), 1)
    assert wide != content
    (tmp_path / "a.mat").write_bytes(wide)
    with pytest.raises(ImageError, match=r"a\.mat: pts_coord should hold two rows"):
        read_mat_keypoints(tmp_path / "a.mat")


# --- the cases that were reported


@pytest.mark.parametrize(
    ("case", "note"),
    [
        ("png-bad-exif/png_badexif.png", "EXIF data are damaged"),
        ("photo-16bit/thermal.png", "values run from 27028 to 27764"),
        ("photo-endings/a.avif", None),
        ("photo-nothing-on-it/black.png", "there is nothing on it"),
    ],
)
def test_a_reported_photograph_is_read_and_what_is_odd_is_said(case, note):
    if not (CASES / case).is_file():
        pytest.skip(f"needs the reported files: no {CASES / case}")
    photo = read_image(CASES / case)
    assert photo.pixels.float().std() > 20 or note == "there is nothing on it"
    assert any(note in said for said in photo.notes) if note else photo.notes == ()
