"""The weights that come with the package."""

from pathlib import Path

import pytest
import torch

from pullback.data.mesh.library import ShapeLibrary
from pullback.data.mesh.sets.humans import Humans
from pullback.data.mesh.shapes import PreparationSettings
from pullback.metrics.geodesic import geodesic_errors
from pullback.runtime.offered import OFFERED
from pullback.runtime.settings import instantiate
from pullback.tasks.training.shipped import FOLDER, shipped_names, weights_file
from pullback.tasks.training.weights import load_checkpoint, load_weights
from pullback.types import ShapePair


def test_a_file_of_the_same_name_comes_before_shipped_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "humans").mkdir()  # a folder is no checkpoint
    assert weights_file("humans") == FOLDER / "humans.ckpt"
    (tmp_path / "humans").rmdir()
    (tmp_path / "humans").write_bytes(b"mine")
    assert weights_file("humans").read_bytes() == b"mine"
    assert str(weights_file("humen")) == "humen"


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_weights_are_small_and_have_a_card_and_name_no_folder_of_a_machine(name):
    file = FOLDER / f"{name}.ckpt"
    assert file.stat().st_size < 5 * 2**20
    assert "CC0" in (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    config = load_checkpoint(name)["config"]
    assert set(OFFERED) & set(config) == {"backbone", "solver", "loss"}
    assert "'/" not in str(config)


def test_shipped_weights_tell_left_from_right_on_bodies_they_have_not_seen(tmp_path):
    checkpoint = load_checkpoint("humans")
    backbone = instantiate(checkpoint["config"]["backbone"])
    load_weights(torch.nn.ModuleDict({"backbone": backbone}), checkpoint)
    library = ShapeLibrary(PreparationSettings(k=130), tmp_path)
    files = Humans(Path(__file__).resolve().parents[3] / "data" / "humans").shapes("test")[:2]
    one, two = (library.load(each) for each in files)
    with torch.no_grad():
        feat1, feat2 = backbone.eval()(one.shape), backbone(two.shape)
        match = instantiate(checkpoint["config"]["solver"])(feat1, feat2, one.shape.basis, two.shape.basis)
    pair = ShapePair(one.shape, two.shape, one.corr, two.corr, geodesics1=library.geodesics(files[0], "dijkstra"))
    assert float(geodesic_errors(match.p2p21, pair).mean()) < 0.04
