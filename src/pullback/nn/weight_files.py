"""Files of tensors by PyTorch or safetensors.

Nothing in them is executed, and no more unpacked than they hold.
"""

import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pullback.errors import UserError
from pullback.plain_data import printable

_DEEPEST = 16  # dictionaries in dictionaries
_MOST = 100_000  # tensors and dictionaries
_LONGEST_NAME = 500  # characters
_NUMBERS = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)


class WeightsFileError(UserError, ValueError):
    """A file of tensors is damaged, holds more than tensors and plain data, or claims to be larger than it is."""


class MoreThanTensorsError(WeightsFileError):
    """A file holds objects that only code could make. It was not run."""


def read_tensors(path: str | Path) -> Any:
    """What a file written by ``torch.save`` or safetensors holds, on the CPU.

    Raises WeightsFileError with the reason, without the file's name, MoreThanTensorsError for one that holds code.

    PyTorch's own restricted reader admits tensors and plain containers only. It would unpack a compressed archive
    however large that grows; such an archive is refused, because PyTorch never writes one.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(9)
        if head[8:] == b"{":  # safetensors: the length of its header, and that
            return _safetensors(path)
        if head[:2] == b"PK":
            _check_archive(Path(path))
        return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsFileError:
        raise
    except Exception as error:  # torch reports damaged and foreign files in many ways
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named:
            raise MoreThanTensorsError(
                f"it names {named[1][:100]}, which is more than tensors and plain data"
            ) from error
        raise WeightsFileError(_reason(error)) from error


def _safetensors(path: str | Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise WeightsFileError("it is a file of safetensors, which `pip install safetensors` reads") from None
    return load_file(path, device="cpu")


def _reason(error: Exception) -> str:
    """Why PyTorch reads no tensors, in short and without its advice to let the file execute what it likes."""
    if isinstance(error, EOFError):
        return "it is empty, or ends too early"
    if isinstance(error, pickle.UnpicklingError):
        return "UnpicklingError: it is damaged, or no file of PyTorch"
    first = str(error).strip().split("\n")[0].split(". ")[0]
    return printable(f"{type(error).__name__}: {first[:300]}")


def _check_archive(path: Path) -> None:
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > size:
            raise WeightsFileError(f"it is {size:,} bytes that unpack to {unpacked:,}, which no file by PyTorch does")
        changed = archive.testzip()  # PyTorch reads bytes that have changed without a word
    if changed is not None:
        raise WeightsFileError(f"{changed} has other bytes than were written")


def tensors_of(content: Any, prefix: str = "", *, flat: bool = False) -> Iterator[tuple[str, Tensor]]:
    """All tensors in nested dictionaries by their dotted path, without ``module`` of parallel training.

    ``flat`` takes one dictionary of tensors under their own names, and nothing else. Raises WeightsFileError for
    dictionaries that are nested without reason or in themselves, for names that are none, and for tensors that claim
    more values than the file holds.
    """
    counted = 0

    def found(content: Any, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
        nonlocal counted
        counted += 1
        if depth > _DEEPEST or counted > _MOST:
            raise WeightsFileError(
                f"is nested more than {_DEEPEST} deep or in itself, or holds more than {_MOST:,} entries"
            )
        if isinstance(content, Tensor):
            _check_tensor(prefix, content)
            yield (
                prefix if flat else ".".join(part for part in prefix.split(".") if part not in ("", "module")),
                content,
            )
        elif isinstance(content, Mapping):
            for key, below in content.items():
                if flat and not (isinstance(key, str) and isinstance(below, Tensor)):
                    raise WeightsFileError(
                        f"holds a {type(below).__name__} under {str(key)[:80]!r}, where tensors by name are expected"
                    )
                if isinstance(below, Tensor | Mapping):
                    yield from found(below, f"{prefix}.{_name(key)}".lstrip("."), depth + 1)
        elif flat:
            raise WeightsFileError(f"is a {type(content).__name__}; a mapping of tensors is expected")

    return found(content, prefix, 0)


def _name(key: Any) -> str:
    if not isinstance(key, str | int) or len(str(key)) > _LONGEST_NAME:
        raise WeightsFileError(f"has a name that is none: {str(key)[:80]!r}")
    return str(key)


def _check_tensor(name: str, values: Tensor) -> None:
    """A view that repeats its storage costs nothing in a file, and terabytes where it is copied."""
    if values.layout is not torch.strided or values.device.type != "cpu" or values.is_quantized:
        raise WeightsFileError(f"holds {name} as a {values.layout} tensor on {values.device}; a dense one is expected")
    if values.dtype not in _NUMBERS:
        raise WeightsFileError(f"holds {name} in numbers of the type {values.dtype}, which no network here has")
    if values.numel() * values.element_size() > values.untyped_storage().nbytes():
        raise WeightsFileError(f"claims {values.numel():,} values for {name}, more than it holds")
