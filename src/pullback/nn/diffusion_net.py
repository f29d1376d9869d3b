"""DiffusionNet (Sharp, Attaiki, Crane & Ovsjanikov, 2022) with spectral diffusion, one shape at a time.

Diffused functions lie in the span of the first k eigenfunctions. Their gradients are therefore taken from the gradients
of those eigenfunctions, once a shape: no sparse product is left inside the blocks, nor in the backward pass.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pullback.ranges import at_least, within
from pullback.subnormal import without_dust
from pullback.types import Shape


class SpectralOperators(NamedTuple):
    """What the blocks need of a shape: projection to, and synthesis of values and gradients from, k coefficients."""

    evals: Float[Tensor, " k"]
    project: Float[Tensor, "k n"]
    evecs: Float[Tensor, "n k"]
    grad_x_evecs: Float[Tensor, "n k"]
    grad_y_evecs: Float[Tensor, "n k"]


def spectral_operators(shape: Shape, *, k: int) -> SpectralOperators:
    """Operators of the first k eigenfunctions. Raises ValueError when fewer are stored."""
    basis = shape.basis.first(k)
    evecs = basis.evecs.contiguous()
    project = (evecs * basis.mass[:, None]).T
    with torch.no_grad(), torch.autocast(evecs.device.type, enabled=False):
        return SpectralOperators(basis.evals, project, evecs, shape.grad_x @ evecs, shape.grad_y @ evecs)


class LearnedDiffusion(nn.Module):
    """Heat diffusion with one learned time t ≥ 0 for each channel: coefficients are damped by ``exp(-λ t)`` (eq. 4)."""

    def __init__(self, width: int, *, time_init: str):
        super().__init__()
        if time_init == "zero":
            times = torch.zeros(width)
        # lengths √t from 1 % to 30 % of √area: every scale is there from the first step
        elif time_init == "log_uniform":
            times = torch.empty(width)
            if not times.is_meta:  # tried without memory, the power would import torch._dynamo: seconds
                times = 10 ** torch.linspace(-4, -1, width)
        else:
            raise ValueError(f"time_init={time_init!r} is unknown; use zero or log_uniform")
        self.times = nn.Parameter(times)

    def forward(self, coeffs: Float[Tensor, "k c"], evals: Float[Tensor, " k"]) -> Float[Tensor, "k c"]:
        return without_dust(coeffs * torch.exp(-evals[:, None] * _AtLeast.apply(self.times, 1e-8)))


class _AtLeast(torch.autograd.Function):
    """``values.clamp_min(floor)``, with gradients that lift values from the floor, where a clamp's own are 0."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, floor: float) -> Tensor:
        ctx.save_for_backward(values <= floor)
        return values.clamp_min(floor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (below,) = ctx.saved_tensors
        return grad.masked_fill(below & (grad > 0), 0), None


class GradientProducts(nn.Module):
    """Learned inner products of gradients (eq. 7): ``tanh(Re⟨u, A u⟩)``.

    u is the tangent vector of each channel as a complex number.

    ``variant="complex"`` applies A = A_re + i A_im as a complex matrix: features do not depend on the choice of tangent
    frame, and tell a shape from its mirror image. ``"ulrssm"`` is the form of another published code base, ``Im(A u) :=
    A_re x + A_im y``, needed to load its weights.
    """

    def __init__(self, width: int, *, variant: str):
        super().__init__()
        if variant not in ("complex", "ulrssm"):
            raise ValueError(f"gradient_features={variant!r} is unknown; use complex, ulrssm or null")
        self.variant = variant
        self.a_re = nn.Linear(width, width, bias=False)
        self.a_im = nn.Linear(width, width, bias=False)

    def forward(self, x: Float[Tensor, "n c"], y: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
        re = self.a_re(x) - self.a_im(y)
        im = self.a_re(y) + self.a_im(x) if self.variant == "complex" else self.a_re(x) + self.a_im(y)
        return torch.tanh(x * re + y * im)


class DiffusionNetBlock(nn.Module):
    """Diffusion, gradient products and a pointwise MLP on all of them, added to the input."""

    def __init__(self, width: int, *, gradient_features: str | None, dropout: float, time_init: str):
        super().__init__()
        self.diffusion = LearnedDiffusion(width, time_init=time_init)
        self.products = GradientProducts(width, variant=gradient_features) if gradient_features else None
        layers: list[nn.Module] = []
        for i, size in enumerate([width * (3 if gradient_features else 2), width, width]):
            if i > 0:
                layers.append(nn.ReLU())
            if i > 0 and dropout > 0:
                layers.append(nn.Dropout(dropout))
            layers.append(nn.Linear(size, width))
        self.mlp = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "n c"], operators: SpectralOperators) -> Float[Tensor, "n c"]:
        coeffs = self.diffusion(operators.project @ x, operators.evals)
        parts = [x, operators.evecs @ coeffs]
        if self.products is not None:
            parts.append(self.products(operators.grad_x_evecs @ coeffs, operators.grad_y_evecs @ coeffs))
        return x + self.mlp(torch.cat(parts, dim=1))


class DiffusionNet(nn.Module):
    """Features at the vertices from input features at the vertices.

    Independent of the triangulation and of rigid motions.
    """

    eigenfunctions: ClassVar[str] = "k"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 128,
        n_blocks: int = 4,
        k: int = 128,
        gradient_features: str | None = "complex",
        dropout: float = 0.0,
        time_init: str = "zero",
    ):
        super().__init__()
        at_least(1, in_channels=in_channels, out_channels=out_channels, width=width, k=k)
        at_least(0, n_blocks=n_blocks)
        within(0, 1, dropout=dropout)
        self.k = k
        self.first = nn.Linear(in_channels, width)
        self.blocks = nn.ModuleList(
            DiffusionNetBlock(width, gradient_features=gradient_features, dropout=dropout, time_init=time_init)
            for _ in range(n_blocks)
        )
        self.last = nn.Linear(width, out_channels)

    def forward(self, inputs: Float[Tensor, "n c"], shape: Shape) -> Float[Tensor, "n d"]:
        operators = spectral_operators(shape, k=self.k)
        x = self.first(inputs)
        for block in self.blocks:
            x = block(x, operators)
        # Soft maps compare features in full precision: the last layer keeps it under autocast as well.
        with torch.autocast(x.device.type, enabled=False):
            return self.last(x.to(self.last.weight.dtype))
