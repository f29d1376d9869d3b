"""Vision transformers trained without labels (DINO, DINOv2, DINOv3) as patch features, through ``transformers``.

The token facet of block i is its output before the model's final LayerNorm; key, query and value are the projections of
the attention's input (after the block's first LayerNorm), all heads side by side (in DINOv3 before its rotary
embeddings). Class and register tokens are dropped.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pullback.nn.finite import check_weights
from pullback.nn.image_backbone import ImageBackbone, Scalar, WeightsNotFound
from pullback.types import Image

FAMILIES = ("vit", "dinov2", "dinov2_with_registers", "dinov3_vit")  # model types of transformers
# names of projections
FACETS = {"token": (), "key": ("k_proj", "key"), "query": ("q_proj", "query"), "value": ("v_proj", "value")}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Of any that was published.
_LARGEST = {
    "num_hidden_layers": 200,
    "hidden_size": 16_384,
    "intermediate_size": 65_536,
    "image_size": 8192,
    "num_labels": 100_000,
}
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
        layers = (layer,) if isinstance(layer, int) else tuple(layer)
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
        import transformers

        config = self.model.config
        numbers = {
            name: getattr(config, name, None)
            for name in ("num_attention_heads", "layer_norm_eps", "hidden_act", "rope_theta")
        }
        return {
            "family": config.model_type,
            "architecture": f"{numbers} image_size={config.image_size}",
            "transformers": transformers.__version__,  # position embeddings have been interpolated in several ways
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
        """Of each map at an input size, once;
        the probes are the same on every machine and for every photograph of that size.
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


def position_directions(response: Float[Tensor, "c h w"], *, count: int) -> Float[Tensor, "c d"]:
    """The first ``count`` right-singular vectors of the features of a photograph without content,
    less their mean over the grid.

    What varies over such a photograph is the answer to position alone. DINOv3 keeps much of it, which hurts matching
    between photographs; projecting out about 20 directions helps (the observation of INSID3, 2026; the estimate from a
    few seeded images of uniform noise, averaged at each position of the same grid, is our own). Raises ValueError when
    the grid has too few patches.
    """
    n = response[0].numel()
    if count >= n:
        raise ValueError(
            f"debias={count} directions cannot be estimated from {n} patches; use a larger size or a smaller debias"
        )
    centred = response.flatten(1).double()
    centred = centred - centred.mean(dim=1, keepdim=True)
    _, vectors = torch.linalg.eigh(centred @ centred.T)  # ascending
    return vectors[:, -count:].flip(1).float()


def without_directions(values: Float[Tensor, "b c h w"], directions: Float[Tensor, "c d"]) -> Float[Tensor, "b c h w"]:
    """Features minus their orthogonal projection on the span of orthonormal directions."""
    with torch.autocast(values.device.type, enabled=False):
        flat = values.float().flatten(2)
        return (flat - directions @ (directions.T @ flat)).unflatten(2, values.shape[2:])


def load_transformer(
    weights: str, layers: Sequence[int], *, random_seed: int | None = None
) -> tuple[Any, nn.ModuleList]:
    """The model in float32, cut after the last of ``layers``, and its list of blocks.

    With ``random_seed`` only the architecture is read, and its weights are drawn: the control of everything that was
    learned. Looks in the folder, or in the local cache first and on the hub last. Raises WeightsNotFound, or ValueError
    for a model of another family, a layer it does not have, a damaged file, or a checkpoint that lacks weights of the
    kept part.
    """
    # before transformers counts up its layers and labels
    check_config(SimpleNamespace(**_read(weights, "config.json")), weights)
    config = _read(weights, "config")
    if config.model_type not in FAMILIES:
        raise ValueError(
            f"weights={weights!r} holds a model of type {config.model_type!r}; Dino reads {', '.join(FAMILIES)}"
        )
    check_config(config, weights)
    depth = config.num_hidden_layers
    if not layers or not all(0 <= i < depth for i in layers) or len(set(layers)) < len(layers):
        raise ValueError(
            f"layer={list(layers)} of {weights!r}, whose blocks are 0 to {depth - 1}: name at least one, and none twice"
        )
    options = {"add_pooling_layer": False} if config.model_type == "vit" else {}
    if random_seed is None:
        model, report = _read(weights, "model", **options)
    else:
        model, report = drawn_model(config, random_seed, **options), {"missing_keys": []}
    blocks = next(m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == depth)
    del blocks[max(layers) + 1 :]
    lacking = sorted(set(report["missing_keys"]) & set(model.state_dict()))
    if lacking:
        raise ValueError(
            f"the checkpoint {weights!r} lacks {len(lacking)} tensors of the "
            f"model, such as {lacking[0]}; download it again"
        )
    check_weights(model.state_dict(), source=f"weights={weights}")
    return model.float(), blocks


def check_config(config: Any, weights: str) -> None:
    """Raises ValueError for a model larger than any that there is, and for one that names code (quantisation)
    beside its own.
    """
    for name, most in _LARGEST.items():
        value = getattr(config, name, None)
        if value is not None and not (isinstance(value, int) and 0 < value <= most):
            raise ValueError(
                f"weights={weights!r}: its config.json has {name}={str(value)[:40]}, where 1 to {most:,} is possible"
            )
    attention = [
        getattr(config, name, None)
        for name in ("_attn_implementation", "attn_implementation", "_experts_implementation")
    ]
    # transformers would fetch it from the hub and run it
    if any(name not in (None, "eager", "sdpa") for name in attention):
        raise ValueError(
            f"weights={weights!r}: its config.json names an attention of its own; strike _attn_implementation there"
        )
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError(f"weights={weights!r} is quantised; give the model in float32 or float16")


def drawn_model(config: Any, seed: int, **options: Any) -> nn.Module:
    """A model of that architecture with the random weights that a training would start from."""
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.AutoModel.from_config(config, **options)


def _read(weights: str, what: str, **options: object) -> Any:
    """Configuration, as written or as understood, or model (with the report of its loading),
    with errors that say what to do.
    """
    try:
        import transformers
    except ImportError as error:
        raise ImportError("the DINO backbones need transformers: pip install 'pullback[images]'") from error
    transformers.utils.logging.disable_progress_bar()  # reading takes a moment, and the run has a bar of its own
    folder = Path(weights).expanduser()
    if not folder.is_dir() and (weights.startswith((".", "~", "/")) or weights.count("/") != 1):
        raise WeightsNotFound(_explanation(weights, "there is no such folder"))
    source = str(folder) if folder.is_dir() else weights
    # a folder may name code of its own, about which transformers would ask on the terminal
    options |= {"trust_remote_code": False}
    load: Callable[..., Any]
    if what == "config.json":
        load = _written
    elif what == "config":
        load = transformers.AutoConfig.from_pretrained
    else:
        load = transformers.AutoModel.from_pretrained
        recent = tuple(int(part) for part in transformers.__version__.split(".")[:2]) >= (4, 56)
        options |= {"output_loading_info": True, "dtype" if recent else "torch_dtype": torch.float32}
    try:
        try:
            # asking the hub first costs half a minute without a network
            return load(source, local_files_only=True, **options)
        except OSError:
            if folder.is_dir():
                raise
            return load(source, **options)
    except OSError as error:
        raise WeightsNotFound(_explanation(weights, str(error).strip().splitlines()[0])) from error
    except Exception as error:
        raise ValueError(
            f"weights={weights!r} cannot be read as a {what} of transformers (damaged or incomplete?): {error}"
        ) from error


def _written(source: str, **options: Any) -> dict[str, Any]:
    """The entries of a model's config.json."""
    import transformers

    entries = transformers.PretrainedConfig.get_config_dict(source, **options)[0]
    if not isinstance(entries, dict):
        raise TypeError(f"it holds a {type(entries).__name__}, where names and values belong")
    return entries


def _explanation(weights: str, cause: str) -> str:
    return (
        f"no weights for weights={weights!r}: it was looked for as a folder, in the Hugging Face cache and on the "
        f"hub ({cause}). "
        f"With a network, `hf download {weights}` fills the cache (gated models, as DINOv3, ask for a licence and "
        "`hf auth login` first); "
        "otherwise copy config.json and model.safetensors to a folder and use weights=FOLDER"
    )


def projection(block: nn.Module, facet: str) -> nn.Module:
    """The linear layer of a block's attention that makes keys, queries or values, under its old or its new name."""
    return next(
        m for name, m in block.named_modules() if isinstance(m, nn.Linear) and name.split(".")[-1] in FACETS[facet]
    )
