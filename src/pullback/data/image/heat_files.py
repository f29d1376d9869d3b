"""Functions on a photograph from files: heat maps as pictures or arrays."""

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import shorten
from pullback.data.image.decoding import ImageError, decode_image
from pullback.data.image.masks import SAME_SHAPE
from pullback.data.image.pixels import turn_upright
from pullback.data.kinds import IMAGE_ENDINGS
from pullback.types import Image

HEAT_ENDINGS = (*IMAGE_ENDINGS, ".npy")


def heat_files(folder: Path, stems: Iterable[str]) -> tuple[dict[str, dict[str, Path]], list[Path]]:
    """By the stems of photographs their heat maps by name, and the files of the folder that belong to none.

    ``STEM.NAME.png`` and ``STEM.NAME.npy`` are called NAME; the one of ``STEM.png`` has no name. Raises ImageError for
    two files of one name.
    """
    known = {_composed(stem): stem for stem in stems}
    found: dict[str, dict[str, Path]] = {stem: {} for stem in known.values()}
    strays = []
    for path in sorted(folder.glob("[!.]*")):
        words = _composed(path.name.removesuffix(path.suffix)).split(".")
        starts = (".".join(words[:length]) for length in range(len(words), 0, -1))  # that of a.2.png is a.2, if any
        start = next((start for start in starts if start in known), None)
        if start is None or path.suffix.lower() not in HEAT_ENDINGS:
            strays.append(path)
            continue
        of_photo, name = found[known[start]], ".".join(words)[len(start) + 1 :]
        if name in of_photo:
            raise ImageError(f"{of_photo[name]} and {path.name} hold the same heat map; keep one of them")
        of_photo[name] = path
    return found, strays


def _composed(name: str) -> str:
    """One spelling of letters with accents, which some systems write as two characters."""
    return unicodedata.normalize("NFC", name)


def read_heat(path: str | Path, photo: Image) -> Float[Tensor, "H W"]:
    """Values >= 0 at the pixels of a photograph: the greys of a picture, from 0 to 1, or an array of NumPy as it is.

    One of another size but the same proportions is resized. Raises ImageError for other proportions than the
    photograph's, for colours, negative values and values that are not finite, and for a file that cannot be read.
    """
    path = Path(path)
    values = _array(path) if path.suffix.lower() == ".npy" else _greys(path)
    if values.ndim != 2 or not values.numel() or not _is_like(tuple(values.shape), photo.size):
        raise ImageError(
            f"{path}: its shape is {tuple(values.shape)}, but {photo.path or photo.name} has {photo.size} pixels "
            "(height, width); save it at the size of the photograph, as it is shown upright, or with its proportions"
        )
    if not values.isfinite().all() or values.min() < 0:
        raise ImageError(f"{path}: heat must be finite and not negative; cut it off below 0")
    return values if tuple(values.shape) == photo.size else _resized(values, photo.size)


def _is_like(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether a map has the proportions of a photograph, to a row or column of its own."""
    (rows, columns), (height, width) = shape, size
    skew = abs(np.log(rows * width / (columns * height)))
    return (bool(skew <= max(SAME_SHAPE, 1 / min(rows, columns))) and min(rows, columns) > 1) or shape == size


def _resized(values: Float[Tensor, "h w"], size: tuple[int, int]) -> Float[Tensor, "H W"]:
    larger = torch.nn.functional.interpolate(values[None, None], size, mode="bilinear", antialias=True)
    return larger[0, 0].clamp_min(0)


def _greys(path: Path) -> Float[Tensor, "H W"]:
    """The greys of a picture; one that is stored as colours has to be grey everywhere."""
    found = decode_image(path)
    image = found.image.convert("RGBA") if found.image.mode in ("RGB", "RGBA", "P", "PA", "LA") else found.image
    if image.mode == "CMYK":
        raise ImageError(f"{path}: is in CMYK, a mode for print; save heat as a grey image, or as .npy")
    values = np.asarray(image)
    if image.mode == "RGBA":
        if (values[..., 1:3] != values[..., :1]).any() or (values[..., 3] != 255).any():
            what = "colours" if (values[..., 1:3] != values[..., :1]).any() else "transparency"
            raise ImageError(f"{path}: has {what} (mode {found.image.mode}); save heat as a grey image, or as .npy")
        values = values[..., 0]
    white = {"1": 1, "F": 1, "L": 255, "RGBA": 255}.get(image.mode, 65535)
    return turn_upright(torch.from_numpy(values.astype(np.float32) / white), found.orientation)


def _array(path: Path) -> Float[Tensor, "H W"]:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: cannot be read as an array of NumPy ({error}). Save it with numpy.save") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        raise ImageError(f"{path}: holds no array of numbers. Save it with numpy.save")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    with np.errstate(over="ignore"):  # what a float32 cannot hold is not finite, which is told
        return torch.from_numpy(values.astype(np.float32))


def heats_alone(heats1: Mapping[str, Float[Tensor, "H W"]], *, where: str) -> tuple[Tensor, tuple[str, ...]]:
    """The functions of a photograph that are not 0 everywhere, stacked. Raises ImageError where all are."""
    names = tuple(name for name in heats1 if heats1[name].any())
    if not names:
        raise ImageError(f"{where}: the heat of image 1 is 0 everywhere: there is nothing to carry. Remove it")
    return torch.stack([heats1[name] for name in names]), names


def common_heats(
    heats1: Mapping[str, Float[Tensor, "H1 W1"]], heats2: Mapping[str, Float[Tensor, "H2 W2"]], *, where: str
) -> tuple[Float[Tensor, "a H1 W1"], Float[Tensor, "a H2 W2"], tuple[str, ...]]:
    """The functions that both photographs have and that are not 0 everywhere on either, stacked.

    Raises ImageError where there is none.
    """
    shared = [name for name in heats1 if name in heats2]
    names = tuple(name for name in shared if heats1[name].any() and heats2[name].any())
    if not names:
        both = f"{_listed(heats1)} and {_listed(heats2)}"
        zero = "; of what both have, one is 0 everywhere" if shared else ""
        raise ImageError(f"{where}: the photographs have no function in common: {both}{zero}")
    return torch.stack([heats1[name] for name in names]), torch.stack([heats2[name] for name in names]), names


def _listed(heats: Mapping[str, Tensor]) -> str:
    return shorten(name or "the one without a name" for name in heats) or "none"
