"""Reading photographs, masks, flows and keypoints. The only place where Matlab's pixels, counted from 1, become ours."""

import struct
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from pullback.errors import UserError
from pullback.types import Photo

_MAGIC = 202021.25  # begins every .flo file; spells PIEH in little-endian ASCII
_LARGEST_FLOW = 1e9  # the format's own limit: components beyond it mean "unknown"
_WIDE = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # modes of 16-bit grey files


class ImageError(UserError, ValueError):
    """A file that should hold an image, a flow or keypoints, and does not. The message names it and says what to do."""


def read_photo(
    path: str | Path,
    *,
    name: str | None = None,
    category: str = "",
    mask: Bool[Tensor, "H W"] | None = None,
    box: Float[Tensor, "4"] | None = None,
) -> Photo:
    """A photograph from its file (see ``read_pixels``), called as the file is unless it has another ``name``.

    Raises ImageError when the mask has another size.
    """
    path = Path(path)
    pixels = read_pixels(path)
    if mask is not None and mask.shape != pixels.shape[1:]:
        sizes = f"{mask.shape[1]} × {mask.shape[0]} pixels, the photograph {pixels.shape[2]} × {pixels.shape[1]}"
        raise ImageError(f"{path}: its mask has {sizes}. Give them the same size, or copy both again")
    return Photo(path.stem if name is None else name, pixels, category, mask, box)


def read_pixels(path: str | Path) -> UInt8[Tensor, "3 H W"]:
    """Red, green and blue of a photograph, turned upright as its EXIF data say.

    Grey, palette, CMYK and 16-bit files become 8-bit RGB; what is transparent is laid on white. Of a file with several frames the
    first. Raises FileNotFoundError, and ImageError for a file that is empty, cut short, or no image.
    """
    rgb = _rgb(ImageOps.exif_transpose(_opened(Path(path))), Path(path))
    return torch.from_numpy(np.array(rgb, dtype=np.uint8)).permute(2, 0, 1).contiguous()


def read_mask(path: str | Path) -> Bool[Tensor, "H W"]:
    """The pixels of a mask: those greater than 0, so 0/1, 0/255, soft edges and numbered objects alike. Raises as ``read_pixels``."""
    image = _opened(Path(path))
    if image.mode in ("RGBA", "LA", "PA"):
        raise ImageError(f"{path}: a mask with transparency says two things at once; save it as a grey image, 0 outside of the object")
    values = torch.from_numpy(np.array(image) > 0)
    return values if values.ndim == 2 else values.any(dim=2)


def read_disparity(path: str | Path) -> Float[Tensor, "H W"]:
    """Disparities in pixels from a 16-bit PNG that stores 256 times the disparity and 0 for unknown (KITTI's form); unknown is NaN."""
    image = _opened(Path(path))
    if image.mode not in _WIDE:
        raise ImageError(f"{path}: disparities are read from 16-bit grey PNG files, but this one has the mode {image.mode}")
    values = torch.from_numpy(np.array(image).astype(np.float32)) / 256
    return torch.where(values > 0, values, torch.nan)


def write_disparity(path: str | Path, disparity: Float[Tensor, "H W"]) -> None:
    """The inverse of ``read_disparity``, rounded to 1/256 pixel. Raises ValueError for disparities that do not fit: above 255.99."""
    stored = (disparity.nan_to_num(0.0) * 256).round()
    if stored.min() < 0 or stored.max() > 65535:
        raise ValueError(f"{path}: disparities run from {stored.min() / 256:.1f} to {stored.max() / 256:.1f}, the format from 0 to 255.99")
    Image.fromarray(stored.numpy().astype(np.uint16)).save(path)


def write_photo(path: str | Path, pixels: UInt8[Tensor, "3 H W"], *, quality: int = 90) -> None:
    """A photograph as JPEG or PNG, by the suffix. ``quality`` from 1 to 95 is JPEG's, with full colour resolution."""
    options = {"quality": quality, "subsampling": 0, "optimize": True} if Path(path).suffix.lower() in (".jpg", ".jpeg") else {}
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path, **options)


def write_mask(path: str | Path, mask: Bool[Tensor, "H W"]) -> None:
    """A mask as a PNG of one bit a pixel."""
    Image.fromarray(mask.numpy()).save(path, optimize=True)


def read_flo(path: str | Path) -> Float[Tensor, "2 H W"]:
    """The displacements (x, y) in pixels of a Middlebury ``.flo`` file, unknown ones as they are (see ``is_known_flow``).

    Raises FileNotFoundError, and ImageError for another kind of file and for one that is cut short or too long.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no flow file {path}")
    content = path.read_bytes()
    if len(content) < 12:
        raise ImageError(f"{path}: {len(content)} bytes hold no flow, whose header alone has 12. Copy the file again")
    magic, width, height = struct.unpack("<fii", content[:12])
    if magic != _MAGIC:
        raise ImageError(f"{path}: begins with {content[:4]!r}, but a Middlebury flow with b'PIEH'. Is it another format?")
    expected = 12 + 8 * width * height
    if width < 1 or height < 1 or len(content) != expected:
        what = "cut short" if len(content) < expected else "damaged"
        raise ImageError(f"{path}: {len(content)} bytes, but {width} × {height} pixels make {expected}: it is {what}. Copy it again")
    values = np.frombuffer(content, dtype="<f4", offset=12).reshape(height, width, 2)
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1).contiguous()


def write_flo(path: str | Path, flow: Float[Tensor, "2 H W"]) -> None:
    """A flow as a Middlebury ``.flo`` file."""
    _, height, width = flow.shape
    values = flow.permute(1, 2, 0).cpu().numpy().astype("<f4")
    Path(path).write_bytes(struct.pack("<fii", _MAGIC, width, height) + values.tobytes())


def is_known_flow(flow: Float[Tensor, "2 H W"]) -> Bool[Tensor, "H W"]:
    """The pixels whose flow is a number: finite, and below 10⁹ pixels in both directions as the ``.flo`` format asks."""
    return (flow.isfinite() & (flow.abs() < _LARGEST_FLOW)).all(dim=0)


def read_mat_keypoints(path: str | Path, *, key: str = "pts_coord") -> Float[Tensor, "t 2"]:
    """Keypoints (x, y) from a Matlab file, one column each under ``key``; Matlab's first pixel is (1, 1), ours (0, 0).

    Raises FileNotFoundError, and ImageError for another kind of file and for values that are no keypoints.
    """
    from scipy.io import loadmat

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no keypoint file {path}")
    try:
        content = loadmat(path)
    except Exception as error:  # scipy's own errors, and those of zlib, struct, numpy … for damaged files
        raise ImageError(f"{path}: cannot be read as a Matlab file ({error or type(error).__name__}). Copy it again") from None
    if key not in content:
        there = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise ImageError(f"{path}: keypoints are looked for under {key}, but the file holds {there}")
    points = np.asarray(content[key])
    if points.ndim != 2 or points.shape[0] != 2 or not np.issubdtype(points.dtype, np.number) or not np.isfinite(points).all():
        raise ImageError(f"{path}: {key} should hold two rows of finite numbers, x and y, but is {points.dtype} of shape {points.shape}")
    return torch.from_numpy((points.T - 1).astype(np.float32))


def _opened(path: Path) -> Image.Image:
    """The decoded image. What Pillow raises for a bad file depends on its format and damage, hence the long list."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no image file {path}")
    if not path.stat().st_size:
        raise ImageError(f"{path}: the file is empty. Copy it again")
    try:
        image = Image.open(path)
        image.load()
    except Image.UnidentifiedImageError:
        raise ImageError(f"{path}: not an image, or of a kind that Pillow cannot read. Convert it to JPEG or PNG") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: cannot be decoded ({error}). The file is damaged or cut short: copy it again") from None
    return image


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in _WIDE:
        values = np.array(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f"{path}: grey values from {values.min()} to {values.max()} are no photograph's; save it with 8 or 16 bits")
        return Image.fromarray((values / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ImageError(f"{path}: floating-point values have no agreed white; save it as an 8-bit JPEG or PNG")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
