"""Reading features from the U-Net's decoder, windows and noise, apart from any weights."""

import pytest
import torch

from pullback.nn.diffusion_features import assemble, decoder_features, fixed_noise, windows

STRIDE = {"s5": 64, "s4": 32, "s3": 16, "s2": 8, "up1": 16}


@pytest.mark.parametrize(
    ("keep_skip", "channels"),
    [
        (True, {"s5": 2560, "s4": 1920, "s3": 960, "s2": 640, "up1": 1280}),
        (False, {"s5": 1280, "s4": 1280, "s3": 640, "s2": 320, "up1": 1280}),
    ],
)
@pytest.mark.parametrize(
    "family", [{"cross_attention_dim": 768}, {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20)}]
)
def test_the_true_architectures_have_their_known_channels(family, keep_skip, channels):
    diffusers = pytest.importorskip("diffusers", reason="needs the extra: pip install 'pullback[diffusion]'")
    with torch.device("meta"), torch.no_grad():  # shapes without numbers: as fast as small
        unet = diffusers.UNet2DConditionModel(**family)
        noisy, text = torch.empty(1, 4, 64, 64), torch.empty(1, 77, family["cross_attention_dim"])
        found = decoder_features(
            unet.up_blocks, lambda: unet(noisy, torch.tensor(100), text), list(channels), keep_skip=keep_skip
        )
    assert {name: values.shape[1] for name, values in found.items()} == channels
    assert {name: 512 // values.shape[2] for name, values in found.items()} == STRIDE


def test_noise_depends_on_seed_and_shape_alone():
    assert torch.equal(fixed_noise((4, 8, 8), 1, 42)[0], fixed_noise((4, 8, 8), 5, 42)[0])
    assert torch.equal(
        fixed_noise((4, 8, 8), 1, 42), torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(42))
    )
    assert not torch.equal(fixed_noise((4, 8, 8), 1, 42), fixed_noise((4, 8, 8), 1, 43))


def test_windows_lie_where_sd_dino_has_them():
    starts = {(rows.start, cols.start) for rows, cols in windows((960, 960), 512)}
    assert starts == {(0, 0), (0, 448), (448, 0), (448, 448)}
    assert [(rows, cols.start) for rows, cols in windows((320, 1280), 512)] == [
        (slice(0, 320), start) for start in (0, 512, 768)
    ]


def test_cut_and_assembled_is_as_before():
    image = torch.rand(2, 3, 24, 40)
    places = windows((24 * 8, 40 * 8), 128)
    parts = [image[:, :, rows.start // 8 : rows.stop // 8, cols.start // 8 : cols.stop // 8] for rows, cols in places]
    torch.testing.assert_close(assemble(parts, places, (24 * 8, 40 * 8)), image)
