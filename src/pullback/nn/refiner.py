"""The feature refiner gR (Cheng et al. 2024, after the attention of DPFM): two photographs look at each other.

One small network for each pair of a batch: weights carry a leading pair dimension and are plain tensors, drawn anew for
every pair from its own generator, so that many optimisations run side by side without touching each other.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import relu, scaled_dot_product_attention

from pullback.mapping.patch_batch import PaddedPatches, stack_padded
from pullback.ranges import at_least

ENCODINGS = ("grid", "raster", "none")
# The frequencies of the grid encoding are those of a photograph with this many patches a side, the usual size.
GRID_UNITS = 60.0
Weights = dict[str, Float[Tensor, "p ..."]]


class RefinerSide(NamedTuple):
    """One photograph of each pair, as the network sees it."""

    feat: Float[Tensor, "p n c"]
    encoded: Float[Tensor, "p n c"]  # with the position added
    present: Bool[Tensor, "p n"] | None  # None: all rows are
    keys: Int[Tensor, "p m"] | None  # the rows that the other photograph attends to; None: all
    keys_present: Bool[Tensor, "p m"] | None


class Refiner:
    """Options of gR, its initial weights, and its forward pass.

    Features plus a sinusoidal encoding of the position → linear → ``layers`` times: ``x1 += f(x1, x2)``, then ``x2 +=
    f(x2, x1)`` with the new x1 → linear. f is multi-head attention from one photograph to the other, its message put
    beside x and through a two-layer MLP with instance norm over the photograph's own patches and ReLU. All weights are
    shared by both photographs.

    encoding: ``"grid"`` half of the channels for the column, half for the row, as fractions of the photograph;
    ``"raster"`` the row-major index, as released (it misaligns photographs of different width); ``"none"``. skip: add
    the input to the output and start with a zero last layer: the refiner is the identity at first (not in the paper).
    keys: attend to that many patches, drawn at random once for each photograph; None: to all.
    """

    def __init__(
        self,
        *,
        hidden: int = 512,
        heads: int = 4,
        layers: int = 2,
        encoding: str = "grid",
        skip: bool = True,
        keys: int | None = None,
    ):
        if encoding not in ENCODINGS:
            raise ValueError(f"encoding={encoding!r} is unknown; use one of {', '.join(ENCODINGS)}")
        at_least(1, hidden=hidden, heads=heads)
        at_least(0, layers=layers)
        if hidden % heads:
            raise ValueError(f"hidden={hidden} must be a multiple of heads={heads}")
        at_least(1, keys=keys)
        self.hidden = hidden
        self.heads = heads
        self.layers = layers
        self.encoding = encoding
        self.skip = skip
        self.keys = keys

    def draw_weights(self, channels: int, generators: Sequence[torch.Generator]) -> Weights:
        """Initial weights on the CPU, network i from generator i: uniform in ±1/√fan_in.

        Query, key, value and output start alike.
        """
        drawn = [self._draw(channels, generator) for generator in generators]
        return {name: torch.stack([weights[name] for weights in drawn]) for name in drawn[0]}

    def _draw(self, channels: int, generator: torch.Generator) -> dict[str, Tensor]:
        hidden, weights = self.hidden, {}

        def linear(name: str, n_in: int, n_out: int) -> None:
            for part, shape in (("weight", (n_in, n_out)), ("bias", (1, n_out))):
                weights[f"{name}.{part}"] = (2 * torch.rand(shape, generator=generator) - 1) / n_in**0.5

        linear("first", channels, hidden)
        for layer in range(self.layers):
            linear(f"{layer}.query", hidden, hidden)
            for copy in ("key", "value", "output"):
                weights |= {
                    f"{layer}.{copy}.{part}": weights[f"{layer}.query.{part}"].clone() for part in ("weight", "bias")
                }
            linear(f"{layer}.mlp1", 2 * hidden, 2 * hidden)
            linear(f"{layer}.mlp2", 2 * hidden, hidden)
            weights[f"{layer}.mlp2.bias"].zero_()
        linear("last", hidden, channels)
        if self.skip:
            weights["last.weight"].zero_()
            weights["last.bias"].zero_()
        return weights

    def prepare(self, patches: PaddedPatches, generators: Sequence[torch.Generator]) -> RefinerSide:
        """What does not change during an optimisation: positions added, keys drawn."""
        present = None if patches.is_full else patches.present
        encoded = patches.feat + self.positions(patches)
        if self.keys is None:
            return RefinerSide(patches.feat, encoded, present, None, present)
        counts = patches.present.sum(dim=1).tolist()
        device = patches.feat.device
        keys = [
            torch.randperm(n, generator=generator)[: self.keys].to(device)
            for n, generator in zip(counts, generators, strict=True)
        ]
        keys_present = stack_padded([torch.ones_like(one, dtype=torch.bool) for one in keys])
        return RefinerSide(
            patches.feat, encoded, present, stack_padded(keys), None if keys_present.all() else keys_present
        )

    def positions(self, patches: PaddedPatches) -> Float[Tensor, "p n c"]:
        """The positional encoding of the patches."""
        channels = patches.feat.shape[2]
        if self.encoding == "none":
            return torch.zeros_like(patches.feat)
        if self.encoding == "raster":
            return sinusoids(patches.index.to(patches.feat.dtype), channels)
        x, y = (GRID_UNITS * patches.place).to(patches.feat.dtype).unbind(dim=2)
        return torch.cat([sinusoids(x, channels // 2), sinusoids(y, channels - channels // 2)], dim=2)

    def __call__(
        self, weights: Weights, side1: RefinerSide, side2: RefinerSide
    ) -> tuple[Float[Tensor, "p n1 c"], Float[Tensor, "p n2 c"]]:
        """The refined features of both photographs. Rows that are not present are arbitrary."""
        x1, x2 = linear(side1.encoded, weights, "first"), linear(side2.encoded, weights, "first")
        for layer in range(self.layers):
            x1 = x1 + self._look(weights, str(layer), x1, side1, x2, side2)
            x2 = x2 + self._look(weights, str(layer), x2, side2, x1, side1)
        refined1, refined2 = linear(x1, weights, "last"), linear(x2, weights, "last")
        return (refined1 + side1.feat, refined2 + side2.feat) if self.skip else (refined1, refined2)

    def _look(
        self,
        weights: Weights,
        layer: str,
        x: Float[Tensor, "p n h"],
        side: RefinerSide,
        other: Float[Tensor, "p m h"],
        seen: RefinerSide,
    ) -> Float[Tensor, "p n h"]:
        """f: the message that the other photograph sends to x, through the MLP."""
        if seen.keys is not None:
            other = other.take_along_dim(seen.keys[:, :, None], dim=1)
        mask = None if seen.keys_present is None else seen.keys_present[:, None, None, :]
        query, key, value = (
            self._split(linear(tokens, weights, f"{layer}.{name}"))
            for tokens, name in ((x, "query"), (other, "key"), (other, "value"))
        )
        message = scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
        message = linear(message, weights, f"{layer}.output")
        inner = linear(torch.cat([x, message.to(x.dtype)], dim=2), weights, f"{layer}.mlp1")
        return linear(relu(instance_norm(inner, side.present)), weights, f"{layer}.mlp2")

    def _split(self, tokens: Float[Tensor, "p n h"]) -> Float[Tensor, "p heads n d"]:
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


def linear(tokens: Float[Tensor, "p n i"], weights: Weights, name: str) -> Float[Tensor, "p n o"]:
    """A linear layer of its own for each pair."""
    return torch.baddbmm(weights[f"{name}.bias"], tokens, weights[f"{name}.weight"])


def instance_norm(
    values: Float[Tensor, "p n c"], present: Bool[Tensor, "p n"] | None, *, eps: float = 1e-5
) -> Float[Tensor, "p n c"]:
    """Each channel to mean 0 and variance 1 over the patches that are present."""
    values = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
    if present is None:
        variance, mean = torch.var_mean(values, dim=1, correction=0, keepdim=True)
    else:
        there = present[:, :, None].to(values.dtype)
        share = there / there.sum(dim=1, keepdim=True)
        mean = (values * share).sum(dim=1, keepdim=True)
        variance = ((values - mean).square() * share).sum(dim=1, keepdim=True)
    return (values - mean) * torch.rsqrt(variance + eps)


def sinusoids(position: Float[Tensor, "p n"], channels: int, *, base: float = 10000.0) -> Float[Tensor, "p n c"]:
    """Sine and cosine in turn, wavelengths from 2π to nearly 2π · base."""
    frequencies = base ** (
        -torch.arange(0, channels, 2, dtype=position.dtype, device=position.device) / max(channels, 1)
    )
    angles = position[:, :, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=3).flatten(2)[:, :, :channels]
