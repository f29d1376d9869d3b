"""Soft point maps streamed over rows: any device, no n2 × n1 matrix, with a backward pass of their own."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from pullback.mapping.distances import full_precision, homogeneous, row_panels
from pullback.mapping.embedding_map import EmbeddingMap


@dataclass(frozen=True, eq=False)
class BlockedSoftMap(EmbeddingMap):
    """Soft point map that recomputes its weights block by block instead of storing them.

    On a CPU it leaves out what a sharp softmax rounds away: columns whose weight stays below ``eps / (1000 n1)`` of the row's
    largest in each row of a block; all of them together are a thousandth of the rounding error. At a blur of 1 % those are
    90 % of the columns (if the order of the points is local, as that of meshes is; a random order takes up to twice the time).
    All but the logits becomes that much cheaper, the backward pass above all.

    Memory O((n1 + n2)(p + q)), one block of rows and, until the backward pass is done, the ids of the columns that count.
    """

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """Functions on shape 1, carried to shape 2. Raises ValueError for values that do not fit the map."""
        self.check_function(feat1)
        with full_precision(self.query.device):
            query, reference = homogeneous(self.query / self.sigma, self.reference / self.sigma)
            return _StreamedSoftmax.apply(query, reference, feat1)


class _StreamedSoftmax(torch.autograd.Function):
    """``softmax(query @ reference.T, dim=1) @ values`` and its gradients, one strip of rows at a time."""

    @staticmethod
    def forward(ctx: Any, query: Float[Tensor, "n2 d"], reference: Float[Tensor, "n1 d"], values: Float[Tensor, "n1 c"]) -> Tensor:
        out = values.new_empty(len(query), values.shape[1])
        largest, total = query.new_empty(len(query), 1), query.new_empty(len(query), 1)
        floor = _log_floor(query.dtype, len(reference))
        strips: list[tuple[slice, Tensor | None]] = []
        for rows in row_panels(len(query), len(reference), query.device):
            logits = query[rows] @ reference.T
            torch.amax(logits, dim=1, keepdim=True, out=largest[rows])
            logits -= largest[rows]
            columns = _columns_above(floor, logits)
            weights = _exp(logits if columns is None else logits.index_select(1, columns), floor)
            torch.sum(weights, dim=1, keepdim=True, out=total[rows])
            torch.mm(weights, _take(values, columns), out=out[rows])
            strips.append((rows, columns))
        out /= total
        ctx.save_for_backward(query, reference, values, out, largest, total)
        ctx.strips, ctx.floor = strips, floor
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Float[Tensor, "n2 c"]) -> tuple[Tensor | None, ...]:
        query, reference, values, out, largest, total = ctx.saved_tensors
        need_query, need_reference, need_values = ctx.needs_input_grad
        grad_query = torch.zeros_like(query)
        grad_reference = torch.zeros_like(reference) if need_reference else None
        grad_values = torch.zeros_like(values) if need_values else None
        with full_precision(query.device):
            grad_out = grad_out / total
            shift = (grad_out * out).sum(dim=1, keepdim=True)
            for rows, columns in ctx.strips:
                near, grad = _take(reference, columns), grad_out[rows]
                weights = _exp((query[rows] @ near.T).sub_(largest[rows]), ctx.floor)
                if grad_values is not None:
                    _add_product(grad_values, columns, weights.T, grad)
                if not (need_query or need_reference):
                    continue
                grad_logits = (grad @ _take(values, columns).T).sub_(shift[rows]).mul_(weights)
                torch.mm(grad_logits, near, out=grad_query[rows])
                if grad_reference is not None:
                    _add_product(grad_reference, columns, grad_logits.T, query[rows])
        return grad_query if need_query else None, grad_reference, grad_values


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


def _take(values: Float[Tensor, "n c"], columns: Int[Tensor, " m"] | None) -> Float[Tensor, "m c"]:
    return values if columns is None else values.index_select(0, columns)


def _add_product(
    total: Float[Tensor, "n c"], columns: Int[Tensor, " m"] | None, left: Float[Tensor, "m b"], right: Float[Tensor, "b c"]
) -> None:
    if columns is None:
        total.addmm_(left, right)
    else:
        total.index_add_(0, columns, left @ right)
