"""What a file is, by its first bytes: photographs, what people take for them, and everything else."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tests.image_fakes import scene

from pullback.data.kinds import FOREIGN, kind_of_bytes, kind_of_file, looks_like_image

HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"


@pytest.mark.parametrize(
    ("kind", "ending", "options"),
    [
        ("JPEG", ".jpg", {}),
        ("PNG", ".png", {}),
        ("GIF", ".gif", {}),
        ("BMP", ".bmp", {}),
        ("TIFF", ".tif", {}),
        ("WebP", ".webp", {}),
        ("AVIF", ".avif", {}),
        ("JPEG 2000", ".jp2", {}),
        ("JPEG 2000", ".j2k", {"no_jp2": True}),
        ("PNM", ".ppm", {}),
        ("QOI", ".qoi", {}),
    ],
)
def test_photographs_are_known_by_content_whatever_they_are_called(tmp_path, kind, ending, options):
    Image.fromarray(scene(1)).save(tmp_path / f"a{ending}", **options)
    for name in ("a.off", "photo", "a.txt"):
        (tmp_path / name).write_bytes((tmp_path / f"a{ending}").read_bytes())
        assert kind_of_file(tmp_path / name) == kind
        assert looks_like_image(tmp_path / name)


@pytest.mark.parametrize("ending", [".jfif", ".jpe", ".JPG", ".heic", ".heif", ".avif", ".jp2", ".dng", ".tiff"])
def test_a_file_that_is_not_there_is_told_by_its_ending(tmp_path, ending):
    assert looks_like_image(tmp_path / f"none{ending}")
    assert not looks_like_image(tmp_path / "none.off")
    assert not looks_like_image(tmp_path)
    assert not looks_like_image("a\x00.off")


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"OFF\n3 1 0\n",
            b"ply\nformat ascii 1.0\n",
            b"solid a\n",
            b"# OBJ\nv 0 0 0\n",
            b"glTF\x02\x00\x00\x00",
            b'{"asset": {}}',
        ),
        *(b"v 0 0 0\n", b"3 1\n0 0 0\n", b"BM of a binary STL".ljust(84, b" "), b"P 1 2 3", b"", b"\x1f\x8b\x08"),
        b'<?xml version="1.0"?><VTKFile>',
    ],
)
def test_meshes_are_no_photographs(tmp_path, content):
    (tmp_path / "a.off").write_bytes(content)
    assert not looks_like_image(tmp_path / "a.off")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (HEIC, "HEIC"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00miafheic", "HEIC"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00avifmif1", "AVIF"),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "a camera's raw file"),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00", "a camera's raw file"),
        (b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  ", "a video"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42", "a video"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "a video"),
        (b"\x1aE\xdf\xa3\x01", "a video"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"%!PS-Adobe-3.0", "a PostScript file"),
        (b'<?xml version="1.0"?>\n<svg xmlns="a">', "a drawing (SVG)"),
        (b"<!-- made by hand -->\n<svg>", "a drawing (SVG)"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "a web page"),
        ("<html><body>404".encode("utf-16"), "a web page"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html>', "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "text (JSON or XML)"),
        (b'{"message": "Not Found"}', "text (JSON or XML)"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
        (b"\xff\x0a\x00", "a JPEG XL photograph"),
        (b"hello", None),
    ],
)
def test_a_kind_is_told_by_the_first_bytes(content, kind):
    assert kind_of_bytes(content) == kind
    assert kind is None or kind in ("HEIC", "AVIF") or kind in FOREIGN


def small_tiff(order: str, tags: dict[int, int]) -> bytes:
    """A TIFF file whose first directory has these tags, each of one 32-bit number."""
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    return mark + struct.pack(order + "IH", 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tags", [{254: 1, 330: 400}, {50706: 0x01040000}, {254: 0, 262: 32803}])
def test_a_raw_file_of_a_camera_is_no_tiff_photograph(tmp_path, order, tags):
    (tmp_path / "a.tif").write_bytes(small_tiff(order, tags))
    assert kind_of_file(tmp_path / "a.tif") == "a camera's raw file"
    (tmp_path / "b.tif").write_bytes(small_tiff(order, {254: 0, 262: 2}))
    assert kind_of_file(tmp_path / "b.tif") == "TIFF"


def test_no_beginning_of_any_bytes_is_an_error(tmp_path):
    rng = np.random.default_rng(0)
    for mark in (b"II*\x00", b"MM\x00*", b"RIFF", b"\x00\x00\x00\x18ftyp", b"BM", b"", b"<"):
        for length in range(0, 60, 7):
            (tmp_path / "a").write_bytes(mark + rng.bytes(length))
            kind_of_file(tmp_path / "a")


def test_asking_for_a_kind_imports_nothing_heavy():
    code = "import sys, pullback.data.kinds; print([name for name in ('torch', 'PIL', 'numpy') if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
