"""Soft point maps streamed over blocks: any device, no n2 × n1 matrix, with a backward pass of their own."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from pullback.mapping.distances import column_tiles, full_precision, homogeneous_query, homogeneous_reference
from pullback.mapping.embedding_map import EmbeddingMap
from pullback.mapping.strips import Ids, strips


@dataclass(frozen=True, eq=False)
class BlockedSoftMap(EmbeddingMap):
    """Soft point map that recomputes its weights block by block instead of storing them.

    On a CPU it leaves out what a sharp softmax rounds away: columns whose weight stays below ``eps / (1000 n1)`` of the row's
    largest in each row of a block; all of them together are a thousandth of the rounding error. A block's rows are neighbours in
    the embedding, so that at a blur of 1 % those are 95 % of the columns, and of a large reference set most are ruled out by
    ``Clusters`` before their logits are computed.

    Memory O((n1 + n2)(p + q)), one block and, until the backward pass is done, the ids of the columns that count.
    """

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """Functions on shape 1, carried to shape 2. Raises ValueError for values that do not fit the map."""
        self.check_function(feat1)
        with full_precision(self.query.device):
            return _StreamedSoftmax.apply(self.query, self.reference, feat1, self.sigma)


class _StreamedSoftmax(torch.autograd.Function):
    """The map applied to ``values``, and the gradients, one strip of rows and one block of columns at a time."""

    @staticmethod
    def forward(
        ctx: Any, query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"], values: Float[Tensor, "n1 c"], sigma: Tensor
    ) -> Tensor:
        scale = _Scale.of(reference, sigma)
        near, floor = scale.reference(reference), _log_floor(query.dtype, len(reference))
        out = values.new_empty(len(query), values.shape[1])
        largest, total = query.new_empty(len(query), 1), query.new_empty(len(query), 1)
        ctx.blocks = []
        for rows, x, columns in strips(query, near, lambda rows: scale.query(query, rows), margin=-2 * floor):
            out[rows], largest[rows], total[rows], kept = _forward_strip(x, near, values, columns, floor)
            ctx.blocks.append((rows, kept))
        ctx.save_for_backward(query, reference, values, sigma, out, largest, total)
        ctx.floor = floor
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Float[Tensor, "n2 c"]) -> tuple[Tensor | None, ...]:
        query, reference, values, sigma, out, largest, total = ctx.saved_tensors
        need_query, need_reference, need_values, _ = ctx.needs_input_grad
        grad_query = torch.zeros_like(query, memory_format=torch.contiguous_format) if need_query else None
        grad_reference = reference.new_zeros(len(reference), reference.shape[1] + 1) if need_reference else None
        grad_values = torch.zeros_like(values, memory_format=torch.contiguous_format) if need_values else None
        scale = _Scale.of(reference, sigma)
        with full_precision(query.device):
            near = scale.reference(reference)
            for rows, kept in ctx.blocks:
                x, grad = scale.query(query, rows), grad_out[rows] / total[rows]
                shift = (grad * out[rows]).sum(dim=1, keepdim=True)
                for columns in kept:
                    y = _take(near, columns)
                    weights = _exp((x @ y.T).sub_(largest[rows]), ctx.floor)
                    if grad_values is not None:
                        _add(grad_values, columns, weights.T @ grad)
                    if not (need_query or need_reference):
                        continue
                    grad_logits = (grad @ _take(values, columns).T).sub_(shift).mul_(weights)
                    if grad_query is not None:
                        _add(grad_query, rows, (grad_logits @ y[:, :-1]).div_(sigma))
                    if grad_reference is not None:
                        _add(grad_reference, columns, grad_logits.T @ x)
            return grad_query, None if grad_reference is None else scale.reference_gradient(near, grad_reference), grad_values, None


@dataclass(frozen=True, eq=False)
class _Scale:
    """Between embeddings and coordinates whose inner product is a logit, up to a constant of the row."""

    centre: Float[Tensor, " p"]
    sigma: Float[Tensor, ""]

    @staticmethod
    def of(reference: Float[Tensor, "n1 p"], sigma: Float[Tensor, ""]) -> "_Scale":
        return _Scale(reference.mean(dim=0), sigma)

    def query(self, query: Float[Tensor, "n2 p"], rows: Ids) -> Float[Tensor, "b p+1"]:
        return homogeneous_query((query[rows] - self.centre).div_(self.sigma))

    def reference(self, reference: Float[Tensor, "n1 p"]) -> Float[Tensor, "n1 p+1"]:
        return homogeneous_reference((reference - self.centre).div_(self.sigma))

    def reference_gradient(self, near: Float[Tensor, "n1 d"], grad: Float[Tensor, "n1 d"]) -> Float[Tensor, "n1 d-1"]:
        """By way of the last coordinate ``-|y|²/2``; in place where that saves a copy."""
        near[:, :-1] *= grad[:, -1:]
        return torch.sub(grad[:, :-1], near[:, :-1]).div_(self.sigma)


def _forward_strip(
    x: Float[Tensor, "b d"], near: Float[Tensor, "n1 d"], values: Float[Tensor, "n1 c"], columns: Tensor | None, floor: float
) -> tuple[Tensor, Tensor, Tensor, list[Ids]]:
    """Means of the values, the largest logit and the sum of weights of each row, and the columns that count, in blocks."""
    largest = total = mean = None
    kept: list[Ids] = []
    for tile in column_tiles(len(near) if columns is None else len(columns), x.device):
        block: Ids = tile if columns is None else columns[tile]
        logits = x @ _take(near, block).T
        before, largest = largest, logits.amax(dim=1, keepdim=True)
        if before is not None:
            largest = torch.maximum(before, largest)
        logits -= largest
        part = _columns_above(floor, logits)
        if part is not None:
            logits, block = logits.index_select(1, part), _select(block, part)
        weights = _exp(logits, floor)
        added, added_mean = weights.sum(dim=1, keepdim=True), weights @ _take(values, block)
        if before is None:
            total, mean = added, added_mean
        else:
            shrink = (before - largest).exp_()
            total, mean = total.mul_(shrink).add_(added), mean.mul_(shrink).add_(added_mean)
        kept.append(block)
    return mean.div_(total), largest, total, kept


def _log_floor(dtype: torch.dtype, n1: int) -> float:
    """Log of a weight, relative to the largest of its row, so small that n1 of them are a thousandth of the rounding error."""
    return math.log(torch.finfo(dtype).eps / (1000 * n1))


def _columns_above(floor: float, logits: Float[Tensor, "b n1"]) -> Int[Tensor, " m"] | None:
    """The columns with a weight above the floor in some row; None for all, where too many remain or finding them costs a stop (GPU)."""
    if logits.device.type != "cpu":
        return None
    # NaN compares false both ways, and must be kept for the result to show it.
    columns = (~(logits.amax(dim=0) < floor)).nonzero()[:, 0]
    return columns if len(columns) <= logits.shape[1] // 2 else None


def _exp(logits: Float[Tensor, "b m"], floor: float) -> Float[Tensor, "b m"]:
    """Weights in place, none below the floor: subnormal numbers would slow a CPU's exponential and products tenfold."""
    return logits.clamp_min_(floor).exp_()


def _take(values: Float[Tensor, "n c"], ids: Ids) -> Float[Tensor, "m c"]:
    return values[ids] if isinstance(ids, slice) else values.index_select(0, ids)


def _select(block: Ids, part: Int[Tensor, " m"]) -> Tensor:
    """Ids of some columns of a block, short ones, since they are kept until the backward pass."""
    return (part + block.start).int() if isinstance(block, slice) else block.index_select(0, part)


def _add(total: Float[Tensor, "n c"], ids: Ids, part: Float[Tensor, "m c"]) -> None:
    if isinstance(ids, slice):
        total[ids] += part
    else:
        total.index_add_(0, ids, part)
