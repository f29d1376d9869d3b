"""Features of exact architectures of ``transformers`` with random weights."""

import shutil

import pytest
import torch
from tests.composing import yaml_of
from tests.nn.photo_fakes import embedded_cat, photo, photo_of
from tests.nn.vit_fakes import FAMILIES, needs_transformers, transformers

from pullback.nn.dino import Dino, projection
from pullback.nn.image_backbone import resize

pytestmark = needs_transformers


def reference(folder, one, size: int) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    """The whole model as transformers loads it, and all its hidden states, patch tokens only, as maps."""
    model = transformers.AutoModel.from_pretrained(folder).float().eval()
    height, width = (side * size // max(one.size) // 4 * 4 for side in one.size)
    image = resize(one.pixels, (height, width))[None]
    image = (image - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
        :, None, None
    ]
    options = {"interpolate_pos_encoding": True} if model.config.model_type == "vit" else {}
    with torch.no_grad():
        states = model(image, output_hidden_states=True, **options).hidden_states
    return model, [state[0, -height * width // 16 :].T.reshape(16, height // 4, width // 4) for state in states], states


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layer", [0, 2])
def test_the_token_facet_is_the_hidden_state_after_the_block(folder_of, family, layer):
    one = photo(48, 32)  # a grid of 6 × 4, the model's own is 4 × 4
    maps = Dino(folder_of(family), layer=layer, size=24)([one])[0]
    _, expected, _ = reference(folder_of(family), one, 24)
    assert list(maps) == [f"layer{layer}"] and maps[f"layer{layer}"].shape == (16, 6, 4)
    assert torch.allclose(maps[f"layer{layer}"], expected[layer + 1], atol=1e-4)


def test_the_hidden_state_is_what_the_blocks_give_when_run_by_hand_and_not_the_normalised_output(folder_of):
    one = photo(40, 40)
    backbone = Dino(folder_of("dinov2"), layer=2, size=20)
    model, _, _ = reference(folder_of("dinov2"), one, 20)
    image = (resize(one.pixels, (20, 20))[None] - backbone.mean) / backbone.std
    with torch.no_grad():
        x = model.embeddings(image)
        for block in model.encoder.layer:
            y = block.attention(block.norm1(x))
            x = x + block.layer_scale1(y[0] if isinstance(y, tuple) else y)
            x = x + block.layer_scale2(block.mlp(block.norm2(x)))
        last = model(image).last_hidden_state
    ours = backbone([one])[0]["layer2"].flatten(1).T
    assert torch.allclose(ours, x[0, 1:], atol=1e-4)
    assert not torch.allclose(ours, last[0, 1:], atol=0.1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("facet", "names"), [("key", ("k_proj", "key")), ("query", ("q_proj", "query")), ("value", ("v_proj", "value"))]
)
def test_a_facet_is_the_projection_of_the_normalised_input_of_its_block(folder_of, family, facet, names):
    one = photo(32, 48)
    ours = Dino(folder_of(family), layer=1, facet=facet, size=24)([one])[0]["layer1"]
    model, _, states = reference(folder_of(family), one, 24)
    parameters = {name: value for name, value in model.named_parameters() if f".{1}." in name}
    norm = next(module for name, module in model.named_modules() if name.endswith(("1.norm1", "1.layernorm_before")))
    weight = next(value for name, value in parameters.items() if name.endswith(tuple(f"{n}.weight" for n in names)))
    bias = next((value for name, value in parameters.items() if name.endswith(tuple(f"{n}.bias" for n in names))), None)
    with torch.no_grad():
        expected = torch.nn.functional.linear(norm(states[1]), weight, bias)[0, -24:]
    assert torch.allclose(ours, expected.T.reshape(16, 4, 6), atol=1e-4)


def test_several_layers_are_several_entries_from_one_pass(folder_of):
    one = photo(32, 32)
    both = Dino(folder_of("dinov2"), layer=[2, 0], size=16)([one])[0]
    assert list(both) == ["layer2", "layer0"]
    for layer in (0, 2):
        assert torch.allclose(
            both[f"layer{layer}"], Dino(folder_of("dinov2"), layer=layer, size=16)([one])[0][f"layer{layer}"], atol=1e-6
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_different_sizes_in_one_call_equal_one_by_one(folder_of, family):
    backbone = Dino(folder_of(family), layer=1, size=24)
    photos = [photo(40, 60, seed=0), photo(60, 40, seed=1), photo(80, 120, seed=2), photo(50, 50, seed=3)]
    for one, maps in zip(photos, backbone(photos), strict=True):
        assert torch.allclose(maps["layer1"], backbone([one])[0]["layer1"], atol=1e-5)
    assert [tuple(maps["layer1"].shape) for maps in backbone(photos)] == [
        (16, 4, 6),
        (16, 6, 4),
        (16, 4, 6),
        (16, 6, 6),
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_debiased_features_have_no_part_in_what_depends_on_position(folder_of, family):
    backbone, plain = Dino(folder_of(family), layer=2, size=32, debias=3), Dino(folder_of(family), layer=2, size=32)
    one = photo(48, 64)
    directions = backbone._bias_directions((24, 32))["layer2"]
    assert torch.allclose(directions.T @ directions, torch.eye(3), atol=1e-5)
    feat, raw = (b([one])[0]["layer2"].flatten(1).T for b in (backbone, plain))
    assert (feat @ directions).abs().max() < 1e-4 * raw.norm(dim=1).max()
    assert torch.allclose(raw - raw @ directions @ directions.T, feat, atol=1e-4)


def test_the_bias_is_estimated_once_a_grid_and_is_the_same_in_every_run(folder_of):
    first, second = (Dino(folder_of("dinov2"), layer=2, size=24, debias=2) for _ in range(2))
    first([photo(48, 32), photo(32, 48)])
    assert sorted(first._bias) == [(16, 24), (24, 16)]
    assert torch.equal(first._bias_directions((16, 24))["layer2"], second._bias_directions((16, 24))["layer2"])
    first._maps = lambda probe: pytest.fail("estimated again")
    first._bias_directions((16, 24))


def test_more_bias_directions_than_channels_or_patches_are_refused(folder_of):
    with pytest.raises(ValueError, match="debias=16 directions of 16 channels"):
        Dino(folder_of("dinov2"), layer=0, size=16, debias=16)
    with pytest.raises(ValueError, match="debias=4 directions cannot be estimated from 4 patches"):
        Dino(folder_of("dinov2"), layer=0, size=8, debias=4)([photo(32, 32)])


def test_the_fingerprint_tells_options_and_weights_apart_and_not_where_they_lie(folder_of, tmp_path):
    folder = folder_of("dinov2")
    shutil.copytree(folder, tmp_path / "copy")
    changes = ({}, {"layer": 0}, {"layer": [0, 2]}, {"facet": "key"}, {"size": 20}, {"debias": 1})
    prints = [Dino(folder, **{"layer": 2, "size": 16} | options).fingerprint() for options in changes]
    assert len({tuple(one.items()) for one in prints}) == len(changes)
    assert Dino(tmp_path / "copy", layer=2, size=16, max_batch=1).fingerprint() == prints[0]
    halves = Dino(folder_of("dinov2", torch.float16), layer=2, size=16).fingerprint()
    assert {key for key in halves if halves[key] != prints[0][key]} == {"weights_sha256"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"facet": "keys"}, "facet='keys' is unknown; use token, key, query, value"),
        ({"layer": 3}, r"layer=\[3\] .* blocks are 0 to 2"),
        ({"layer": -1}, "layer=-1 is too small"),
        ({"layer": []}, "name at least one"),
        ({"layer": [1, 1]}, "none twice"),
    ],
)
def test_options_that_do_not_fit_are_refused(folder_of, options, message):
    with pytest.raises(ValueError, match=message):
        Dino(folder_of("dinov2"), **{"layer": 1, "size": 16} | options)


def test_the_exact_small_dinov2_runs_on_a_grid_that_is_not_square(tmp_path):
    config = transformers.Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, patch_size=14, image_size=518
    )
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "s14")
    maps = Dino(tmp_path / "s14", layer=[9, 11], size=140)([photo(100, 140)])[0]
    assert {name: tuple(values.shape) for name, values in maps.items()} == {
        "layer9": (384, 7, 10),
        "layer11": (384, 7, 10),
    }


@pytest.mark.real_data
def test_real_weights_match_a_photo_with_its_mirror_image(real_data_dir):
    folder = real_data_dir.parent / "weights" / "dinov2-small-finetuned"
    if not folder.is_dir():
        pytest.skip(f"needs the weights in {folder}")
    image = embedded_cat().float() / 255
    backbone = Dino(folder, layer=9, size=280)
    plain, mirrored = (maps["layer9"] for maps in backbone([photo_of(image), photo_of(image.flip(2))]))
    feat1, feat2 = (torch.nn.functional.normalize(one.flatten(1).T, dim=1) for one in (plain, mirrored.flip(2)))
    found = (feat2 @ feat1.T).argmax(dim=1)
    rows, cols = plain.shape[1:]
    places = torch.arange(rows * cols)
    apart = torch.maximum((found // cols - places // cols).abs(), (found % cols - places % cols).abs())
    assert (apart <= 1).float().mean() > 0.8


def test_projections_are_found_under_old_and_new_names():
    for name, new in (("key", False), ("k_proj", True)):
        inner = torch.nn.ModuleDict({name: torch.nn.Linear(2, 2), "other": torch.nn.Linear(2, 2)})
        block = torch.nn.ModuleDict({"attention": inner if new else torch.nn.ModuleDict({"attention": inner})})
        assert projection(block, "key") is inner[name]


# What was published: width, hidden width, heads, gated units; all with patches of 16 pixels and four registers.
DINOV3 = {
    "dinov3_s16": (384, 1536, 6, False),
    "dinov3_s16plus": (384, 1536, 6, True),
    "dinov3_b16": (768, 3072, 12, False),
    "dinov3_l16": (1024, 4096, 16, False),
}
REGISTERS = {"dinov2_s14_registers": (384, 6), "dinov2_b14_registers": (768, 12)}


def architecture(branch: str):
    """The published configuration of a branch, two blocks deep."""
    shared = {"num_hidden_layers": 2, "num_register_tokens": 4}
    if branch in REGISTERS:
        width, heads = REGISTERS[branch]
        sizes = {"hidden_size": width, "num_attention_heads": heads, "patch_size": 14, "image_size": 518}
        return transformers.Dinov2WithRegistersConfig(**sizes, **shared)
    width, hidden, heads, gated = DINOV3[branch]
    sizes = {"hidden_size": width, "intermediate_size": hidden, "num_attention_heads": heads, "patch_size": 16}
    return transformers.DINOv3ViTConfig(
        **sizes, **shared, use_gated_mlp=gated, hidden_act="silu" if gated else "gelu", image_size=224
    )


@pytest.mark.parametrize("branch", [*DINOV3, *REGISTERS])
def test_the_patches_of_a_variant_follow_its_class_token_and_registers(branch, tmp_path):
    written = yaml_of("branch", branch)
    config = architecture(branch)
    config.save_pretrained(tmp_path)
    size = 4 * config.patch_size
    backbone = Dino(tmp_path, layer=1, size=size, random_seed=0)
    one = photo(30, 40)
    found = backbone([one])[0]["layer1"]
    assert found.shape == (config.hidden_size, 3, 4)
    assert written["size"] % config.patch_size == 0 and written["size"] // config.patch_size == 60
    image = (resize(one.pixels, (3 * config.patch_size, size))[None] - backbone.mean) / backbone.std
    with torch.no_grad():
        tokens = backbone.model(image, output_hidden_states=True).hidden_states[2][0]
    assert len(tokens) == 1 + 4 + 12
    assert torch.allclose(found.flatten(1).T, tokens[5:], atol=1e-4)


@pytest.mark.parametrize("branch", ["dinov3_s16", "dinov3_s16plus"])
def test_the_position_bias_of_every_dinov3_can_be_taken_out(branch, tmp_path):
    architecture(branch).save_pretrained(tmp_path)
    backbone = Dino(tmp_path, layer=1, size=96, random_seed=0, debias=yaml_of("branch", branch)["debias"])
    found = backbone([photo(40, 40)])[0]["layer1"].flatten(1).T
    directions = backbone._bias_directions((96, 96))["layer1"]
    assert directions.shape[1] == 20
    assert (found @ directions).abs().max() < 1e-3 * found.norm(dim=1).max()
