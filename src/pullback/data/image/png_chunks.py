"""The picture alone of a PNG file, without the descriptions around it, one of which may be damaged."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

_BEGINNING = b"\x89PNG\r\n\x1a\n"
_MOST_BYTES, _MOST_CHUNKS = 200_000_000, 100_000
_WANTED = (b"tRNS", b"eXIf")  # what is transparent, and which side is up


def picture_alone(path: Path) -> BytesIO | None:
    """The chunks of a PNG file that no reader may pass over; transparency and EXIF data where they are whole.

    None for a file that is no PNG, or is too large to be mended.
    """
    if path.stat().st_size > _MOST_BYTES:
        return None
    content = path.read_bytes()
    if not content.startswith(_BEGINNING):
        return None
    kept = [chunk for chunk in _chunks(content) if chunk[4:5].isupper() or (chunk[4:8] in _WANTED and _is_whole(chunk))]
    return BytesIO(_BEGINNING + b"".join(kept)) if len(kept) < _MOST_CHUNKS else None


def _chunks(content: bytes) -> Iterator[bytes]:
    """Length, name, content and checksum of each chunk; the last one as far as it goes."""
    at, count = len(_BEGINNING), 0
    while at + 8 <= len(content) and count < _MOST_CHUNKS:
        length = struct.unpack_from(">I", content, at)[0]
        yield content[at : at + 12 + length]
        at, count = at + 12 + length, count + 1


def _is_whole(chunk: bytes) -> bool:
    return struct.pack(">I", zlib.crc32(chunk[4:-4])) == chunk[-4:]
