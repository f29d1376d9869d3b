"""Vision transformers trained without labels (DINO, DINOv2, DINOv3) as patch features, through ``transformers``.

The token facet of block i is its output before the model's final LayerNorm; key, query and value are the projections of
the attention's input (after the block's first LayerNorm), all heads side by side (in DINOv3 before its rotary
embeddings). Class and register tokens are dropped.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pullback.nn.image_backbone import ImageBackbone, Scalar
from pullback.nn.position_bias import position_directions, without_directions
from pullback.nn.vision_transformers import library_version, load_transformer
from pullback.ranges import at_least
from pullback.types import Image

# Names of projections.
FACETS = {"token": (), "key": ("k_proj", "key"), "query": ("q_proj", "query"), "value": ("v_proj", "value")}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BIAS_PROBES = 4  # photographs without content that the position bias is estimated from


class Dino(ImageBackbone):
    """Features of one or several transformer blocks; the family is told from the model's own configuration.

    ``weights`` is a Hugging Face id (``facebook/dinov2-base``) or a local folder with ``config.json`` and
    ``model.safetensors``. ``layer`` counts blocks from 0; blocks after the last asked one are not even kept. Each layer
    is an entry ``layer<i>`` of the maps. ``debias`` projects that many directions of the position bias out of the
    features (0: none; see `position_directions`). ``random_seed`` draws the weights instead of reading them: a control.

    Raises WeightsNotFound, and ValueError for options or weights that do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        weights: str | Path,
        *,
        layer: int | Sequence[int] = 11,
        facet: str = "token",
        size: int = 840,
        debias: int = 0,
        random_seed: int | None = None,
        precision: str = "float32",
        max_batch: int = 4,
    ):
        if facet not in FACETS:
            raise ValueError(f"facet={facet!r} is unknown; use {', '.join(FACETS)}")
        at_least(0, debias=debias, random_seed=random_seed)
        at_least(1, size=size, max_batch=max_batch)  # before the weights are loaded
        layers = (layer,) if isinstance(layer, int | float) else tuple(layer)
        at_least(0, layer=min(layers, default=None))
        model, blocks = load_transformer(str(weights), layers, random_seed=random_seed)
        if not 0 <= debias < model.config.hidden_size:
            raise ValueError(
                f"debias={debias} directions of {model.config.hidden_size} channels: use 0 (none) to about 20"
            )
        patch = model.config.patch_size
        super().__init__(
            size=size, multiple=patch if isinstance(patch, int) else patch[0], precision=precision, max_batch=max_batch
        )
        self.layers, self.facet, self.debias = layers, facet, debias
        self.model: Any = model
        self._observed = {i: projection(blocks[i], facet) if facet != "token" else blocks[i] for i in layers}
        self._bias: dict[tuple[int, int], dict[str, Float[Tensor, "_c d"]]] = {}
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)
        self.freeze()

    def options(self) -> dict[str, Scalar]:
        config = self.model.config
        numbers = {
            name: getattr(config, name, None)
            for name in ("num_attention_heads", "layer_norm_eps", "hidden_act", "rope_theta")
        }
        return {
            "family": config.model_type,
            "architecture": f"{numbers} image_size={config.image_size}",
            "transformers": library_version(),  # position embeddings have been interpolated in several ways
            "layers": ",".join(map(str, self.layers)),
            "facet": self.facet,
            "debias": self.debias,
        }

    def compute(
        self, images: Float[Tensor, "b 3 H W"], photos: Sequence[Image]
    ) -> dict[str, Float[Tensor, "b _c _h _w"]]:
        maps = self._maps(images)
        if self.debias:
            directions = self._bias_directions((images.shape[2], images.shape[3]))
            maps = {name: without_directions(values, directions[name]) for name, values in maps.items()}
        return maps

    def _maps(self, images: Float[Tensor, "b 3 H W"]) -> dict[str, Float[Tensor, "b _c _h _w"]]:
        """One pass; hooks keep what the observed modules return."""
        found: dict[int, Tensor] = {}

        def keep(i: int) -> Callable[[nn.Module, Any, Any], None]:
            def hook(module: nn.Module, inputs: Any, output: Any) -> None:
                found[i] = output[0] if isinstance(output, tuple) else output

            return hook

        handles = [module.register_forward_hook(keep(i)) for i, module in self._observed.items()]
        # Of the three families only the first has to be told that the photograph may differ from the training size.
        resizing = {"interpolate_pos_encoding": True} if self.model.config.model_type == "vit" else {}
        try:
            self.model(pixel_values=(images - self.mean) / self.std, **resizing)
        finally:
            for handle in handles:
                handle.remove()
        rows, cols = images.shape[2] // self.multiple, images.shape[3] // self.multiple
        return {f"layer{i}": patch_map(found[i], (rows, cols)) for i in self.layers}

    def _bias_directions(self, size: tuple[int, int]) -> dict[str, Float[Tensor, "_c d"]]:
        """Of each map at an input size, once.

        The probes are the same on every machine and for every photograph of that size.
        """
        if size not in self._bias:
            generator = torch.Generator().manual_seed(0)
            sums: dict[str, Tensor] = {}
            for _ in range(BIAS_PROBES):
                probe = torch.rand(1, 3, *size, generator=generator).to(self.device)
                for name, values in self._maps(probe).items():
                    sums[name] = sums.get(name, 0) + values[0].float() / BIAS_PROBES
            self._bias[size] = {
                name: position_directions(response, count=self.debias) for name, response in sums.items()
            }
        return {name: directions.to(self.device) for name, directions in self._bias[size].items()}


def patch_map(tokens: Float[Tensor, "b t c"], grid: tuple[int, int]) -> Float[Tensor, "b c h w"]:
    """Patch tokens as a map: they are the last ones, after the class token and the registers."""
    rows, cols = grid
    return tokens[:, -rows * cols :].transpose(1, 2).unflatten(2, grid)


def projection(block: nn.Module, facet: str) -> nn.Module:
    """The linear layer of a block's attention that makes keys, queries or values, under its old or its new name."""
    return next(
        m for name, m in block.named_modules() if isinstance(m, nn.Linear) and name.split(".")[-1] in FACETS[facet]
    )
