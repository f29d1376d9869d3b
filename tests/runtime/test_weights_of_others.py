"""``weights=FILE``: programs begin with the DiffusionNet weights of another code base, and say so."""

import pytest
import torch
from tests.composing import composed
from tests.fakes import write_faust
from tests.foreign_networks import DiffusionNetOfSharp, DiffusionNetOfUlrssm, dpfm_state, ulrssm_checkpoint
from tests.later import later
from torch import nn

from pullback.nn.foreign_weights import ForeignWeightsError
from pullback.runtime.checks import ConfigError, check
from pullback.runtime.learned import trained_on
from pullback.runtime.origin import describe, weights_from_elsewhere
from pullback.runtime.settings import instantiate

runtime_build = later("pullback.runtime.build")

SMALL = ["backbone.descriptor.k=20", "backbone.network.k=20"]
FITTING = SMALL


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
        assert trained_on({"config": run.config}) == ["unknown", "faust"]
        rule = describe({"config": {**run.config, "monitor": "val/loss"}, "global_step": 7}, "best.ckpt")
        assert rule.endswith("step 7, trained on faust, begun with the weights of faust.pth")
        seen = {**run.config, "data": {**run.config["data"], "transductive": True}, "monitor": "val/loss"}
        rule = describe({"config": seen, "global_step": 7}, "last.ckpt")
        assert "trained on faust, their test shapes among them, without ground truth, begun" in rule


def test_what_is_typed_wins_and_where_it_contradicts_the_tensors_they_are_refused_with_what_to_type(home):
    message = r"weights=.*faust\.pth does not fit: last\.weight .*\(6, 16\).*It would with .*out_channels=6"
    with pytest.raises(ForeignWeightsError, match=message):
        runtime_build.build(configured("eval", home, *FITTING, "backbone.network.out_channels=7"))


def written(folder, authors, inputs):
    """A file in the form of its authors: 2 blocks of width 16, 24 outputs."""
    sizes = {"inputs": inputs, "outputs": 24}
    torch.manual_seed(0)
    content = {
        "ULRSSM": lambda: ulrssm_checkpoint(DiffusionNetOfUlrssm(**sizes)),
        "diffusion-net": lambda: DiffusionNetOfSharp(**sizes).state_dict(),
        "DPFM": lambda: dpfm_state(DiffusionNetOfSharp(**sizes)),
    }[authors]()
    torch.save(content, folder / "peer.pth")
    return f"weights={folder / 'peer.pth'}"


PEERS = [
    ("ULRSSM", 128, "WKS", ("TwoBranch", "spectral"), "ulrssm"),
    ("ULRSSM", 3, "XYZ", ("TwoBranch", "features"), "ulrssm"),
    ("diffusion-net", 16, "FixedHKS", ("RegularisedSolver", None), "complex"),
    ("diffusion-net", 3, "XYZ", ("RegularisedSolver", None), "complex"),
    ("DPFM", 3, "XYZ", ("RegularisedSolver", None), "complex"),
]


@pytest.mark.parametrize(("authors", "inputs", "descriptor", "solver", "products"), PEERS)
def test_a_file_settles_network_inputs_and_read_out(tmp_path, authors, inputs, descriptor, solver, products):
    cfg = composed("eval", written(tmp_path, authors, inputs))
    check(cfg)
    network = cfg.backbone.network
    assert cfg.backbone.descriptor._target_.endswith(f".{descriptor}")
    assert (network.in_channels, network.out_channels, network.width, network.n_blocks) == (inputs, 24, 16, 2)
    assert network.gradient_features == products
    assert (cfg.solver._target_.rsplit(".", 1)[1], cfg.solver.get("read_out")) == solver
    module = nn.ModuleDict({"backbone": instantiate(cfg.backbone)})
    told = weights_from_elsewhere(cfg, module)
    assert f"fed {descriptor} of {inputs} channels; settled by the file: " in told and "out_channels=24" in told


def test_sixteen_channels_of_heat_kernels_are_never_fed_wave_kernels_without_a_word(tmp_path, caplog):
    cfg = composed("eval", written(tmp_path, "diffusion-net", 16), "backbone=diffusion_net")
    assert cfg.backbone.descriptor._target_.endswith(".WKS")  # as it was typed
    weights_from_elsewhere(cfg, nn.ModuleDict({"backbone": instantiate(cfg.backbone)}))
    assert "whose 16 channels are usually HKS; this backbone gives them WKS of 16 channels" in caplog.text


def test_channels_that_say_nothing_are_announced(tmp_path, caplog):
    composed("eval", written(tmp_path, "ULRSSM", 12))
    assert "12 input channels do not say what features they are" in caplog.text


def test_a_solver_that_is_typed_stays(tmp_path):
    cfg = composed("eval", written(tmp_path, "ULRSSM", 128), "solver=zoomout", "backbone.network.k=60")
    assert cfg.solver._target_.endswith(".ZoomOut") and cfg.backbone.network.k == 60
    assert not any(text.startswith("solver=") for text in cfg.weights_settle)


@pytest.mark.parametrize(("inputs", "read_out"), [(128, "spectral"), (3, "features")])
def test_their_own_method_reads_out_as_the_file_says(tmp_path, inputs, read_out):
    cfg = composed("eval", written(tmp_path, "ULRSSM", inputs), "method=ulrssm")
    assert (cfg.method_name, cfg.solver.read_out) == ("ulrssm", read_out)
    assert composed("eval", written(tmp_path, "ULRSSM", inputs), "method=consistent_fmaps").solver.read_out == (
        "regularised"
    )


def test_the_untrained_control_of_a_file_has_its_network_and_none_of_its_weights(home):
    cfg = configured("eval", home, *FITTING, "untrained=true")
    check(cfg)
    run = runtime_build.build(cfg)
    stored = torch.load(home / "faust.pth", weights_only=True)["networks"]["feature_extractor"]
    assert run.module.backbone.network.last.weight.shape == stored["last_linear.weight"].shape
    assert not torch.equal(run.module.backbone.network.last.weight, stored["last_linear.weight"])
    assert run.weights == "none: untrained, seed 0"
    assert run.trained_on == []


def test_match_takes_their_network_and_keeps_its_own_starts(tmp_path):
    files = ["source=a.off", "target=b.off"]
    cfg = composed("match", written(tmp_path, "ULRSSM", 128), *files)
    assert cfg.backbone.network.out_channels == 24 and cfg.solver._target_.endswith(".ZoomOut")
    cfg = composed("match", written(tmp_path, "ULRSSM", 128), *files, "starts=features")
    assert cfg.solver._target_.endswith(".TwoBranch")


@pytest.mark.parametrize("method", ["ulrssm", "consistent_fmaps", "geomfmaps", "geomfmaps_supervised", "simplified"])
def test_a_method_of_training_is_evaluated_without_what_is_for_training_alone(method):
    cfg = composed("eval", f"method={method}", "untrained=true")
    check(cfg)
    assert cfg.method_name == method
    assert (cfg.optimizer, cfg.scheduler, dict(cfg.loss), list(cfg.callbacks)) == (None, None, {}, ["progress"])
    assert "monitor" not in cfg and "recipe" not in cfg


def test_its_losses_stay_where_pairs_are_tuned_by_them():
    cfg = composed("eval", "method=ulrssm", "untrained=true", "adaptation=fine_tuning")
    assert sorted(cfg.loss) == ["bijectivity", "consistency", "orthogonality"]


@pytest.mark.parametrize("typed", ["scheduler=cosine", "recipe=paper", "optimizer.lr=0.1"])
def test_what_is_for_training_is_refused_in_an_evaluation(typed):
    key = typed.split("=")[0]
    with pytest.raises(ConfigError, match=rf"{key}.* is for training, and eval\.py trains nothing; leave it out"):
        composed("eval", "untrained=true", f"+{typed}" if "." in typed else typed)


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
