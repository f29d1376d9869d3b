"""Launching the fused kernels: their grids, and the tiles to try on a device."""

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
import triton
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.split_rows import Pieces, SplitPoints, SplitRows
from pullback.mapping.triton_kernels import extreme, soft_forward
from pullback.mapping.triton_kernels_backward import grad_query, grad_reference_and_values

# Rows of the block that a program holds, rows that stream past it, warps and pipeline stages, best first. Those that do
# not fit a device are left out, and the first few of the rest timed, once for each pair of widths: each of them costs
# seconds to compile.
_TILES = (
    (128, 128, 8, 2), (128, 64, 8, 2), (64, 64, 4, 2), (128, 32, 8, 2), (64, 64, 8, 2),
    (64, 32, 4, 2), (64, 32, 8, 1), (32, 32, 4, 1), (32, 16, 4, 1),
)  # fmt: skip
_TIMED = 4
# Float32 numbers that a thread can hold of sums and tiles, beside addresses and operands, before some spill to memory.
_NUMBERS = 170
# Whether tiles below rounding are left out: the branch costs more than it saves where few are.
SKIPS = (True, False)
# log2 of all weights, relative to the largest of a row, that may be left out of it together.
FLOOR_BITS = -26.0
# log2 of the factor of weights in the backward kernels.
WEIGHT_BITS = 14
# Under TRITON_INTERPRET=1 kernels run on the CPU, where there is nothing to time.
_INTERPRETED = not isinstance(soft_forward, triton.JITFunction)


def forward(
    points: SplitPoints, values: SplitRows, unit: Float[Tensor, ""]
) -> tuple[Float[Tensor, "n2 c"], Float[Tensor, " n2"]]:
    """Weighted means of the values, and the log2-sum-exp2 of the logits ``-unit |q - r|²/2``."""
    query, reference = points.query, points.reference
    out = unit.new_empty(query.n, values.columns)
    lse = unit.new_empty(query.n)
    arguments = [
        query.halves,
        points.query_norm,
        reference.halves,
        points.reference_norm,
        values.halves,
        unit,
        out,
        lse,
    ]
    sizes = [query.n, reference.n, query.rows, reference.rows, values.columns, _floor(reference.n)]
    options = {**_widths("D", query.pieces), **_widths("C", values.pieces)}
    _launch(soft_forward, [*arguments, *sizes], _programs(query.n, "BM", values.pieces.groups), options)
    return out, lse


def nearest_rows(points: SplitPoints) -> Int[Tensor, " n2"]:
    """The reference row nearest to each query row, the first of equal sums.

    Equal rows need not have equal sums, see ``nearest``.
    """
    return _extreme(points, torch.empty(points.query.n, dtype=torch.long, device=points.scale.device), farthest=False)


def farthest_half_squares(points: SplitPoints) -> Float[Tensor, " n2"]:
    """``min_j -|q_i - r_j|²/2`` for each query row, in the unit of the split points; these need a padding of -inf."""
    return _extreme(points, points.scale.new_empty(points.query.n), farthest=True)


def _extreme(points: SplitPoints, found: Tensor, *, farthest: bool) -> Tensor:
    query, reference = points.query, points.reference
    arguments: list[Tensor | int] = [query.halves, points.query_norm, reference.halves, points.reference_norm, found]
    arguments += [query.n, reference.n, query.rows, reference.rows]
    _launch(extreme, arguments, _programs(query.n, "BM", 1), {**_widths("D", query.pieces), "FARTHEST": farthest})
    return found


def backward_query(
    points: SplitPoints, values: SplitRows, rows: Mapping[str, Tensor], grad_out: SplitRows
) -> Float[Tensor, "n2 p"]:
    """``factor_i Σ_j dS_ij (r_j - q_i)``; ``rows`` has unit, lse, delta and factor."""
    query, reference = points.query, points.reference
    out = points.scale.new_empty(query.n, query.columns)
    arguments = [
        query.halves,
        points.query_norm,
        reference.halves,
        points.reference_norm,
        values.halves,
        grad_out.halves,
    ]
    arguments += [rows[name] for name in ("unit", "lse", "delta", "factor")]
    options = {**_widths("D", query.pieces), **_widths("C", values.pieces)}
    sizes = [query.n, reference.n, query.rows, reference.rows, query.columns, _floor(reference.n) + WEIGHT_BITS]
    _launch(grad_query, [*arguments, out, *sizes], _programs(query.n, "BM", query.pieces.groups), options)
    return out


def backward_reference_and_values(
    points: SplitPoints,
    values: SplitRows,
    rows: Mapping[str, Tensor],
    grad_out: SplitRows,
    *,
    of_reference: bool,
    of_values: bool,
) -> tuple[Float[Tensor, "n1 p"] | None, Float[Tensor, "n1 c"] | None]:
    """``factor Σ_i dS_ij (q_i - r_j)`` and ``Σ_i P_ij G_i``, where they are asked for."""
    query, reference = points.query, points.reference
    out_reference = points.scale.new_empty((reference.n, reference.columns) if of_reference else 0)
    out_values = points.scale.new_empty((values.n, values.columns) if of_values else 0)
    arguments: list[Tensor | float] = [
        query.halves,
        points.query_norm,
        reference.halves,
        points.reference_norm,
        values.halves,
        grad_out.halves,
    ]
    arguments += [rows[name] for name in ("unit", "lse", "delta", "factor")]
    arguments += [
        out_reference,
        out_values,
        query.n,
        reference.n,
        query.rows,
        reference.rows,
        reference.columns,
        values.columns,
    ]
    arguments += [_floor(query.n) + WEIGHT_BITS]
    options = {
        **_widths("D", query.pieces),
        **_widths("C", values.pieces),
        "OF_REFERENCE": of_reference,
        "OF_VALUES": of_values,
    }
    groups = max(query.pieces.groups * of_reference, values.pieces.groups * of_values)
    _launch(grad_reference_and_values, arguments, _programs(reference.n, "BN", groups), options)
    return out_reference if of_reference else None, out_values if of_values else None


def _floor(n: int) -> float:
    """log2 of a weight so small that n of them are rounded away."""
    return FLOOR_BITS - math.log2(n)


def _widths(letter: str, cut: Pieces) -> dict[str, int]:
    return {f"{letter}_MAIN": cut.main, f"{letter}_TAIL": cut.tail, f"{letter}_GROUPS": cut.groups}


def _programs(n: int, tile: str, groups: int) -> Callable[[Mapping[str, Any]], tuple[int, int]]:
    """The grid that covers n rows in tiles whose size is chosen later, for each group of columns."""
    return lambda meta: (triton.cdiv(n, meta[tile]), groups)


def _launch(
    kernel: Any, arguments: list[Any], grid: Callable[[Mapping[str, Any]], tuple[int, int]], options: dict[str, Any]
) -> None:
    if _INTERPRETED:
        skip = {"SKIP": SKIPS[0]} if "SKIP" in kernel.arg_names else {}
        kernel[grid](*arguments, **options, **skip, BM=64, BN=64)
    else:
        with torch.cuda.device(arguments[0].device):
            _tuned(kernel)[grid](*arguments, **options)


@cache
def _tuned(kernel: Any) -> Any:
    """The kernel with its choice of tiles."""
    held, streamed = ("BN", "BM") if kernel is grad_reference_and_values else ("BM", "BN")
    skips = [{"SKIP": skip} for skip in SKIPS] if "SKIP" in kernel.arg_names else [{}]
    configs = [
        triton.Config({held: rows, streamed: columns, **skip}, num_warps=warps, num_stages=stages)
        for rows, columns, warps, stages in _TILES
        for skip in skips
    ]
    widths = ("D_MAIN", "D_TAIL", "D_GROUPS", "C_MAIN", "C_TAIL", "C_GROUPS", "OF_REFERENCE", "OF_VALUES")
    key = [name for name in widths if name in kernel.arg_names]

    def fitting(configs: list[Any], arguments: Mapping[str, Any], **options: Any) -> list[Any]:
        """The first few that fit shared memory and registers; the smallest where none does."""
        device = triton.runtime.driver.active.utils.get_device_properties(torch.cuda.current_device())
        limits = {"shared": device["max_shared_mem"], "numbers": _NUMBERS}
        fit = [each for each in configs if _within(limits, kernel, each, {**arguments, **options})]
        return fit[:_TIMED] or configs[-1:]

    return triton.autotune(configs, key, prune_configs_by={"early_config_prune": fitting})(kernel)


def _within(limits: Mapping[str, int], kernel: Any, config: Any, options: Mapping[str, Any]) -> bool:
    """Whether a kernel's tiles fit.

    Estimates, close to what the compiler reports for 144 columns on compute capability 9.0.
    """
    rows, columns = config.kwargs["BM"], config.kwargs["BN"]
    d, c = (
        min(options.get(f"{x}_GROUPS", 0), 1) * options.get(f"{x}_MAIN", 0) + options.get(f"{x}_TAIL", 0) for x in "DC"
    )
    held, sums, tiles = d, c, 2.0  # of the forward pass
    if kernel is extreme:
        sums, tiles = 0, 3.0
    elif kernel is grad_query:
        held, sums, tiles = d + c, d, 2.5
    elif kernel is grad_reference_and_values:
        rows, columns = columns, rows
        held, tiles = d + c * options["OF_REFERENCE"], 2.5
        sums = d * options["OF_REFERENCE"] + c * options["OF_VALUES"]
    shared = 4 * (rows * held + config.num_stages * columns * (d + c))
    numbers = (rows * sums + tiles * rows * columns) / (32 * config.num_warps)
    return shared <= limits["shared"] and numbers <= limits["numbers"]
