"""The Stable Diffusion backbone on networks of the true block structure and a few channels,
loaded from the true folder layout.
"""

import functools
import importlib.util
import shutil

import pytest
import torch
from tests.composing import yaml_of
from tests.tiny_diffusion import WIDTHS, write_stable_diffusion

from pullback.nn.diffusion_features import decoder_features, fixed_noise
from pullback.nn.image_backbone import WeightsNotFound
from pullback.types import Image

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("diffusers", "transformers")),
    reason="needs the extra: pip install 'pullback[diffusion]'",
)

SIZE = 128
HIDDEN = {"s5": WIDTHS[3], "s4": WIDTHS[3], "s3": WIDTHS[1], "s2": WIDTHS[0]}
STRIDE = {"s5": 64, "s4": 32, "s3": 16, "s2": 8, "up0": 32, "up1": 16, "up2": 8, "up3": 8}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_stable_diffusion(tmp_path_factory.mktemp("stable_diffusion")))


def backbone(weights, **options):
    """Freshly loaded, by the production path."""
    from pullback.nn.stable_diffusion import StableDiffusion

    return StableDiffusion(weights, **{"size": SIZE, "blocks": ["s3"], **options})


@functools.cache
def loaded(weights):
    from pullback.nn.stable_diffusion import load_parts

    return load_parts(weights)


def lasting(weights, **options):
    """The same without reading the files again: for tests that leave the networks as they are."""
    parts = loaded(weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pullback.nn.stable_diffusion.load_parts", lambda _: parts)
        return backbone(weights, **options)


def photo(seed=0, size=(128, 128), category=""):
    pixels = torch.randint(0, 256, (3, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image(f"noise{seed}", pixels, category)


def maps(weights, *photos, **options):
    return lasting(weights, **options)(photos or [photo()])[0]


def equal(one, other, atol=1e-5):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=atol, rtol=1e-4)


def test_every_block_has_its_channels_and_its_stride(weights):
    found = maps(weights, photo(size=(128, 192)), blocks=list(STRIDE), keep_skip=False, size=192)
    assert list(found) == list(STRIDE)
    for name, values in found.items():
        assert values.shape[1:] == (128 // STRIDE[name], 192 // STRIDE[name])
        assert values.dtype == torch.float32
    assert {name: len(found[name]) for name in HIDDEN} == HIDDEN


def test_skips_are_kept_behind_the_hidden_channels(weights):
    blocks = list(HIDDEN)
    whole, hidden = maps(weights, blocks=blocks, keep_skip=True), maps(weights, blocks=blocks, keep_skip=False)
    # 2560, 1920, 960, 640 times 1/40
    assert {name: len(whole[name]) for name in blocks} == {"s5": 64, "s4": 48, "s3": 24, "s2": 16}
    equal({name: whole[name][: HIDDEN[name]] for name in blocks}, hidden)


def test_features_are_those_of_the_module_before_for_the_noised_posterior_mean(weights):
    network = backbone(weights, blocks=list(HIDDEN), keep_skip=False, t=261, seed=3)
    image = photo()
    seen = {}
    ups = network.unet.up_blocks
    before = {
        "s5": ups[0].resnets[1],
        "s4": ups[1].attentions[1],
        "s3": ups[2].attentions[1],
        "s2": ups[3].attentions[1],
    }
    handles = [
        module.register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: (out if torch.is_tensor(out) else out[0])[0]})
        )
        for name, module in before.items()
    ]
    with torch.no_grad():
        mean = network.vae.encode(image.pixels[None] / 127.5 - 1).latent_dist.mean * 0.18215
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        alpha_bar = (1 - betas).cumprod(0)[261]
        noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3))
        text = network.text_encoder(torch.tensor([[512] + 76 * [513]])).last_hidden_state
        network.unet(alpha_bar.sqrt() * mean + (1 - alpha_bar).sqrt() * noise, 261, text)
    for handle in handles:
        handle.remove()
    equal(network([image])[0], seen)


def test_two_backbones_of_one_seed_agree_and_another_seed_differs(weights):
    equal(backbone(weights)([photo()])[0], maps(weights), atol=0.0)
    assert (maps(weights)["s3"] - maps(weights, seed=1)["s3"]).abs().max() > 1e-3


def test_the_global_generator_is_neither_read_nor_moved_by_a_pass(weights):
    network = lasting(weights)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = network([photo()])[0]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    equal(network([photo()])[0], first, atol=0.0)


def test_photos_do_not_see_their_neighbours_in_a_batch(weights):
    network = lasting(weights, size=192, blocks=["s4", "s3"], prompt="a photo of a {category}")
    photos = [photo(0, category="cat"), photo(1, (128, 192), "dog"), photo(2, category="dog")]
    for one, together in zip(photos, network(photos), strict=True):
        equal(network([one])[0], together)


def test_an_early_exit_equals_a_run_to_the_end_and_skips_the_rest(weights):
    equal(maps(weights, blocks=["s4", "up1"]), maps(weights, blocks=["s4", "up1"], early_exit=False), atol=0.0)
    ran = []
    for early_exit in (True, False):
        network = backbone(weights, blocks=["s4", "up1"], early_exit=early_exit)
        network.unet.up_blocks[2].register_forward_hook(lambda *_: ran.append("the block behind"))
        network([photo()])
        assert len(ran) == (not early_exit)


def test_no_hook_is_left_behind_also_when_the_network_fails(weights):
    network = backbone(weights, blocks=["s4", "up1"])
    network([photo()])

    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        decoder_features(network.unet.up_blocks, fail, ["s5"], keep_skip=True)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.unet.modules())


def test_an_ensemble_is_the_mean_over_its_noises(weights):
    together = maps(weights, ensemble=3)["s3"]
    network, singles = backbone(weights), []
    for noise in fixed_noise((4, 16, 16), 3, seed=42):
        network.scheduler.add_noise = lambda latents, _, steps, noise=noise: type(network.scheduler).add_noise(
            network.scheduler, latents, noise.expand_as(latents), steps
        )
        singles.append(network([photo()])[0]["s3"])
    torch.testing.assert_close(together, torch.stack(singles).mean(0), atol=1e-5, rtol=1e-4)
    assert (singles[0] - singles[1]).abs().max() > 1e-3


def test_a_window_as_large_as_the_photo_is_the_photo(weights):
    equal(maps(weights, window=SIZE), maps(weights, window=None), atol=0.0)


def test_windows_are_photos_of_their_own_averaged_where_they_overlap(weights):
    network = lasting(weights, window=128, size=192)
    image = photo(size=(128, 192))
    left, right = (Image("half", image.pixels[:, :, cols]) for cols in (slice(0, 128), slice(64, 192)))
    whole, one, other = network([image])[0]["s3"], *(maps(weights, half)["s3"] for half in (left, right))
    torch.testing.assert_close(whole[:, :, :4], one[:, :, :4], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(whole[:, :, 4:8], (one[:, :, 4:] + other[:, :, :4]) / 2, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(whole[:, :, 8:], other[:, :, 4:], atol=1e-5, rtol=1e-4)


def test_the_prompt_changes_the_features(weights):
    empty, cat, dog = (
        maps(weights, photo(category=category), prompt=prompt)["s3"]
        for category, prompt in [("cat", ""), ("cat", "a photo of a {category}"), ("dog", "a photo of a {category}")]
    )
    assert min((empty - cat).abs().max(), (cat - dog).abs().max()) > 1e-5
    torch.testing.assert_close(cat, maps(weights, prompt="a photo of a cat")["s3"])


def test_a_template_without_a_category_is_refused(weights):
    with pytest.raises(ValueError, match=r"needs a category.*'noise0'.*prompt=''"):
        maps(weights, prompt="a photo of a {category}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": ["s3", "s1"]}, r"blocks=\['s3', 's1'\] must name .* of s5 s4 s3 s2 up0"),
        ({"blocks": []}, "must name one or several"),
        ({"window": 500}, "window=500 must be a multiple of 64"),
        ({"ensemble": 0}, "ensemble=0"),
        ({"t": 1000}, "t=1000 is no time step .* use 0 to 999"),
    ],
)
def test_options_that_do_not_fit_are_named(weights, options, message):
    with pytest.raises(ValueError, match=message):
        lasting(weights, **options)


def test_the_fingerprint_tells_everything_apart_that_changes_features(weights, tmp_path):
    changes = [
        {"t": 50},
        {"blocks": ["s4"]},
        {"keep_skip": False},
        {"window": 64},
        {"prompt": "a cat"},
        {"ensemble": 2},
        {"seed": 1},
    ]
    prints = [str(lasting(weights, **change).fingerprint()) for change in [{}, *changes]]
    assert len(set(prints)) == len(prints)
    copy = shutil.copytree(weights, tmp_path / "copy")
    assert backbone(str(copy)).fingerprint() == lasting(weights, early_exit=False, max_batch=1).fingerprint()
    network = backbone(weights)
    with torch.no_grad():
        network.unet.conv_in.bias += 1
    assert network.fingerprint() != lasting(weights).fingerprint()


@pytest.mark.parametrize("part", ["unet", "tokenizer"])
def test_a_folder_without_a_part_says_which_and_what_to_do(weights, tmp_path, part):
    copy = shutil.copytree(weights, tmp_path / "copy")
    shutil.rmtree(copy / part)
    with pytest.raises(WeightsNotFound, match=rf"{copy} has no subfolder {part}\. .*weights=FOLDER.*hf download"):
        backbone(str(copy))


@pytest.mark.parametrize(
    ("part", "name"), [("unet", "diffusion_pytorch_model.safetensors"), ("tokenizer", "vocab.json")]
)
def test_a_folder_without_a_file_says_in_which_part(weights, tmp_path, part, name):
    copy = shutil.copytree(weights, tmp_path / "copy")
    (copy / part / name).unlink()
    with pytest.raises(WeightsNotFound, match=rf"{copy}.*: part {part}: "):
        backbone(str(copy))


@pytest.mark.parametrize(
    ("part", "name"), [("unet", "diffusion_pytorch_model.safetensors"), ("text_encoder", "model.safetensors")]
)
def test_random_weights_do_not_stand_in_for_missing_ones(weights, tmp_path, part, name):
    from safetensors.torch import load_file, save_file

    file = shutil.copytree(weights, tmp_path / "copy") / part / name
    tensors = load_file(file)
    lost = sorted(tensors)[0]
    save_file({key: value.clone() for key, value in tensors.items() if key != lost}, file, metadata={"format": "pt"})
    with pytest.raises(
        WeightsNotFound, match=rf"part {part}: 1 tensors are missing, among them .*{lost.split('.')[-2]}"
    ):
        backbone(str(tmp_path / "copy"))


@pytest.mark.parametrize("nowhere", ["/no/such/folder", "./models/sd15", "sd15"])
def test_a_path_to_nowhere_is_not_asked_of_the_network(nowhere):
    with pytest.raises(WeightsNotFound, match=r"there is no folder .*weights=FOLDER"):
        backbone(nowhere)


def test_an_id_out_of_reach_says_how_to_get_it(monkeypatch):
    from diffusers import UNet2DConditionModel

    asked = []

    def unreachable(source, *, subfolder, local_files_only, output_loading_info):
        asked.append(local_files_only)
        raise OSError("We couldn't connect")

    monkeypatch.setattr("pullback.nn.stable_diffusion.hub_answers", lambda weights: True)
    monkeypatch.setattr(UNet2DConditionModel, "from_pretrained", unreachable)
    with pytest.raises(
        WeightsNotFound, match=r"'owner/name': part unet: We couldn't connect\. .*local cache or can be downloaded"
    ):
        backbone("owner/name")
    assert asked == [True, False]
    monkeypatch.setattr("pullback.nn.stable_diffusion.hub_answers", lambda weights: False)
    with pytest.raises(WeightsNotFound, match=r"part unet is not in the local cache, and HF_HUB_OFFLINE"):
        backbone("owner/name")
    assert asked == [True, False, True]


def test_the_shortest_side_can_be_the_one_that_is_scaled(weights):
    wide = photo(size=(140, 280))
    longest, shortest = (lasting(weights, size_of=side) for side in ("longest", "shortest"))
    assert longest.input_size(photo(size=(280, 280))) == shortest.input_size(photo(size=(280, 280))) == (128, 128)
    assert shortest.input_size(wide) == (128, 256)
    assert shortest([wide])[0]["s3"].shape[1:] == (8, 16)
    assert "size_of" not in longest.fingerprint() and shortest.fingerprint()["size_of"] == "shortest"
    with pytest.raises(ValueError, match=r"one side is more than 4 times the other.*size_of=longest"):
        shortest([photo(size=(40, 200))])
    with pytest.raises(ValueError, match="size_of='both' is unknown; use longest or shortest"):
        lasting(weights, size_of="both")


def test_the_noise_of_sd_turbo_is_that_of_its_own_scheduler(weights, tmp_path):
    """Its folder names another scheduler, whose steps of noise are the same."""
    from diffusers import EulerDiscreteScheduler

    turbo = shutil.copytree(weights, tmp_path / "turbo")
    shutil.rmtree(turbo / "scheduler")
    EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="epsilon",
        timestep_spacing="trailing",
        steps_offset=1,
    ).save_pretrained(turbo / "scheduler")
    written = yaml_of("branch", "sd_turbo")
    names = ("t", "blocks", "keep_skip", "prompt", "ensemble", "seed")
    found = backbone(str(turbo), **{name: written[name] for name in names})
    assert found.scheduler.config.prediction_type == "epsilon"
    spaced = EulerDiscreteScheduler.from_pretrained(turbo / "scheduler")
    spaced.set_timesteps(4)
    assert spaced.timesteps.tolist() == [999, 749, 499, 249] and found.t == 249
    assert float(found.scheduler.alphas_cumprod[249]) == pytest.approx(float(spaced.alphas_cumprod[249]))
    grids = {name: tuple(values.shape[1:]) for name, values in found([photo()])[0].items()}
    assert grids == {
        "s3": (8, 8),
        "s4": (4, 4),
        "s5": (2, 2),
    }


def test_another_architecture_is_refused(weights, tmp_path):
    from diffusers import UNet2DConditionModel

    copy = shutil.copytree(weights, tmp_path / "copy")
    shutil.rmtree(copy / "unet")
    UNet2DConditionModel(
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=2,
    ).save_pretrained(copy / "unet")
    with pytest.raises(ValueError, match=r"no Stable Diffusion 1 or 2: residual blocks in each up block \[3, 3\]"):
        backbone(str(copy))


@pytest.mark.gpu
def test_half_precision_on_a_gpu_is_close_to_full(weights):
    full = maps(weights, blocks=["s4", "s3"])
    half = backbone(weights, blocks=["s4", "s3"], precision="float16").cuda()([photo()])[0]
    for name, values in half.items():
        error = (values.cpu() - full[name]).norm() / full[name].norm()
        assert values.dtype == torch.float32 and error < 0.02
