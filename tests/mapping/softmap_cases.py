"""Embeddings on which a blur of 1 % gives soft rows, and the float64 answers to compare with."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pullback.mapping import DenseSoftMap
from pullback.types import SoftMap


def curve_embeddings(n2: int, n1: int, p: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points of two noisy samplings of one curve in R^p, float64, in random order, far from the origin.

    Neighbours are about 1/n of the curve apart, so that at 1 % several share a row of the map (random points would
    not).
    """
    generator = torch.Generator().manual_seed(seed)
    phase = torch.rand(p, generator=generator, dtype=torch.float64) * 6
    frequency = 0.5 + torch.rand(p, generator=generator, dtype=torch.float64)

    def sample(n: int) -> Tensor:
        t = torch.rand(n, 1, generator=generator, dtype=torch.float64) * 4
        noise = torch.randn(n, p, generator=generator, dtype=torch.float64)
        return torch.cos(t * frequency + phase) + 1e-3 * noise + 3

    return sample(n2), sample(n1)


@dataclass(frozen=True)
class Answer:
    """A pulled-back function and the gradients of a scalar made of it."""

    feat2: Tensor
    grad_query: Tensor
    grad_reference: Tensor
    grad_feat1: Tensor

    def check_close(self, other: "Answer", *, value: float, grad: float) -> None:
        """Compares in units of the largest entry of the other answer."""
        for name, tolerance in (("feat2", value), ("grad_query", grad), ("grad_reference", grad), ("grad_feat1", grad)):
            mine, theirs = getattr(self, name).double().cpu(), getattr(other, name).double().cpu()
            error = float((mine - theirs).abs().max() / theirs.abs().max())
            assert error <= tolerance, f"{name}: {error:.1e} > {tolerance:.0e}"


def answer(kind: type[SoftMap], query: Tensor, reference: Tensor, feat1: Tensor, sigma: Tensor) -> Answer:
    """What a backend makes of the given tensors, in their dtype."""
    query, reference, feat1 = (x.detach().requires_grad_() for x in (query, reference, feat1))
    feat2 = kind(query=query, reference=reference, sigma=sigma.to(query.dtype)).pull_back(feat1)
    direction = torch.linspace(-1, 1, feat2.numel(), dtype=torch.float64).reshape(feat2.shape).cos()
    (feat2 * direction.to(feat2)).sum().backward()
    return Answer(feat2.detach(), query.grad, reference.grad, feat1.grad)


def dense64(query: Tensor, reference: Tensor, feat1: Tensor, sigma: Tensor) -> Answer:
    """The reference answer: dense, in float64, on exactly the given numbers."""
    return answer(DenseSoftMap, query.double(), reference.double(), feat1.double(), sigma.double())


def one_percent(query: Tensor, reference: Tensor) -> Tensor:
    """A blur of 1 % of the largest distance, found the obvious way."""
    return 0.01 * (query.double()[:, None] - reference.double()[None]).norm(dim=2).max()
