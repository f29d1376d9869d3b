"""Functions on a photograph from files: heat maps as pictures or arrays."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import shorten
from pullback.data.image.decoding import ImageError, decode_image
from pullback.data.image.pixels import turn_upright
from pullback.types import Image

HEAT_ENDINGS = (".png", ".npy")


def heat_files_of(folder: Path, stem: str) -> dict[str, Path]:
    """The heat maps of a photograph by their names: ``STEM.NAME.png`` and ``STEM.NAME.npy``; ``STEM.png`` has none.

    Raises ImageError for two files of one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        start, ending = path.name[: -len(path.suffix)] if path.suffix else path.name, path.suffix.lower()
        if ending not in HEAT_ENDINGS or not (start == stem or start.startswith(f"{stem}.")):
            continue
        name = start[len(stem) + 1 :]
        if name in found:
            raise ImageError(f"{found[name]} and {path.name} hold the same heat map; keep one of them")
        found[name] = path
    return found


def read_heat(path: str | Path, photo: Image) -> Float[Tensor, "H W"]:
    """Values >= 0 at the pixels of a photograph: the greys of a PNG, from 0 to 1, or an array of NumPy as it is.

    Raises ImageError for another size than the photograph's, for colours, negative values and values that are not
    finite, and for a file that cannot be read.
    """
    path = Path(path)
    values = _array(path) if path.suffix.lower() == ".npy" else _greys(path)
    if values.ndim != 2 or tuple(values.shape) != photo.size:
        raise ImageError(
            f"{path}: its shape is {tuple(values.shape)}, but {photo.path or photo.name} has {photo.size} pixels "
            "(height, width); save it at the size of the photograph, as it is shown upright"
        )
    if not values.isfinite().all() or values.min() < 0:
        raise ImageError(f"{path}: heat must be finite and not negative; cut it off below 0")
    return values


def _greys(path: Path) -> Float[Tensor, "H W"]:
    found = decode_image(path)
    if found.image.mode in ("RGB", "RGBA", "P", "PA", "LA", "CMYK"):
        raise ImageError(
            f"{path}: has colours or transparency (mode {found.image.mode}); save heat as a grey image, or as .npy"
        )
    values = np.asarray(found.image)
    white = {"1": 1, "F": 1, "L": 255}.get(found.image.mode, 65535)
    return turn_upright(torch.from_numpy(values.astype(np.float32) / white), found.orientation)


def _array(path: Path) -> Float[Tensor, "H W"]:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: cannot be read as an array of NumPy ({error}). Save it with numpy.save") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        raise ImageError(f"{path}: holds no array of numbers. Save it with numpy.save")
    return torch.from_numpy(values.astype(np.float32))


def common_heats(
    heats1: dict[str, Float[Tensor, "H1 W1"]], heats2: dict[str, Float[Tensor, "H2 W2"]], *, where: str
) -> tuple[Float[Tensor, "a H1 W1"], Float[Tensor, "a H2 W2"], tuple[str, ...]]:
    """The functions that both photographs have and that are not 0 everywhere on either, stacked.

    Raises ImageError where there is none.
    """
    names = tuple(name for name in heats1 if name in heats2 and heats1[name].any() and heats2[name].any())
    if not names:
        raise ImageError(
            f"{where}: the photographs have no function in common: {shorten(heats1) or 'none'} and "
            f"{shorten(heats2) or 'none'}"
        )
    return torch.stack([heats1[name] for name in names]), torch.stack([heats2[name] for name in names]), names
