"""Opens files of pictures; what is too large, broken, or no picture is told before anything is unpacked."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageFile, features
from PIL.TiffImagePlugin import TiffImageFile

from pullback.data.image.png_chunks import picture_alone
from pullback.data.image.tiff_values import as_meant, mend_planes, why_unreadable
from pullback.data.kinds import FOREIGN, kind_of_file
from pullback.errors import UserError
from pullback.files import MissingFileError

MOST_PIXELS = 200_000_000  # of a picture: unpacked, they take 1.5 GB
# A small file that unpacks to more than this, and to more than this many pixels for each of its bytes, is made to fill
# the memory.
_BOMB_PIXELS, _BOMB_RATIO = 50_000_000, 200
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "QOI", "PSD")
_BY_ENDING = {".tga": "TGA", ".pcx": "PCX", ".sgi": "SGI"}  # they have no beginning that tells them from anything
_ORIENTATION = 0x0112  # EXIF's tag
_BAD_EXIF = "its EXIF data are damaged, so it is taken as it is stored (is it upright?)"
_BAD_PNG = "what its file says beside the picture is damaged, and left out"
_MESHES = ((b"OFF", ".off"), (b"ply", ".ply"), (b"solid", ".stl"), (b"glTF", ".glb"), (b"v ", ".obj"))
_SMALLER = (
    "Give a smaller copy, from any picture viewer or from: "
    'python -c "from PIL import Image; Image.MAX_IMAGE_PIXELS = None; '
    """Image.open('FILE').convert('RGB').reduce(4).save('small.png')\""""
)


class ImageError(UserError, ValueError):
    """A file that should hold an image, a flow or keypoints, and does not. The message names it and says what to do."""


class ImageSupportError(UserError, ImportError):
    """A kind of image whose reader is not installed. The message says what to install."""


@dataclass(frozen=True)
class Decoded:
    """A picture, unpacked, as it is stored."""

    image: Image.Image
    kind: str | None  # of its file, by its first bytes
    stored_size: tuple[int, int]  # width and height as its file has them, of which a JPEG may be unpacked at a fraction
    # how Pillow was told to read the pixels: ``RGB;16B`` for 16-bit colours, of which it keeps 8; empty where unknown
    raw_mode: str
    orientation: int = 1  # what must be done to see it upright, as EXIF counts it (1: nothing)
    notes: tuple[str, ...] = ()


def decode_image(path: Path, *, shrink: int | None = None, swap_bytes: bool = False) -> Decoded:
    """The first picture of a file.

    ``shrink``: a JPEG may be unpacked at a half, a quarter or an eighth, with no fewer pixels than that.

    ``swap_bytes`` reads 16-bit colours with their two bytes exchanged, so that their low ones come out. Raises
    MissingFileError, ImageError for a file that is empty, too large, cut short or no picture, ImageSupportError for
    HEIC without its reader.
    """
    kind = _known_kind(path)
    with _pillow_is_told_nothing() as said:
        image, mended = (_heic(path), ()) if kind == "HEIC" else _opened(path, kind)
        with image:
            check_size(path, image.size)
            if isinstance(image, TiffImageFile):
                mend_planes(image)
            raw_mode, stored_size = _raw_mode(image), image.size
            if shrink is not None:
                _draft(image, shrink)
            if swap_bytes and isinstance(image, ImageFile.ImageFile):
                image.tile = [tile._replace(args=_swapped(tile.args)) for tile in image.tile]
            _load(path, image)
            found = Decoded(image, kind, stored_size, raw_mode, notes=(*mended, *_frames_note(image)))
            orientation, note = _orientation(image, said)
            if isinstance(image, TiffImageFile):
                found = replace(found, image=as_meant(image))
            if getattr(found.image, "fp", None) is not None:  # Pillow would go back to its file, which is closed now
                found = replace(found, image=found.image.copy())
    return replace(found, orientation=orientation, notes=(*found.notes, *note))


def check_size(path: Path, size: tuple[int, int]) -> None:
    """Raises ImageError for a picture (width, height) of no pixels, or of more than fit into memory."""
    pixels, bytes_of_file = size[0] * size[1], path.stat().st_size
    many = f"{path}: {size[0]:,} × {size[1]:,} pixels"
    if pixels < 1:
        raise ImageError(f"{many}: there is nothing on it. Save it again")
    if pixels > MOST_PIXELS:
        raise ImageError(
            f"{many} are too many (up to {MOST_PIXELS // 10**6} million fit "
            f"into memory); the file may be whole. {_SMALLER}"
        )
    if pixels > _BOMB_PIXELS and pixels > _BOMB_RATIO * bytes_of_file:
        raise ImageError(
            f"{many} in a file of {bytes_of_file:,} bytes: it was made to fill the memory, and is no photograph"
        )


def _known_kind(path: Path) -> str | None:
    """The kind of a file that is there, has bytes, and is not of a kind that no reader here knows."""
    if not path.is_file():
        raise MissingFileError(f"there is no image file {path}" + (": it is a folder" if path.is_dir() else ""))
    if not path.stat().st_size:
        raise ImageError(f"{path}: the file is empty. Copy it again")
    kind = kind_of_file(path)
    if kind in FOREIGN:
        raise ImageError(f"{path}: not a photograph but {kind}: {FOREIGN[kind]}")
    if kind == "AVIF" and not features.check("avif"):
        raise ImageSupportError(f"{path}: AVIF photographs need Pillow 11.3 or later: pip install --upgrade pillow")
    return kind


def _opened(path: Path, kind: str | None) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture with its header read, and a note where something beside it had to be left out for that.

    What Pillow raises for a bad file depends on its format and damage: anything may come.
    """
    Image.init()
    extra = _BY_ENDING.get(path.suffix.lower())
    try:
        return Image.open(path, formats=[name for name in (*_FORMATS, extra) if name in Image.OPEN]), ()
    except PermissionError as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror})") from None
    except Exception as error:
        mended = _mended_png(path) if kind == "PNG" else None
        if mended is None:
            raise (
                _unreadable(path, kind) if isinstance(error, Image.UnidentifiedImageError) else _damaged(path, error)
            ) from None
    return mended, (_BAD_PNG,)


def _mended_png(path: Path) -> Image.Image | None:
    """A PNG without the descriptions that Pillow stumbles over; None where the picture itself is damaged."""
    try:
        alone = picture_alone(path)
        return None if alone is None else Image.open(alone, formats=["PNG"])
    except Exception:
        return None


def _unreadable(path: Path, kind: str | None) -> ImageError:
    """The error for a file that Pillow did not even begin to read."""
    if kind is None:
        with open(path, "rb") as file:
            head = file.read(8)
        ending = next((ending for beginning, ending in _MESHES if head.startswith(beginning)), None)
        if ending is not None:
            return ImageError(f"{path}: not an image. It begins like a mesh: call it {path.stem}{ending} if it is one")
        return ImageError(f"{path}: not an image, or of a kind that Pillow cannot read. Convert it to JPEG or PNG")
    why = why_unreadable(path) if kind == "TIFF" else ""
    if why:
        return ImageError(f"{path}: {why}")
    message = f"not an image that Pillow can read, although it begins as {kind}: damaged, or of a rare form"
    return ImageError(f"{path}: {message}. Copy it again, or convert it to an 8- or 16-bit PNG")


def _load(path: Path, image: Image.Image) -> None:
    try:
        image.load()
    except Exception as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> ImageError:
    if isinstance(error, MemoryError):
        return ImageError(f"{path}: there is not memory enough to unpack it. {_SMALLER}")
    what = " ".join(str(error).split())[:200] or type(error).__name__
    return ImageError(f"{path}: cannot be decoded ({what}). The file is damaged or cut short: copy it again")


def _heic(path: Path) -> Image.Image:
    """A photograph of a telephone, upright."""
    try:
        import pillow_heif
    except ImportError:
        raise ImageSupportError(
            f"{path}: HEIC photographs need the package pillow-heif: pip install 'pullback[heic]'"
        ) from None
    try:
        held = pillow_heif.open_heif(path)
        check_size(path, held.size)
        return held.to_pillow()
    except ImageError:
        raise
    except Exception as error:
        raise _damaged(path, error) from None


def _draft(image: Image.Image, most_pixels: int) -> None:
    times = 8
    while times > 1 and image.size[0] * image.size[1] < most_pixels * times**2:
        times //= 2
    image.draft(None, (image.size[0] // times, image.size[1] // times))


def _raw_mode(image: Image.Image) -> str:
    tile = getattr(image, "tile", None)
    arguments = tile[0].args if tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _swapped(arguments: str | tuple | None) -> str | tuple | None:
    """Pillow's arguments for pixels of 16 bits with the other order of bytes."""
    if isinstance(arguments, tuple):
        return (_swapped(arguments[0]), *arguments[1:])
    return arguments and arguments[:-1] + ("L" if arguments.endswith("B") else "B")


def _frames_note(image: Image.Image) -> tuple[str, ...]:
    try:
        is_animated = image.format != "MPO" and getattr(image, "is_animated", False)
    except Exception:  # a damaged second frame is none of ours
        return ()
    return ("it holds several pictures, of which the first is taken",) if is_animated else ()


def _orientation(image: Image.Image, warned: list[warnings.WarningMessage]) -> tuple[int, tuple[str, ...]]:
    """What EXIF says of up and down; damaged EXIF data say nothing, and are no reason to refuse a photograph."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:
        return 1, (_BAD_EXIF,)
    if isinstance(orientation, int) and 1 <= orientation <= 8:
        return orientation, ()
    said_so = any("exif" in str(warning.message).lower() for warning in warned)
    return 1, (_BAD_EXIF,) if said_so or orientation not in (0, None) else ()


_LOCK = threading.Lock()


@contextmanager
def _pillow_is_told_nothing() -> Iterator[list[warnings.WarningMessage]]:
    """Without Pillow's own limit, for which ours stands, and with its warnings kept instead of shown."""
    with _LOCK, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield said
        finally:
            Image.MAX_IMAGE_PIXELS = limit
