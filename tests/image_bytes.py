"""PNG and TIFF files by hand, of forms that Pillow does not write."""

import struct
import zlib

import numpy as np


def png(values: np.ndarray) -> bytes:
    """A 16-bit PNG by hand: (H, W, 3) colours, which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, {3: 2, 4: 6}[values.shape[2]], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff(values: np.ndarray, order: str, *, sample_format: int = 1, **tags: int) -> bytes:
    """An uncompressed TIFF of (H, W) or (H, W, 3) values by hand, in either order of bytes; further tags by number,
    as ``t274=6``.
    """
    height, width, *colours = values.shape
    samples, bits = (colours or [1])[0], values.dtype.itemsize * 8
    pixels = values.astype(values.dtype.newbyteorder(order)).tobytes()
    entries = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: 2 if samples == 3 else 1,
        273: 8,
        277: samples,
        278: height,
    }
    entries |= {279: len(pixels), 339: sample_format} | {int(name[1:]): value for name, value in tags.items()}
    extra_at = 8 + len(pixels) + 2 + 12 * len(entries) + 4
    directory = struct.pack(order + "H", len(entries))
    for tag, value in sorted(entries.items()):
        if samples == 3 and tag in (258, 339):  # one number for each colour, in a place of their own
            directory += struct.pack(order + "HHII", tag, 3, 3, extra_at + (6 if tag == 339 else 0))
        else:
            directory += struct.pack(order + "HHII", tag, 4, 1, value)
    extra = (
        struct.pack(order + "3H", *[bits] * 3) + struct.pack(order + "3H", *[sample_format] * 3)
        if samples == 3
        else b""
    )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8 + len(pixels)) + pixels + directory + bytes(4) + extra
