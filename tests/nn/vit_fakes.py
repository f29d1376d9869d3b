"""Exact architectures of ``transformers`` with random weights, saved as a user's folder would hold them."""

import importlib.util

import pytest
import torch
from tests.later import later

transformers = later("transformers")
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs transformers: pip install 'pullback[images]'"
)

SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 4, "image_size": 16}
CONFIGS = {
    "vit": lambda: transformers.ViTConfig(**SMALL, intermediate_size=32),
    "dinov2": lambda: transformers.Dinov2Config(**SMALL, mlp_ratio=2),
    "dinov2_with_registers": lambda: transformers.Dinov2WithRegistersConfig(
        **SMALL, mlp_ratio=2, num_register_tokens=3
    ),
    "dinov3_vit": lambda: transformers.DINOv3ViTConfig(
        **SMALL, intermediate_size=32, num_register_tokens=3, layerscale_value=0.5
    ),
}
FAMILIES = list(CONFIGS)


def save_small_model(folder, family: str, dtype: torch.dtype) -> None:
    """Weights large enough that every part of the model shows in its output."""
    torch.manual_seed(3)
    try:
        model = transformers.AutoModel.from_config(CONFIGS[family]())
    except AttributeError as error:
        pytest.skip(f"needs a newer transformers: {error}")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.to(dtype).save_pretrained(folder)
