"""What a file is by its first bytes, whatever it is called.

Imports nothing heavy, so that commands may ask before they begin.
"""

import re
import struct
from pathlib import Path
from typing import BinaryIO

IMAGE_ENDINGS = (
    *(
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".apng",
        ".gif",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
        ".webp",
        ".avif",
        ".heic",
        ".heif",
    ),
    *(
        ".jp2",
        ".j2k",
        ".jpx",
        ".j2c",
        ".jpc",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".mpo",
        ".tga",
        ".pcx",
        ".sgi",
        ".qoi",
        ".psd",
    ),
)
_AS_IMAGE = "save it as a JPEG or PNG and give that"
_RAW = f"develop it with the camera's program (or darktable, RawTherapee), {_AS_IMAGE}"
# Kinds that people take for photographs, and what to do with them.
FOREIGN = {
    "a camera's raw file": _RAW,
    "a video": "save the frame that you want as a JPEG or PNG (ffmpeg -i VIDEO -frames:v 1 frame.png) and give that",
    "a PDF document": "save the page or the picture that you want as a JPEG or PNG and give that",
    "a PostScript file": _AS_IMAGE,
    "a drawing (SVG)": "export it as a PNG of the size that you want and give that",
    "a JPEG XL photograph": f"Pillow cannot read that: {_AS_IMAGE}",
    "a Photoshop document of more than 30,000 pixels (PSB)": _AS_IMAGE,
    "a web page": "the download failed or needs a login: open the address in a browser, and save the picture itself",
    "text (JSON or XML)": (
        "a server answered with a message instead of the picture: read the file, and download the picture again"
    ),
    "a pointer of Git LFS": "the picture was never downloaded: type `git lfs pull` in its repository",
    "a ZIP archive": "unpack it and give the picture inside",
    "a compressed file (gzip)": "unpack it with gunzip and give the picture inside",
}
_RAW_ENDINGS = (
    ".cr2",
    ".cr3",
    ".crw",
    ".nef",
    ".nrw",
    ".arw",
    ".srf",
    ".sr2",
    ".dng",
    ".orf",
    ".rw2",
    ".raf",
    ".pef",
    ".srw",
    ".x3f",
)
_BEGINNINGS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"qoif", "QOI"),
    (b"8BPS\x00\x01", "PSD"),
    (b"8BPS\x00\x02", "a Photoshop document of more than 30,000 pixels (PSB)"),
    (b"\xff\x0a", "a JPEG XL photograph"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL photograph"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file"),
    *(
        (mark, "a camera's raw file")
        for mark in (b"IIRO", b"IIRS", b"MMOR", b"IIU\x00", b"FOVb", b"II\x1a\x00\x00\x00HEAPCCDR")
    ),
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"\x1aE\xdf\xa3", "a video"),  # Matroska, WebM
    (b"\x00\x00\x01\xba", "a video"),  # MPEG
    (b"\x00\x00\x01\xb3", "a video"),
    (b"FLV\x01", "a video"),
    (b"OggS", "a video"),
    (b"0&\xb2u\x8ef\xcf\x11", "a video"),  # Windows Media
    (b"version https://git-lfs", "a pointer of Git LFS"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a compressed file (gzip)"),
)
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"hevm", b"hevs")
_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_READ = 4096  # bytes that tell a kind


def looks_like_image(path: str | Path) -> bool:
    """Whether a file is for the readers of photographs, by its first bytes.

    By its ending where those say nothing, or it is not there.

    True as well for what is no photograph and no mesh either (a video, a PDF …): the readers of photographs say what to
    do with it.
    """
    kind = kind_of_file(path)
    if kind in (
        "a ZIP archive",
        "a compressed file (gzip)",
        "a web page",
        "text (JSON or XML)",
        "a pointer of Git LFS",
    ):
        kind = None  # anything may hide in these
    return kind is not None or Path(path).suffix.lower() in (*IMAGE_ENDINGS, *_RAW_ENDINGS)


def kind_of_file(path: str | Path) -> str | None:
    """The kind of a file of pictures (``JPEG``, ``PNG`` … or one of ``FOREIGN``).

    None where it is unknown, or cannot be read.
    """
    path = Path(path)
    try:
        if not path.is_file():  # reading a pipe would wait for who writes to it
            return None
        with open(path, "rb") as file:
            head = file.read(_READ)
            kind = kind_of_bytes(head)
            if kind == "TIFF" and (path.suffix.lower() in _RAW_ENDINGS or _is_raw(file, head)):
                return "a camera's raw file"
    except (OSError, ValueError):  # ValueError: a name with a zero in it
        return None
    return kind


def kind_of_bytes(head: bytes) -> str | None:
    """The kind of a file of pictures by its beginning; None where it is unknown."""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head.startswith(_TIFF):
        return "a camera's raw file" if head[8:10] == b"CR" else "TIFF"
    if head[:4] == b"RIFF" and len(head) >= 12:
        return {b"WEBP": "WebP", b"AVI ": "a video"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[:2] == b"BM" and len(head) >= 18 and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return "BMP"
    if re.match(rb"P[1-6][\s#]", head):
        return "PNM"
    return _text(head)


def _iso_media(head: bytes) -> str:
    """The kind of a file of ISO's base media format, by its brands."""
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), len(head)), 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if head[8:12] == b"crx ":
        return "a camera's raw file"
    return "HEIC" if brands & set(_HEIF_BRANDS) else "a video"


def _text(head: bytes) -> str | None:
    """The kind of a file of words that people take for a picture."""
    text = head.replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()  # zeros: UTF-16
    if re.match(
        rb"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype html|<html|<head|<body|<title|<script)", text, re.DOTALL
    ):
        return "a web page"
    if re.match(rb"(<\?xml|<!doctype svg|<!--|<svg)", text):
        return "a drawing (SVG)" if b"<svg" in text else "text (JSON or XML)"
    if re.match(rb'\{\s*("|\})|\[\s*["{\]]', text):
        return "text (JSON or XML)"
    return None


def _is_raw(file: BinaryIO, head: bytes) -> bool:
    """Whether a TIFF file is a camera's: a small first picture beside others, a sensor's pattern, or a DNG."""
    order = "<" if head[:2] == b"II" else ">"
    if head[2:4] not in (b"*\x00", b"\x00*") or len(head) < 8:
        return False
    file.seek(struct.unpack(order + "I", head[4:8])[0])
    count = struct.unpack(order + "H", file.read(2).ljust(2, b"\x00"))[0]
    entries = file.read(12 * min(count, 512))
    tags = {}
    for at in range(0, len(entries) - 11, 12):
        tag, form, _ = struct.unpack(order + "HHI", entries[at : at + 8])
        tags[tag] = struct.unpack(
            order + ("H" if form == 3 else "I"), entries[at + 8 : at + (10 if form == 3 else 12)]
        )[0]
    is_reduced, has_others = bool(tags.get(254, 0) & 1), 330 in tags
    return 50706 in tags or tags.get(262) == 32803 or (is_reduced and has_others)
