"""Files of tensors by PyTorch, read without executing what is in them and without unpacking more than they hold."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from pullback.errors import UserError


class WeightsFileError(UserError, ValueError):
    """A file of tensors is damaged, holds more than tensors and plain data, or claims to be larger than it is."""


def read_tensors(path: str | Path) -> Any:
    """What a file written by ``torch.save`` holds, on the CPU. Raises WeightsFileError with the reason, without the file's name.

    PyTorch's own restricted reader admits tensors and plain containers only. It would unpack a compressed archive however large that
    grows; such an archive is refused, because PyTorch never writes one.
    """
    try:
        with open(path, "rb") as file:
            is_archive = file.read(2) == b"PK"
        if is_archive:
            _check_archive(Path(path))
        return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsFileError:
        raise
    except Exception as error:  # torch reports damaged and foreign files in many ways
        first = str(error).strip().split("\n")[0]
        raise WeightsFileError(f"{type(error).__name__}: {first[:300]}") from error


def _check_archive(path: Path) -> None:
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > size:
        raise WeightsFileError(f"it is {size:,} bytes that unpack to {unpacked:,}, which no file by PyTorch does")
