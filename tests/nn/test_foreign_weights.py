"""DiffusionNet weights in the layouts of other code bases give, in our network,
the features that they give in theirs.
"""

import zipfile
from argparse import Namespace

import pytest
import torch
from tests.foreign_networks import DiffusionNetOfSharp, DiffusionNetOfUlrssm, dpfm_state, ulrssm_checkpoint
from torch import nn

from pullback.nn.backbone import Backbone, RawDescriptor
from pullback.nn.descriptor import WKS, XYZ
from pullback.nn.diffusion_net import DiffusionNet
from pullback.nn.foreign_weights import ForeignWeightsError, find_network, load_foreign
from pullback.tasks.training.weights import load_weights_of_others

K = 20


def backbone(**options):
    torch.manual_seed(1)
    options = {"width": 16, "n_blocks": 2, "k": K} | options
    return Backbone(WKS(12, k=K), DiffusionNet(options.pop("inputs", 12), options.pop("outputs", 6), **options)).eval()


def check_same_features(theirs, ours, shape):
    """Both compute the same from the same inputs."""
    inputs = ours.descriptor(shape)
    with torch.no_grad():
        expected = theirs.eval()(inputs, shape, K)
        assert expected.std() > 1e-3
        assert torch.allclose(ours(shape), expected, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize(
    ("foreign", "variant"),
    [(DiffusionNetOfSharp(), "complex"), (DiffusionNetOfUlrssm(), "ulrssm"), (DiffusionNetOfSharp(form=None), None)],
)
def test_features_are_those_of_the_other_code_base(tiny_shape, foreign, variant, dropout):
    ours = backbone(gradient_features=variant, dropout=dropout)
    load_foreign(ours, foreign.state_dict())
    check_same_features(foreign, ours, tiny_shape)


@pytest.mark.parametrize("foreign", [DiffusionNetOfSharp(form="real"), DiffusionNetOfUlrssm(form="real")])
def test_gradients_without_rotations_become_complex_products_without_an_imaginary_part(tiny_shape, foreign):
    ours = backbone(gradient_features="complex")
    load_foreign(ours, foreign.state_dict())
    assert ours.network.blocks[1].products.a_im.weight.abs().max() == 0
    check_same_features(foreign, ours, tiny_shape)


@pytest.mark.parametrize("parallel", ["", "module."])
def test_a_training_checkpoint_with_networks_and_optimisers_is_read(tiny_shape, parallel):
    foreign, ours = DiffusionNetOfUlrssm(), backbone(gradient_features="ulrssm")
    found = load_foreign(ours, ulrssm_checkpoint(foreign, parallel=parallel))
    assert (found.layout, found.prefix) == ("ulrssm", "networks.feature_extractor.")
    check_same_features(foreign, ours, tiny_shape)


def test_what_lies_around_the_network_is_ignored_and_said(tiny_shape):
    """DPFM's refiner has layers of the same names as the network."""
    foreign, ours = DiffusionNetOfSharp(), backbone()
    found = load_foreign(ours, {"epoch": 2, "model": dpfm_state(foreign)})
    assert found.ignored() == "model.feat_refiner (6 tensors)"
    check_same_features(foreign, ours, tiny_shape)


def test_our_own_checkpoints_are_read_too(tiny_shape):
    theirs, ours = backbone(gradient_features="ulrssm", dropout=0.5), backbone(gradient_features="ulrssm")
    nn.init.uniform_(theirs.network.last.weight)
    state = {f"backbone.{name}": value for name, value in theirs.state_dict().items()}
    load_foreign(ours, {"state_dict": state, "config": {"backbone": {"network": {"gradient_features": "ulrssm"}}}})
    assert torch.equal(ours(tiny_shape), theirs(tiny_shape))


def test_a_network_of_other_sizes_is_refused_with_layer_shapes_and_overrides():
    foreign = DiffusionNetOfUlrssm(inputs=10, outputs=5, width=8, n_blocks=3)
    message = (
        r"does not fit: first\.weight \(first_linear\.weight\) has the shape \(8, 10\) in the file and \(16, 12\) "
        r"in the backbone "
        r"\(\d+ more of the kind\)\. It would with backbone\.descriptor\.channels=10 backbone\.network\.out_channels=5 "
        r"backbone\.network\.width=8 backbone\.network\.n_blocks=3 backbone\.network\.gradient_features=ulrssm$"
    )
    ours = backbone()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    with pytest.raises(ForeignWeightsError, match=message):
        load_foreign(ours, foreign.state_dict())
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items()), (
        "nothing is loaded in part"
    )


def test_the_overrides_of_a_refusal_fit():
    foreign = DiffusionNetOfSharp(outputs=9, n_blocks=1, form=None)
    options = find_network(foreign.state_dict()).options()
    sizes = {key.rsplit(".", 1)[1]: value for key, value in options.items()}
    assert sizes == {"channels": 12, "out_channels": 9, "width": 16, "n_blocks": 1, "gradient_features": None}
    load_foreign(backbone(outputs=9, n_blocks=1, gradient_features=None), foreign.state_dict())


@pytest.mark.parametrize(
    ("foreign", "variant", "typed"),
    [
        (DiffusionNetOfUlrssm(), "complex", "ulrssm"),
        (DiffusionNetOfSharp(), "ulrssm", "complex"),
        (DiffusionNetOfSharp(form=None), "complex", "null"),
    ],
)
def test_another_form_of_the_gradient_products_is_refused(foreign, variant, typed):
    with pytest.raises(ForeignWeightsError, match=rf"It would with backbone\.network\.gradient_features={typed}$"):
        load_foreign(backbone(gradient_features=variant), foreign.state_dict())


def test_weights_for_coordinates_ask_for_the_backbone_of_coordinates():
    with pytest.raises(ForeignWeightsError, match=r"It would with backbone=diffusion_net_xyz$"):
        load_foreign(backbone(), DiffusionNetOfSharp(inputs=3).state_dict())
    ours = Backbone(XYZ(), DiffusionNet(3, 6, width=16, n_blocks=2, k=K))
    load_foreign(ours, DiffusionNetOfSharp(inputs=3).state_dict())
    with pytest.raises(
        ForeignWeightsError, match=r"It would with backbone=diffusion_net backbone\.descriptor\.channels=16$"
    ):
        load_foreign(ours, DiffusionNetOfSharp(inputs=16).state_dict())


def test_blocks_that_no_option_gives_are_refused_as_such():
    with pytest.raises(
        ForeignWeightsError, match=r"blocks\.0\.mlp\.0\.weight .*\(32, 48\).*\(16, 48\).*No option of the backbone"
    ):
        load_foreign(backbone(), DiffusionNetOfSharp(hidden=[32, 16]).state_dict())
    normalised = DiffusionNetOfSharp().state_dict() | {"block_0.norm.weight": torch.ones(16)}
    with pytest.raises(ForeignWeightsError, match=r"block_0\.norm\.weight is no part of our DiffusionNet.*No option"):
        load_foreign(backbone(), normalised)


def test_a_missing_layer_is_named():
    state = DiffusionNetOfUlrssm().state_dict()
    del state["last_linear.bias"]
    with pytest.raises(ForeignWeightsError, match=r"last\.bias \(last\.bias\) does not exist in the file"):
        load_foreign(backbone(gradient_features="ulrssm"), state)


def test_of_several_networks_the_feature_extractor_is_meant_or_none():
    one, other = DiffusionNetOfUlrssm().state_dict(), DiffusionNetOfUlrssm().state_dict()
    assert (
        find_network({"networks": {"interpolator": one, "feature_extractor": other}}).prefix
        == "networks.feature_extractor."
    )
    with pytest.raises(ForeignWeightsError, match=r"holds 2 DiffusionNets \(networks\.a, networks\.b\).*torch\.save"):
        find_network({"networks": {"a": one, "b": other}})


def test_a_file_without_such_a_network_is_refused_with_what_it_holds():
    with pytest.raises(
        ForeignWeightsError, match=r"holds no DiffusionNet with the names of .*ulrssm.*, but 0\.weight, 0\.bias$"
    ):
        find_network(nn.Sequential(nn.Linear(2, 2)).state_dict())
    with pytest.raises(ForeignWeightsError, match="RawDescriptor; use backbone=diffusion_net"):
        load_foreign(RawDescriptor(WKS(12)), DiffusionNetOfSharp().state_dict())


class Module(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.backbone = backbone(**options)


def test_a_file_is_loaded_and_named_with_its_digest(tmp_path, caplog, tiny_shape):
    foreign, module = DiffusionNetOfUlrssm(), Module(gradient_features="ulrssm")
    torch.save(ulrssm_checkpoint(foreign), tmp_path / "faust.pth")
    with caplog.at_level("INFO"):
        where = load_weights_of_others(module, tmp_path / "faust.pth")
    assert where.startswith("faust.pth from elsewhere (names of ulrssm, sha256 ")
    assert (
        "networks.feature_extractor with the names of ulrssm; ignored around it: optimizers (66 tensors)" in caplog.text
    )
    check_same_features(foreign, module.backbone, tiny_shape)


def test_files_that_cannot_be_read_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"weights=.*nowhere\.pth does not exist"):
        load_weights_of_others(Module(), tmp_path / "nowhere.pth")
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ForeignWeightsError, match=r"weights=.*cut\.pth is damaged, .*: download it again"):
        load_weights_of_others(Module(), tmp_path / "cut.pth")
    torch.save(DiffusionNetOfUlrssm(width=8).state_dict(), tmp_path / "small.pth")
    with pytest.raises(ForeignWeightsError, match=r"weights=.*small\.pth does not fit: first\.weight"):
        load_weights_of_others(Module(), tmp_path / "small.pth")


class Code:
    """What would run as soon as a file is unpickled."""

    def __init__(self, proof):
        self.proof = str(proof)

    def __reduce__(self):
        return (open, (self.proof, "w"))


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
def test_code_in_a_file_is_named_and_never_run(tmp_path, archive):
    state = DiffusionNetOfUlrssm(width=8).state_dict()
    torch.save(
        {"networks": {"feature_extractor": state}, "args": Code(tmp_path / "ran")},
        tmp_path / "evil.pth",
        _use_new_zipfile_serialization=archive,
    )
    with pytest.raises(
        ForeignWeightsError, match=r"evil\.pth holds more than tensors and plain data \(it names io\.open"
    ):
        load_weights_of_others(Module(), tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("wrapping", ["network", "networks", "state_dict", "model_state_dict"])
def test_the_advice_for_a_trusted_file_that_holds_more_makes_one_that_is_read(tmp_path, monkeypatch, wrapping):
    network = DiffusionNetOfUlrssm(width=8)
    wrapped = {"feature_extractor": network.state_dict()} if wrapping == "networks" else network.state_dict()
    content = network if wrapping == "network" else {wrapping: wrapped, "args": Namespace(lr=1e-3)}
    torch.save(content, tmp_path / "more.pth")
    with pytest.raises(ForeignWeightsError, match="where you trust it: ") as refused:
        load_weights_of_others(Module(), tmp_path / "more.pth")
    advice = str(refused.value).split("where you trust it: ")[1].removesuffix(", with the code of its authors at hand")
    monkeypatch.chdir(tmp_path)
    exec(advice, {"torch": torch, "FILE": "more.pth"})
    assert find_network(torch.load("weights.pth", weights_only=True)).authors == "ULRSSM"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged, or no file of weights .*is empty, or ends too early.*download it again"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page .*save the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS .*git lfs pull"),
    ],
)
def test_what_came_instead_of_weights_is_named_and_not_to_be_trusted(tmp_path, content, message):
    (tmp_path / "peer.pth").write_bytes(content)
    with pytest.raises(ForeignWeightsError, match=message) as caught:
        load_weights_of_others(Module(), tmp_path / "peer.pth")
    assert "weights_only=False" not in str(caught.value)


def test_an_archive_around_a_file_is_to_be_unpacked(tmp_path):
    torch.save(DiffusionNetOfUlrssm(width=8).state_dict(), tmp_path / "faust.pth")
    with zipfile.ZipFile(tmp_path / "weights.zip", "w") as archive:
        archive.write(tmp_path / "faust.pth", "faust.pth")
    with pytest.raises(ForeignWeightsError, match=r"is a ZIP archive .*unpack it and give the file of weights inside"):
        load_weights_of_others(Module(), tmp_path / "weights.zip")


@pytest.mark.parametrize("name", ["peer.safetensors", "peer.pth"])
def test_safetensors_are_known_by_their_content(tmp_path, tiny_shape, name):
    save_file = pytest.importorskip(
        "safetensors.torch", reason="needs safetensors, pip install 'pullback[images]'"
    ).save_file
    foreign = DiffusionNetOfUlrssm()
    save_file({key: value.contiguous() for key, value in foreign.state_dict().items()}, tmp_path / name)
    module = Module(gradient_features="ulrssm")
    load_weights_of_others(module, tmp_path / name)
    check_same_features(foreign, module.backbone, tiny_shape)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:200])
    with pytest.raises(ForeignWeightsError, match="is damaged"):
        load_weights_of_others(module, tmp_path / name)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_precision_are_taken_as_they_are(dtype):
    state = {name: value.to(dtype) for name, value in DiffusionNetOfUlrssm().state_dict().items()}
    module = Module(gradient_features="ulrssm")
    load_foreign(module.backbone, state)
    assert torch.equal(module.backbone.network.last.weight, state["last_linear.weight"].float())


def test_a_file_that_lacks_a_layer_is_not_said_to_have_other_blocks():
    state = {name: value for name, value in DiffusionNetOfUlrssm().state_dict().items() if name != "first_linear.bias"}
    with pytest.raises(
        ForeignWeightsError, match=r"does not exist in the file.* not whole, or its network is built oth"
    ):
        load_foreign(Module(gradient_features="ulrssm").backbone, state)


def test_dpfm_is_known_also_within_the_state_of_a_model():
    state = {f"module.{name}": value for name, value in dpfm_state(DiffusionNetOfSharp()).items()}
    assert find_network({"model": state}).authors == "DPFM"
