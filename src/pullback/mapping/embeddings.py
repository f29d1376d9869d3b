"""What every comparison of two sets of embeddings needs.

Full precision, panels of bounded size, homogeneous coordinates, and the checks of what comes in.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.types import Movable

# Distances or logits that exist at a time. On a CPU few enough rows for neighbours to have much in common, and in all
# what its caches hold; on a GPU up to 128 MB, so that it is busy.
_CPU_ROWS = 64
_CPU_ELEMENTS = 2**20
# Where all columns are needed at once; 64 MB in float64.
_CPU_PANEL = 2**23
_GPU_ELEMENTS = 2**25


@dataclass(frozen=True, eq=False)
class Embedded(Movable):
    """Points of both shapes in one space: what maps 2 → 1 are made of, be they soft or to the nearest point."""

    query: Float[Tensor, "n2 p"]  # points of shape 2
    reference: Float[Tensor, "n1 p"]  # points of shape 1, in the same space

    @property
    def n1(self) -> int:
        return self.reference.shape[0]

    @property
    def n2(self) -> int:
        return self.query.shape[0]


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Inside, matrix products keep the dtype of their inputs: no autocast, no TF32, no bfloat16 passes.

    Restored on leaving.

    A blur of 1 % of the largest distance makes logits of -5000: TF32 would be wrong by about 5 nats, bfloat16 by 40.
    The setting is one for all threads: the first that enters changes it, and the last that leaves restores it.
    """
    with torch.autocast(device.type, enabled=False):
        _INSIDE.enter()
        try:
            yield
        finally:
            _INSIDE.leave()


class _FullPrecision:
    """Counts the threads that need full precision, and keeps what was set before."""

    def __init__(self) -> None:
        self._lock, self._count, self._before = threading.Lock(), 0, dict[str, str]()

    def enter(self) -> None:
        with self._lock:
            if self._count == 0:
                self._before = _get_matmul_precision()
                _set_matmul_precision(dict.fromkeys(self._before, "highest" if "" in self._before else "ieee"))
            self._count += 1

    def leave(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                _set_matmul_precision(self._before)


_INSIDE = _FullPrecision()


def _get_matmul_precision() -> dict[str, str]:
    """The float32 precision of matrix products by backend.

    Under the name "" before PyTorch 2.9, which has one setting for all.
    """
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        return {"": torch.get_float32_matmul_precision()}
    # The single setting cannot even be read once somebody has used those of the backends.
    names = [name for name in ("cuda", "mkldnn") if hasattr(getattr(torch.backends, name), "matmul")]
    return {name: getattr(torch.backends, name).matmul.fp32_precision for name in names}


def _set_matmul_precision(precisions: dict[str, str]) -> None:
    for name, precision in precisions.items():
        if name == "":
            torch.set_float32_matmul_precision(precision)
        else:
            getattr(torch.backends, name).matmul.fp32_precision = precision


def row_panels(n_rows: int, n_columns: int, device: torch.device) -> Iterator[slice]:
    """Slices of rows, each small enough that a panel (rows, n_columns) may exist at once."""
    if device.type == "cpu":
        return _slices(n_rows, max(1, min(_CPU_ROWS, _CPU_PANEL // n_columns)))
    return _slices(n_rows, max(_CPU_ROWS, _GPU_ELEMENTS // n_columns))


def row_strips(n_rows: int, n_columns: int, device: torch.device) -> Iterator[slice]:
    """Slices of rows, each small enough that a panel (rows, one of ``column_tiles``) may exist at once."""
    return row_panels(n_rows, min(n_columns, _tile_width(device)), device)


def column_tiles(n_columns: int, device: torch.device) -> Iterator[slice]:
    """Slices of columns, so that the memory of a panel does not grow with the size of the reference."""
    return _slices(n_columns, _tile_width(device))


def _tile_width(device: torch.device) -> int:
    return _CPU_ELEMENTS // _CPU_ROWS if device.type == "cpu" else _GPU_ELEMENTS // _CPU_ROWS


def _slices(n: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def homogeneous(
    query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"]
) -> tuple[Float[Tensor, "n2 p+1"], Float[Tensor, "n1 p+1"]]:
    """Coordinates whose inner product is ``(|q|² - |q - r|²) / 2``: a distance up to a row's constant.

    What a softmax or an argmax over the reference needs, free of the constant |q|². Both sets are moved to the mean of
    the reference first, since rounding grows with |q||r|; the mean is a constant for autograd, as distances do not feel
    it.
    """
    centre = reference.detach().mean(dim=0)
    return homogeneous_query(query - centre), homogeneous_reference(reference - centre)


def homogeneous_query(query: Float[Tensor, "n2 p"]) -> Float[Tensor, "n2 p+1"]:
    return torch.cat([query, torch.ones_like(query[:, :1])], dim=1)


def homogeneous_reference(reference: Float[Tensor, "n1 p"]) -> Float[Tensor, "n1 p+1"]:
    return torch.cat([reference, -0.5 * torch.linalg.vecdot(reference, reference)[:, None]], dim=1)


def check_embeddings(query: Tensor, reference: Tensor) -> None:
    """Raises ValueError, with both values, unless the two sets lie in one space in one dtype."""
    for name, embedding in (("query", query), ("reference", reference)):
        if embedding.ndim != 2:
            raise ValueError(f"{name} has shape {tuple(embedding.shape)}; embeddings are (points, columns)")
        if 0 in embedding.shape:
            raise ValueError(f"{name} is empty: its shape is {tuple(embedding.shape)}")
        if embedding.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"{name} is {_dtype_name(embedding)}: distances need float32 or float64, pass {name}.float()"
            )
    if query.shape[1] != reference.shape[1]:
        raise ValueError(
            f"query has {query.shape[1]} columns but reference has {reference.shape[1]}; both must live in one space"
        )
    check_same_kind(query, reference, names=("query", "reference"))


def check_same_kind(first: Tensor, second: Tensor, *, names: tuple[str, str]) -> None:
    """Raises ValueError, naming both, when two tensors differ in dtype or device."""
    if first.dtype != second.dtype:
        raise ValueError(
            f"{names[0]}: {_dtype_name(first)}, {names[1]}: {_dtype_name(second)}; convert one with .to(dtype)"
        )
    if first.device != second.device:
        raise ValueError(
            f"{names[0]}: device {first.device}, {names[1]}: device {second.device}; move one with .to(device)"
        )


def _dtype_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
