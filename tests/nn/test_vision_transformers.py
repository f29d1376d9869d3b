"""Folders, caches and files that a vision transformer is read from."""

import json
import shutil

import pytest
import torch
from tests.nn.photo_fakes import photo
from tests.nn.vit_fakes import FAMILIES, needs_transformers, transformers

from pullback.nn import vision_transformers
from pullback.nn.dino import Dino
from pullback.nn.image_backbone import WeightsNotFound

pytestmark = needs_transformers


def test_blocks_after_the_last_needed_one_are_not_kept(folder_of):
    whole, cut = Dino(folder_of("dinov2"), layer=2, size=16), Dino(folder_of("dinov2"), layer=0, size=16)
    assert sum("norm1.weight" in name for name, _ in whole.named_parameters()) == 3
    assert sum("norm1.weight" in name for name, _ in cut.named_parameters()) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_half_precision_checkpoint_runs_in_float32(folder_of, family):
    backbone = Dino(folder_of(family, torch.float16), layer=1, size=16)
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    ours, exact = (one([photo(32, 32)])[0]["layer1"] for one in (backbone, Dino(folder_of(family), layer=1, size=16)))
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, exact, atol=0.02 * exact.abs().max().item())


def test_the_fused_attention_of_torch_is_used(folder_of):
    model = Dino(folder_of("dinov2"), layer=1, size=16).model
    if not getattr(model, "_supports_sdpa", False):
        pytest.skip("needs a transformers whose DINOv2 has it: 4.46 or later")
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_control_has_the_architecture_and_weights_of_its_seed(folder_of, family):
    backbones = [Dino(folder_of(family), layer=1, size=16, random_seed=seed) for seed in (0, 0, 1, None)]
    prints = [backbone.fingerprint() for backbone in backbones]
    hashes = [each.pop("weights_sha256") for each in prints]
    assert prints[0] == prints[1] == prints[2] == prints[3]
    assert hashes[0] == hashes[1] and len(set(hashes)) == 3
    assert backbones[0]([photo(16, 16)])[0]["layer1"].isfinite().all()


def test_weights_that_are_nowhere_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(WeightsNotFound, match=r"absent.*no such folder.*weights=FOLDER"):
        Dino(tmp_path / "absent")
    monkeypatch.setattr(vision_transformers, "hub_answers", lambda weights: True)
    monkeypatch.setattr(transformers.PretrainedConfig, "get_config_dict", staticmethod(unreachable))
    with pytest.raises(
        WeightsNotFound, match=r"facebook/dinov2-small.*no connection.*hf download facebook/dinov2-small"
    ):
        Dino("facebook/dinov2-small")


def unreachable(source, **options):
    raise OSError(f"no connection for {source}")


def test_the_local_cache_is_asked_before_the_hub(folder_of, monkeypatch):
    asked = []
    monkeypatch.setattr(vision_transformers, "hub_answers", lambda weights: True)
    config = transformers.AutoConfig.from_pretrained(folder_of("dinov2"))

    def load(source, *, local_files_only=False, **options):
        asked.append(local_files_only)
        return (config.to_dict(), {}) if not local_files_only else unreachable(source)

    monkeypatch.setattr(transformers.PretrainedConfig, "get_config_dict", staticmethod(load))
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", staticmethod(lambda source, **options: config))
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", staticmethod(unreachable))
    with pytest.raises(WeightsNotFound):
        Dino("facebook/dinov2-small", layer=0)
    assert asked == [True, False]


def test_a_damaged_folder_or_a_foreign_model_is_named(folder_of, tmp_path):
    damaged = shutil.copytree(folder_of("dinov2"), tmp_path / "damaged")
    content = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"damaged.*cannot be read as a model"):
        Dino(damaged, layer=0, size=16)
    (damaged / "model.safetensors").unlink()
    with pytest.raises(WeightsNotFound, match=r"damaged.*model\.safetensors"):
        Dino(damaged, layer=0, size=16)
    (damaged / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match=r"type 'bert'; Dino reads vit, dinov2"):
        Dino(damaged, layer=0, size=16)


def test_a_checkpoint_without_some_of_the_weights_is_refused(folder_of, tmp_path):
    from safetensors.torch import load_file, save_file

    partial = shutil.copytree(folder_of("dinov2"), tmp_path / "partial")
    tensors = load_file(partial / "model.safetensors")
    gone = next(name for name in tensors if "layer.1." in name)
    save_file(
        {name: value for name, value in tensors.items() if name != gone},
        partial / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(ValueError, match="lacks 1 tensors of the model"):
        Dino(partial, layer=1, size=16)
    Dino(partial, layer=0, size=16)  # the lost one lies behind what is used


@pytest.mark.parametrize("kind", ["dinov2", "of_its_own"])
def test_code_that_a_folder_of_weights_brings_along_is_not_run_nor_asked_about(folder_of, tmp_path, kind):
    folder = shutil.copytree(folder_of("dinov2"), tmp_path / "weights")
    config = json.loads((folder / "config.json").read_text())
    named = {"AutoConfig": "own.Model", "AutoModel": "own.Model"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": kind, "auto_map": named}))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    if kind == "dinov2":
        Dino(folder, layer=1)
    else:
        with pytest.raises(ValueError, match="cannot be read as a config"):
            Dino(folder, layer=1)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_hidden_layers", 10**12),
        ("num_labels", 10**12),
        ("hidden_size", 10**6),
        ("image_size", 0),
        ("quantization_config", {"quant_method": "x"}),
        ("_attn_implementation", "owner/kernel"),
        ("attn_implementation", "owner/kernel"),
    ],
)
def test_a_model_of_a_size_that_nobody_has_or_with_code_of_its_own_is_refused(folder_of, tmp_path, name, value):
    folder = shutil.copytree(folder_of("dinov2"), tmp_path / "weights")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, name: value}))
    with pytest.raises(ValueError, match=f"{name}=|quantised|attention of its own"):
        Dino(folder, layer=1)


@pytest.mark.parametrize("content", ["[]", "3", "[" * 100_000, "{"])
def test_a_config_of_another_form_is_named(folder_of, tmp_path, content):
    folder = shutil.copytree(folder_of("dinov2"), tmp_path / "weights")
    (folder / "config.json").write_text(content)
    with pytest.raises((ValueError, WeightsNotFound), match="weights="):
        Dino(folder, layer=1)
