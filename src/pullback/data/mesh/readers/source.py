"""What every reader of meshes gets and gives: a file's bytes; the mesh, with what was remarkable."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Float, Int
from numpy import ndarray

from pullback.brief import OneLine
from pullback.files import decoded, read_bytes
from pullback.geometry.cleaning import MeshError

if TYPE_CHECKING:
    from pullback.data.mesh.looks.look import Look

ADVICE = "The file is damaged or truncated: copy or export it again"

_PACKED = b"\x1f\x8b"
# A file that unpacks to more than this, and to so many times its size, is made to fill the memory.
_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO = 64 << 20, 200
_MOST_BYTES = 8 << 30


@dataclass(frozen=True, repr=False)
class FileMesh(OneLine):
    """The mesh of a file, as it is there."""

    verts: Float[ndarray, "n 3"]
    faces: Int[ndarray, "f 3"]
    notes: tuple[str, ...] = ()  # what was left out, or taken to be meant otherwise than it is written
    look: "Look | None" = None  # of a mesh that is in no file; that of a file is read when it is needed


@dataclass(frozen=True)
class Source:
    """The bytes of a file."""

    path: Path
    data: bytes

    @classmethod
    def of(cls, path: Path) -> "Source":
        """The file, unpacked if it is gzipped.

        Raises MeshError for an empty, damaged or suspicious one, and as ``read_bytes``.
        """
        data = read_bytes(path, what="mesh file")
        if data.startswith(_PACKED) or path.suffix.lower() == ".gz":
            data = _unpacked(path, data)
        if not data or data.isspace():
            raise MeshError(f"{path}: the file is empty. Copy or export it again")
        return cls(path, data)

    def error(self, what: str, *, line: int | None = None, advice: str = ADVICE) -> MeshError:
        where = "" if line is None else f", line {line}"
        return MeshError(f"{self.path}{where}: {what}. {advice}")

    def as_text(self) -> "Source":
        """The same text in UTF-8, without byte order mark. Raises MeshError for damaged UTF-16 or UTF-32."""
        if self.data.isascii() and b"\0" not in self.data[:1000]:
            return self
        try:
            return replace(self, data=decoded(self.data).encode())
        except UnicodeError as error:
            raise self.error(f"begins like UTF-16 or UTF-32 text, but is not ({error})") from None

    def lines(self) -> Iterator[tuple[int, str]]:
        """Number and text of each line, whatever ends it.

        Raises MeshError at a zero byte outside of comments: that is no text.
        """
        text = self.as_text().data.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        for number, line in enumerate(text.split("\n"), start=1):
            if "\0" in line.split("#", 1)[0]:
                raise self.error("a zero byte, which no text file has", line=number)
            yield number, line


def inner_suffix(path: Path) -> str:
    """``.off`` for ``a.off``, ``A.OFF`` and ``a.off.gz``."""
    path = Path(path.name.lower())
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def bare_name(path: Path) -> str:
    """``a`` for ``a.off`` and ``a.off.gz``."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def _unpacked(path: Path, data: bytes) -> bytes:
    most = min(_MOST_BYTES, max(_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO * len(data)))
    if not data.startswith(_PACKED):
        raise MeshError(f"{path}: is called .gz but is not gzipped. Rename it, or pack it again")
    pieces, size = [], 0
    while data.startswith(_PACKED):  # a file may hold several packed pieces, one after the other
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            pieces.append(unpacker.decompress(data, most + 1 - size))
        except zlib.error as error:
            raise MeshError(f"{path}: cannot be unpacked ({error}). {ADVICE}") from None
        size += len(pieces[-1])
        if size > most:
            raise MeshError(
                f"{path}: unpacks to more than {most >> 20} MB. If it is what you want, unpack it yourself with gunzip"
            )
        if not unpacker.eof:
            raise MeshError(f"{path}: its packed content ends too early. {ADVICE}")
        data = unpacker.unused_data
    return b"".join(pieces)
