"""``weights=FILE``: programs begin with the DiffusionNet weights of another code base, and say so."""

import pytest
import torch
from tests.composing import composed
from tests.fakes import write_faust
from tests.foreign_networks import DiffusionNetOfUlrssm, ulrssm_checkpoint
from tests.later import later

from pullback.nn.foreign_weights import ForeignWeightsError
from pullback.runtime.checks import ConfigError, check
from pullback.runtime.origin import describe, trained_on

runtime_build = later("pullback.runtime.build")

NETWORK = [
    "backbone.descriptor.channels=12",
    "backbone.descriptor.k=20",
    "backbone.network.k=20",
    "backbone.network.width=16",
]
FITTING = [
    *NETWORK,
    "backbone.network.n_blocks=2",
    "backbone.network.out_channels=6",
    "backbone.network.gradient_features=ulrssm",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A small FAUST_r and a file of weights."""
    home = tmp_path_factory.mktemp("home")
    write_faust(home / "data" / "FAUST_r", [0, 1, 2, 3, 80, 81])
    torch.manual_seed(3)
    torch.save(ulrssm_checkpoint(DiffusionNetOfUlrssm()), home / "faust.pth")
    return home


def configured(program, home, *overrides):
    places = [
        f"paths.data_dir={home / 'data'}",
        f"paths.cache_dir={home / 'cache'}",
        "trainer=cpu",
        "data.val_shapes=2",
    ]
    typed = ["dataset=faust", "dataset.faust.allow_missing=true", *places, f"weights={home / 'faust.pth'}", *overrides]
    return composed(program, *typed, output_dir=home / program)


@pytest.mark.parametrize("program", ["train", "eval"])
def test_a_program_begins_with_the_weights_and_says_where_they_come_from(home, program):
    cfg = configured(program, home, *FITTING)
    check(cfg)
    run = runtime_build.build(cfg)
    stored = torch.load(home / "faust.pth", weights_only=True)["networks"]["feature_extractor"]
    assert torch.equal(run.module.backbone.network.last.weight, stored["last_linear.weight"])
    assert run.weights.startswith("faust.pth from elsewhere (names of ulrssm, sha256 ")
    assert run.trained_on == ["unknown"]
    if program == "train":
        assert trained_on(run.config) == ["unknown", "faust"]
        rule = describe({"config": {**run.config, "monitor": "val/loss"}, "global_step": 7}, "best.ckpt")
        assert rule.endswith("step 7, trained on faust, begun with the weights of faust.pth")


def test_weights_that_do_not_fit_are_refused_with_the_file_and_what_to_type(home):
    message = (
        r"weights=.*faust\.pth does not fit: first\.weight .*\(16, 12\).*It would with .*backbone\.network\.n_blocks=2"
    )
    with pytest.raises(ForeignWeightsError, match=message):
        runtime_build.build(configured("eval", home))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["ckpt=a.ckpt"], r"weights=.* and ckpt=a\.ckpt both fill the network; give one of them"),
        (
            ["backbone=raw_wks"],
            r"of no use to the backbone RawDescriptor, which learns nothing; use backbone=diffusion_net",
        ),
        (["dataset=tss"], r"weights=x\.pth is for networks of meshes"),
    ],
)
def test_weights_beside_what_contradicts_them_are_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        check(composed("eval", "weights=x.pth", *overrides))
