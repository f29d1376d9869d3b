"""The verdict on two files: with reasons, with advice, and in everything that is written."""

import json

import numpy as np
import pytest
import torch
from tests.fakes import write_mesh
from tests.meshes import sphere

from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.figures.camera import View
from pullback.metrics.verdict import ErrorModel, Judge
from pullback.nn.backbone import Backbone, RawDescriptor
from pullback.nn.descriptor import WKS
from pullback.nn.diffusion_net import DiffusionNet
from pullback.solvers.best_of_starts import BestOfStarts
from pullback.solvers.nearest import FeatureNearest
from pullback.solvers.starts import FeatureStart, PositionStart, SpectralStart
from pullback.tasks.mesh.boundaries import partial_remark
from pullback.tasks.mesh.judging import named_features, reasons
from pullback.tasks.mesh.match_report import write_match
from pullback.tasks.mesh.two_meshes import match_shapes, write_map

SETTINGS = PreparationSettings(k=60)


def judge(good_below):
    model = ErrorModel(
        energies={"cycle": [1.0, -4.0, 1.0]},
        intercept=-3.0,
        good_below=good_below,
        wrong_above=10.0,
        points=[-100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0],
    )
    return Judge(models=[model])


@pytest.fixture
def shapes(icosphere, permuted_twin, tmp_path):
    write_mesh(tmp_path / "source.off", *icosphere)
    write_mesh(tmp_path / "target.off", *permuted_twin[:2])
    return [load_shape(tmp_path / f"{side}.off", SETTINGS, tmp_path / "cache") for side in ("source", "target")]


def matched(shapes, *, good_below, starts=None):
    chooser = BestOfStarts(
        starts=starts or [PositionStart(), FeatureStart()], judge=judge(good_below), points=300, k=40
    )
    backbone = RawDescriptor(WKS(k=60))
    device = torch.device("cpu")
    return match_shapes(*shapes, backbone, FeatureNearest(), device=device, starts=chooser, judge=judge(good_below))


def test_the_solver_gets_the_best_start(shapes, permuted_twin):
    result = matched(shapes, good_below=1.0)
    assert (result.between_files() == permuted_twin[2]).mean() > 0.8
    assert result.verdict.verdict.level == "good" and result.verdict.verdict.advice == ""
    assert result.verdict.confidence2.shape == (642,) and result.verdict.confidence2.mean() > 0.8


def test_files_and_report_carry_the_verdict(shapes, tmp_path):
    result = matched(shapes, good_below=1e-6)
    write_map(tmp_path / "run", result)
    report = write_match(tmp_path / "run", result, method="nearest", view=View(), config="")
    stored = np.load(tmp_path / "run" / "match.npz")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["verdict"]["level"] == "doubtful" and "landmarks=pairs.txt" in metrics["verdict"]["advice"]
    assert str(stored["verdict"]).startswith("doubtful") and stored["confidence2"].shape == (642,)
    assert metrics["starts"][0]["expected_error"] <= metrics["starts"][-1]["expected_error"]
    assert "Verdict: doubtful" in report.read_text()


def test_without_a_choice_the_features_themselves_are_matched(shapes):
    result = matched(shapes, good_below=1.0, starts=[FeatureStart(k_init=[30], only_first=True)])
    plain = match_shapes(*shapes, RawDescriptor(WKS(k=60)), FeatureNearest(), device=torch.device("cpu"))
    assert torch.equal(result.p2p21, plain.p2p21) and plain.verdict is None
    assert result.verdict is not None


@pytest.mark.parametrize("mesh", [(np.array([[0, 0, 0], [1, 0, 0], [0, 1.5, 0.0]]), np.array([[0, 1, 2]])), sphere(0)])
def test_meshes_of_a_few_vertices_get_their_verdict_too(mesh, tmp_path):
    verts, faces = mesh
    write_mesh(tmp_path / "small.off", verts * [1.0, 1.1, 1.3], faces)
    small = load_shape(tmp_path / "small.off", PreparationSettings(), tmp_path / "cache")
    chooser = BestOfStarts(starts=[PositionStart(), SpectralStart()], judge=judge(1.0))
    backbone, device = RawDescriptor(WKS()), torch.device("cpu")
    result = match_shapes(small, small, backbone, FeatureNearest(), device=device, starts=chooser, judge=judge(1.0))
    assert np.isfinite(list(result.verdict.energies.values())).all()
    assert result.verdict.confidence2.shape == (len(verts),)


def test_reasons_are_those_that_weigh_most_and_say_how_much():
    energies = {"flipped": 0.62, "cycle": 0.2, "area": 1.0, "orthogonality": 0.5}
    said = reasons(energies, {"flipped": 0.9, "cycle": -0.4, "area": 0.3, "orthogonality": 0.2})
    assert said == (
        "62 % of the surface is turned inside out, as where left and right are exchanged",
        "areas change much",
    )


def test_a_part_of_a_shape_is_told_by_its_boundary(shapes, icosphere, tmp_path):
    verts, faces = icosphere
    part = faces[(verts[faces][:, :, 2] > 0).all(axis=1)]
    used, corners = np.unique(part, return_inverse=True)
    write_mesh(tmp_path / "part.off", verts[used], corners.reshape(-1, 3))
    cut = load_shape(tmp_path / "part.off", SETTINGS, tmp_path / "cache")
    assert partial_remark(shapes[0], cut) == "the target has a long boundary, so it may be a part of the source"
    assert "each may have parts that the other lacks" in partial_remark(cut, cut)
    assert partial_remark(*shapes) == ""


def test_a_network_gives_a_second_opinion_from_a_tilted_input(shapes):
    network = DiffusionNet(in_channels=16, out_channels=8, width=16, n_blocks=1, k=40)
    backbone = Backbone(WKS(channels=16, k=60), network).eval()
    shape = shapes[0].shape
    with torch.no_grad():
        found = named_features(backbone, shape, backbone(shape))
    assert list(found) == ["learned", "tilted", "wks"]
    assert not torch.allclose(found["learned"], found["tilted"])
