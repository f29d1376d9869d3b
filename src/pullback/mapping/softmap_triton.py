"""Soft point maps as fused GPU kernels, which store nothing of size n2 × n1."""

import os
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from pullback.mapping.embedding_map import EmbeddingMap
from pullback.mapping.embeddings import full_precision
from pullback.mapping.fused import has_triton
from pullback.mapping.softmap_blocked import BlockedSoftMap
from pullback.mapping.split_rows import SplitPoints, SplitRows, nonzero, split_rows

_ADVICE = "backend=blocked gives the same map on any device"
# The values, within [-1, 1], and the gradient of the result, in rows of sum of magnitudes 1, are times two to this
# (2^24 together: PRODUCT_SCALE in triton_kernels_backward).
_VALUE_BITS = 12
_LOG2_E = 1.4426950408889634


@dataclass(frozen=True, eq=False)
class TritonSoftMap(EmbeddingMap):
    """Soft point map by an online softmax in Triton, as FlashAttention has it.

    Its products are accurate to float32 (see triton_kernels).

    Memory O((n1 + n2)(p + q)). In float64, which its products are not accurate enough for, it is the blocked map. The
    first map of a pair of widths compiles and times its kernels for some seconds. Raises ImportError or ValueError,
    with what to do, without Triton or for tensors that are not on a CUDA device.
    """

    def __post_init__(self) -> None:
        if not has_triton():
            raise ImportError(f"triton is not installed; it comes with the CUDA builds of PyTorch on Linux. {_ADVICE}")
        if self.query.device.type != "cuda" and not _interpreted():
            raise ValueError(f"backend=triton needs embeddings on a CUDA device, not on {self.query.device}. {_ADVICE}")

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """Functions on shape 1, carried to shape 2. Raises ValueError for values that do not fit the map."""
        self.check_function(feat1)
        if self.query.dtype == torch.float64:
            return BlockedSoftMap(self.query, self.reference, self.sigma).pull_back(feat1)
        if feat1.shape[1] == 0:
            return feat1.new_zeros(self.n2, 0)
        with full_precision(self.query.device):
            return _FusedSoftmax.apply(self.query, self.reference, feat1, self.sigma)


class _FusedSoftmax(torch.autograd.Function):
    """``softmax_j(-|query_i - reference_j|² / (2 sigma²)) @ values`` and its gradients.

    Split rows are made again for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Float[Tensor, "n2 p"],
        reference: Float[Tensor, "n1 p"],
        values: Float[Tensor, "n1 c"],
        sigma: Tensor,
    ) -> Float[Tensor, "n2 c"]:
        from pullback.mapping import triton_kernels_launch as kernels

        points, split = SplitPoints.of(query, reference, padding=torch.inf), _SplitValues.of(values)
        mean, lse = kernels.forward(points, split.rows, _unit(points, sigma))
        out = torch.addcmul(split.centre, mean, split.scale * 2.0**-_VALUE_BITS)
        ctx.save_for_backward(query, reference, values, sigma, out, lse)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Float[Tensor, "n2 c"]) -> tuple[Tensor | None, ...]:
        from pullback.mapping import triton_kernels_launch as kernels

        query, reference, values, sigma, out, lse = ctx.saved_tensors
        need_query, need_reference, need_values, _ = ctx.needs_input_grad
        with full_precision(query.device):
            points, split = SplitPoints.of(query, reference, padding=torch.inf), _SplitValues.of(values)
            grad = grad_out * split.scale
            size = nonzero(grad.abs().sum(dim=1))
            grad_rows = split_rows(grad * (2.0**_VALUE_BITS / size)[:, None])
            delta = (grad_out * (out - split.centre)).sum(dim=1) / size
            rows = {"unit": _unit(points, sigma), "delta": grad_rows.pad(delta, 0.0)}
            # Back to the unit of the embeddings; dℓ/dr = (q - r) / sigma².
            factor = 2.0**-kernels.WEIGHT_BITS / (points.scale * sigma**2)
            grad_query = grad_reference = grad_values = None
            # exp2(logit - lse) is to be 2^WEIGHT_BITS times the weight, and 0 where a row is padding.
            lse = lse - kernels.WEIGHT_BITS
            if need_query:
                rows["lse"] = grad_rows.pad(lse, torch.inf)
                rows["factor"] = grad_rows.pad(size * factor, 0.0)
                grad_query = kernels.backward_query(points, split.rows, rows, grad_rows)
            if need_reference or need_values:
                largest = size.amax()
                rows["lse"] = grad_rows.pad(lse - (size / largest).log2(), torch.inf)
                rows["factor"] = largest * factor
                grad_reference, grad_values = kernels.backward_reference_and_values(
                    points, split.rows, rows, grad_rows, of_reference=need_reference, of_values=need_values
                )
                if grad_values is not None:
                    grad_values *= largest * 2.0 ** -(kernels.WEIGHT_BITS + _VALUE_BITS) / split.scale
        return grad_query, grad_reference, grad_values, None


@dataclass(frozen=True)
class _SplitValues:
    """The functions to be pulled back, each about its mean and within [-1, 1]: a mean of values commutes with both."""

    rows: SplitRows  # times 2^_VALUE_BITS
    centre: Float[Tensor, " c"]
    scale: Float[Tensor, " c"]

    @staticmethod
    def of(values: Float[Tensor, "n1 c"]) -> "_SplitValues":
        centre = values.mean(dim=0)
        centred = values - centre
        scale = nonzero(centred.abs().amax(dim=0))
        return _SplitValues(split_rows(centred * (2.0**_VALUE_BITS / scale)), centre, scale)


def _unit(points: SplitPoints, sigma: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """What turns ``-|q - r|²/2`` of split points into logits in units of ln 2."""
    return (_LOG2_E / (points.scale.double() * sigma.double()) ** 2).float()


def _interpreted() -> bool:
    """Whether Triton is asked to run kernels on the CPU, in its interpreter: for tests, as it is slow."""
    return os.environ.get("TRITON_INTERPRET") == "1"
