"""Soft point maps streamed over blocks: any device, no n2 × n1 matrix, with a backward pass of their own."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from pullback.mapping.embedding_map import EmbeddingMap
from pullback.mapping.embeddings import column_tiles, full_precision, homogeneous_query, homogeneous_reference
from pullback.mapping.parallel import in_order, run_alone
from pullback.mapping.strips import Ids, Strips


@dataclass(frozen=True, eq=False)
class BlockedSoftMap(EmbeddingMap):
    """Soft point map that recomputes its weights block by block instead of storing them.

    On a CPU it leaves out what a sharp softmax rounds away: columns whose weight stays below ``eps / (1000 n1)`` of the
    row's largest in each row of a block; all of them together are a thousandth of the rounding error. A block's rows
    are neighbours in the embedding, so that at a blur of 1 % those are 95 % of the columns, and of a large reference
    set most are ruled out by ``Clusters`` before their logits are computed.

    On a CPU as many threads as PyTorch has share out the rows, each with kernels of one thread; the bits do not depend
    on their number. Memory O((n1 + n2)(p + q)), one block for each thread and, until the backward pass is done, the ids
    of the columns that count.
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
        ctx: Any,
        query: Float[Tensor, "n2 p"],
        reference: Float[Tensor, "n1 p"],
        values: Float[Tensor, "n1 c"],
        sigma: Tensor,
    ) -> Tensor:
        out, largest, total, ctx.blocks = run_alone(lambda: _carried(query, reference, values, sigma), query.device)
        ctx.save_for_backward(query, reference, values, sigma, out, largest, total)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Float[Tensor, "n2 c"]) -> tuple[Tensor | None, ...]:
        query, reference, values, sigma, out, largest, total = ctx.saved_tensors

        def collect() -> _Gradients:
            gradients = _Gradients.of(query, reference, values, sigma, ctx.needs_input_grad)
            gradients.collect(ctx.blocks, grad_out, out, largest, total)
            return gradients

        with full_precision(query.device):
            gradients = run_alone(collect, query.device)
        return gradients.query, gradients.reference, gradients.values, None


def _carried(
    query: Float[Tensor, "n2 p"],
    reference: Float[Tensor, "n1 p"],
    values: Float[Tensor, "n1 c"],
    sigma: Float[Tensor, ""],
) -> tuple[Tensor, Tensor, Tensor, list[tuple[Ids, list[Ids]]]]:
    """Means of the values, largest logit and sum of weights of each row; strips with the columns that count."""
    scale = _Scale.of(reference, sigma)
    near, floor = scale.reference(reference), _log_floor(query.dtype, len(reference))
    out = values.new_empty(len(query), values.shape[1])
    largest, total = query.new_empty(len(query), 1), query.new_empty(len(query), 1)

    def carry(rows: Ids, x: Float[Tensor, "b d"], columns: Tensor | None) -> tuple[Ids, list[Ids]]:
        out[rows], largest[rows], total[rows], kept = _forward_strip(x, near, values, columns, floor)
        return rows, kept

    return (
        out,
        largest,
        total,
        Strips.of(query, near, lambda rows: scale.query(query, rows), margin=-2 * floor).each(carry),
    )


@dataclass(eq=False)
class _Gradients:
    """The gradients that are wanted; strips add those of reference and values in their order."""

    scale: "_Scale"
    near: Float[Tensor, "n1 d"]
    embedding: Float[Tensor, "n2 p"]
    carried: Float[Tensor, "n1 c"]
    query: Float[Tensor, "n2 p"] | None
    reference: Float[Tensor, "n1 _"] | None  # in homogeneous coordinates until all strips are done
    values: Float[Tensor, "n1 c"] | None

    @staticmethod
    def of(query: Tensor, reference: Tensor, values: Tensor, sigma: Tensor, wanted: Sequence[bool]) -> "_Gradients":
        """Zeros where a gradient is wanted, of query, reference and values."""
        scale = _Scale.of(reference, sigma)
        near = scale.reference(reference)
        starts = [torch.zeros_like(x, memory_format=torch.contiguous_format) for x in (query, near, values)]
        return _Gradients(
            scale, near, query, values, *(x if want else None for x, want in zip(starts, wanted, strict=False))
        )

    def collect(
        self, blocks: list[tuple[Ids, list[Ids]]], grad_out: Tensor, out: Tensor, largest: Tensor, total: Tensor
    ) -> None:
        """Adds up the gradients of all strips."""
        floor = _log_floor(self.embedding.dtype, len(self.near))

        def parts(block: tuple[Ids, list[Ids]]) -> Iterator[tuple[Ids, Tensor | None, Tensor | None]]:
            rows, kept = block
            grad = grad_out[rows] / total[rows]
            shift = (grad * out[rows]).sum(dim=1, keepdim=True)
            return self._of_strip(rows, kept, grad, shift, largest[rows], floor)

        in_order(parts, blocks, self._add)
        if self.reference is not None:
            self.reference = self.scale.reference_gradient(self.near, self.reference)

    def _of_strip(
        self,
        rows: Ids,
        kept: list[Ids],
        grad: Float[Tensor, "b c"],
        shift: Float[Tensor, "b 1"],
        largest: Tensor,
        floor: float,
    ) -> Iterator[tuple[Ids, Tensor | None, Tensor | None]]:
        """``(columns, gradient of values, gradient of reference)`` of each block of columns.

        Adds the query's gradient, which no other block touches.
        """
        x = self.scale.query(self.embedding, rows)
        for columns in kept:
            y = _take(self.near, columns)
            weights = _exp((x @ y.T).sub_(largest), floor)
            of_values = None if self.values is None else weights.T @ grad
            of_reference = None
            if self.query is not None or self.reference is not None:
                grad_logits = (grad @ _take(self.carried, columns).T).sub_(shift).mul_(weights)
                if self.query is not None:
                    _add(self.query, rows, (grad_logits @ y[:, :-1]).div_(self.scale.sigma))
                if self.reference is not None:
                    of_reference = grad_logits.T @ x
            yield columns, of_values, of_reference

    def _add(self, part: tuple[Ids, Tensor | None, Tensor | None]) -> None:
        columns, of_values, of_reference = part
        if self.values is not None and of_values is not None:
            _add(self.values, columns, of_values)
        if self.reference is not None and of_reference is not None:
            _add(self.reference, columns, of_reference)


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
    x: Float[Tensor, "b d"],
    near: Float[Tensor, "n1 d"],
    values: Float[Tensor, "n1 c"],
    columns: Tensor | None,
    floor: float,
) -> tuple[Tensor, Tensor, Tensor, list[Ids]]:
    """Means of the values, largest logit and sum of weights of each row; the columns that count, in blocks."""
    found: tuple[Tensor, Tensor, Tensor] | None = None
    kept: list[Ids] = []
    for tile in column_tiles(len(near) if columns is None else len(columns), x.device):
        block: Ids = tile if columns is None else columns[tile]
        logits = x @ _take(near, block).T
        largest = logits.amax(dim=1, keepdim=True)
        if found is not None:
            largest = torch.maximum(found[0], largest)
        logits -= largest
        part = _columns_above(floor, logits)
        if part is not None:
            logits, block = logits.index_select(1, part), _select(block, part)
        weights = _exp(logits, floor)
        total, mean = weights.sum(dim=1, keepdim=True), weights @ _take(values, block)
        if found is not None:
            before, total_before, mean_before = found
            shrink = (before - largest).exp_()
            total, mean = total_before.mul_(shrink).add_(total), mean_before.mul_(shrink).add_(mean)
        found = largest, total, mean
        kept.append(block)
    assert found is not None  # there is a column
    largest, total, mean = found
    return mean.div_(total), largest, total, kept


def _log_floor(dtype: torch.dtype, n1: int) -> float:
    """Log of a relative weight so small that n1 of them are a thousandth of the rounding error."""
    return math.log(torch.finfo(dtype).eps / (1000 * n1))


def _columns_above(floor: float, logits: Float[Tensor, "b n1"]) -> Int[Tensor, " m"] | None:
    """The columns with a weight above the floor in some row.

    None for all, where too many remain or finding them costs a stop (GPU).
    """
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
