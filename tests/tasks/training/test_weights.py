"""Weights out of files: read without running anything, within bounds, and refused where they are no numbers."""

import copyreg
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.foreign_files import honest_checkpoint, write_checkpoint
from torch import nn

from pullback.errors import UserError
from pullback.nn.cnn import load_weights as load_efficientnet
from pullback.nn.finite import DeadFeaturesError, NotFiniteError, check_features
from pullback.nn.foreign_weights import ForeignWeightsError
from pullback.nn.weight_files import WeightsFileError, read_tensors, tensors_of
from pullback.runtime.settings import instantiate
from pullback.tasks.training.weights import CheckpointError, load_checkpoint, load_to_resume, load_weights_of_others


class Call:
    """Pickles as a call, which an unpickler makes."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def weights_with(value: float, name: str | None = None) -> dict[str, torch.Tensor]:
    """The honest weights with one value changed, in one tensor or in the last."""
    weights = {key: values.clone() for key, values in honest_checkpoint()["state_dict"].items()}
    weights[name or list(weights)[-1]].view(-1)[0] = value
    return weights


def of_itself() -> dict:
    weights: dict = {}
    weights["more"] = weights
    return weights


def nested(depth: int) -> dict:
    return {"a": nested(depth - 1)} if depth else {"b": torch.ones(1)}


def module() -> nn.Module:
    return nn.ModuleDict({"backbone": instantiate(honest_checkpoint()["config"]["backbone"])})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_every_tensor_of_a_checkpoint_is_looked_at(value, tmp_path):
    for name in honest_checkpoint()["state_dict"]:
        path = write_checkpoint(tmp_path / "x.ckpt", state_dict=weights_with(value, name))
        with pytest.raises(NotFiniteError, match=rf"x\.ckpt: the weights {name} are of no use: 1 of its"):
            load_checkpoint(path)


def test_large_finite_weights_are_no_fault(tmp_path):
    assert load_checkpoint(write_checkpoint(tmp_path / "x.ckpt", state_dict=weights_with(3e38)))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"state_dict": 5}, "its state_dict is a int"),
        ({"state_dict": {"a": {"b": torch.ones(1)}}}, "holds a dict under 'a'"),
        ({"state_dict": {1: torch.ones(1)}}, "holds a Tensor under '1'"),
        ({"state_dict": {"a": "text"}}, "holds a str under 'a'"),
        ({"state_dict": of_itself()}, "holds a dict under 'more'"),
        ({"state_dict": {"a": torch.ones(1).expand(10**12)}}, "claims 1,000,000,000,000 values for a"),
        ({"state_dict": {"a": torch.eye(3).to_sparse()}}, "sparse"),
        ({"state_dict": {"a": torch.empty(10**12, device="meta")}}, "claims|expected|damaged"),
        ({"state_dict": {"x" * 1000: torch.ones(1)}}, "name that is none"),
        ({"config": of_itself()}, "nested more than 32 deep, or in itself"),
        ({"config": [1]}, "no mapping"),
        ({"global_step": "\x1b[2J"}, "global_step is no number"),
        ({"config": {"a": torch.ones(1)}}, "holds a Tensor"),
    ],
)
def test_a_checkpoint_of_another_form_is_refused_by_name(entries, message, tmp_path):
    with pytest.raises(UserError, match=rf"x\.ckpt.*({message})"):
        load_checkpoint(write_checkpoint(tmp_path / "x.ckpt", **entries))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("read", [load_checkpoint, load_to_resume, lambda path: load_weights_of_others(module(), path)])
@pytest.mark.parametrize("inside", ["state_dict", "config", "optimizer_states", "callbacks", "hyper_parameters"])
def test_pickled_calls_are_not_made(read, inside, tmp_path):
    canary = tmp_path / "canary"
    path = write_checkpoint(tmp_path / "x.ckpt", **{inside: Call(Path.touch, canary)})
    with pytest.raises(UserError, match=r"x\.ckpt"):
        read(path)
    path.write_bytes(pickle.dumps({**honest_checkpoint(), inside: Call(exec, f"open({str(canary)!r}, 'w')")}))
    with pytest.raises(UserError, match=r"x\.ckpt"):
        read(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    "call", [Call(copyreg._reconstructor, Path, object, None), Call(np.ndarray, (10**12,)), Call(bytearray, 10**12)]
)
def test_other_objects_are_not_made_either(call, tmp_path):
    with pytest.raises(CheckpointError, match=r"x\.ckpt is no checkpoint of plain tensors, or is damaged"):
        load_checkpoint(write_checkpoint(tmp_path / "x.ckpt", extra=call))


def repacked(path: Path, change) -> Path:
    """The archive with the bytes of its members changed, compressed."""
    with zipfile.ZipFile(path) as archive:
        content = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, change(name, data))
    return path


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    path = repacked(
        write_checkpoint(tmp_path / "x.ckpt"),
        lambda name, data: data + bytes(10**7) if name.endswith("data/0") else data,
    )
    assert path.stat().st_size < 10**6
    with pytest.raises(CheckpointError, match="unpack to 1"):
        load_checkpoint(path)


def test_a_tensor_that_claims_more_than_its_record_is_refused(tmp_path):
    torch.save({"state_dict": {"a": torch.arange(4.0)}, "config": {}}, path := tmp_path / "x.ckpt")
    with zipfile.ZipFile(path) as archive:
        content = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = next(name for name in content if name.endswith("data.pkl"))
    content[name] = content[name].replace(b"K\x04", b"J" + (10**6).to_bytes(4, "little"))
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in content.items():
            archive.writestr(member, data)
    with pytest.raises(UserError, match=r"x\.ckpt"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04", b"\x80\x04.", b"\x80\x02}q\x00."])
def test_a_file_of_another_kind_is_named(content, tmp_path):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.ckpt (is no checkpoint|was not written)"):
        load_checkpoint(tmp_path / "x.ckpt")
    with pytest.raises(ForeignWeightsError, match=r"weights=.*x\.ckpt"):
        load_weights_of_others(module(), tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    "content", [of_itself(), nested(60), {"a": {(1, 2): torch.ones(1)}}, {"a": torch.ones(1).expand(10**12)}]
)
def test_weights_from_elsewhere_are_bounded_too(content, tmp_path):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ForeignWeightsError, match=r"weights=.*x\.pth (is nested|has a name|claims|is damaged)"):
        load_weights_of_others(module(), tmp_path / "x.pth")


def test_weights_from_elsewhere_that_are_no_numbers_are_refused_by_name(tmp_path):
    name = "backbone.network.first.bias"
    torch.save(weights_with(float("nan"), name), tmp_path / "x.pth")
    with pytest.raises(
        NotFiniteError, match=r"weights=.*x\.pth: the weights backbone\.network\.first\.bias are of no use"
    ):
        load_weights_of_others(module(), tmp_path / "x.pth")


def test_the_configuration_in_a_weights_file_is_not_believed(tmp_path):
    for config in (5, {"backbone": 5}, {"backbone": {"network": [1]}}):
        torch.save({"state_dict": honest_checkpoint()["state_dict"], "config": config}, tmp_path / "x.pth")
        assert "x.pth from elsewhere" in load_weights_of_others(module(), tmp_path / "x.pth")


def test_tensors_are_found_by_their_names_in_nested_dictionaries():
    assert dict(tensors_of({"module": {"a": torch.ones(1)}, "b.module.c": torch.ones(1), "n": 3})).keys() == {
        "a",
        "b.c",
    }


def test_an_image_backbone_refuses_weights_that_are_no_numbers(tmp_path):
    network = nn.Linear(2, 2)
    torch.save({"weight": torch.full((2, 2), torch.nan), "bias": torch.ones(2)}, tmp_path / "x.pth")
    with pytest.raises(NotFiniteError, match=r"x\.pth: the weights weight are of no use: 4 of its 4 values"):
        load_efficientnet(network, tmp_path / "x.pth")


@pytest.mark.parametrize(
    "named", ["../thesis.tex", "/home/you/thesis.tex", "checkpoints/../../x", "https://x/y", "sub/x.ckpt"]
)
def test_a_training_does_not_go_on_from_a_file_that_has_others_deleted(named, tmp_path):
    folder = tmp_path / "checkpoints"
    state = {
        "dirpath": str(folder),
        "best_k_models": {str(folder / "best.ckpt"): torch.tensor(0.1)},
        "last_model_path": "",
    }
    load_to_resume(write_checkpoint(tmp_path / "x.ckpt", callbacks={"ModelCheckpoint": state}))
    other = str(folder / named) if not named.startswith("http") else named
    for hostile in (
        {"best_k_models": {other: torch.tensor(0.1)}},
        {"kth_best_model_path": other},
        {"last_model_path": other},
    ):
        path = write_checkpoint(tmp_path / "x.ckpt", callbacks={"ModelCheckpoint": state | hostile})
        with pytest.raises(CheckpointError, match="which is none of its checkpoints"):
            load_to_resume(path)


def test_only_plain_tensors_are_read(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "x.pth")
    assert torch.equal(read_tensors(tmp_path / "x.pth")["a"], torch.ones(2))
    torch.save(nn.Linear(1, 1), tmp_path / "x.pth")
    with pytest.raises(WeightsFileError, match=r"it names torch\.nn\.modules\.linear\.Linear"):
        read_tensors(tmp_path / "x.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_no_numbers_are_refused_with_the_name_of_their_shape(value):
    features = torch.rand(10, 3)
    check_features(features, of="cat", varied=True)
    features[4, 1] = value
    with pytest.raises(NotFiniteError, match="the features of cat are NaN or infinite at 1 of 10 points"):
        check_features(features, of="cat")


@pytest.mark.parametrize("features", [torch.zeros(10, 3), torch.tensor([[1.0, -7.0, 3e5]]).repeat(10, 1)])
def test_features_that_are_the_same_everywhere_are_refused_where_a_map_is_made_of_them(features):
    check_features(features, of="cat")
    with pytest.raises(DeadFeaturesError, match="the features of cat are the same at all 10 points"):
        check_features(features, of="cat", varied=True)
    features[3, 1] += 1
    check_features(features, of="cat", varied=True)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e4m3fn])
def test_weights_in_numbers_that_no_network_has_are_refused(dtype):
    with pytest.raises(WeightsFileError, match=f"holds w in numbers of the type {dtype}"):
        list(tensors_of({"w": torch.zeros(2).to(dtype)}))


def test_a_file_that_calls_something_is_refused_with_its_name_and_without_advice_to_allow_it(tmp_path):
    class Call:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "canary",))

    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Call(), protocol=2))
    torch.save({"x": Call()}, tmp_path / "archive.pth")
    for name in ("raw.pth", "archive.pth"):
        with pytest.raises(WeightsFileError) as refused:
            read_tensors(tmp_path / name)
        assert "weights_only" not in str(refused.value) and "\x1b" not in str(refused.value)
    assert "names pathlib.Path.touch" in str(refused.value) or "more than tensors" in str(refused.value)
    assert not (tmp_path / "canary").exists()
