"""``pullback.match``: the same map as the command line finds, from whatever a caller holds."""

import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from tests.fakes import write_mesh
from tests.test_entry_points import run

import pullback as pb
from pullback.api.matching import matcher_for
from pullback.runtime import match_meshes

OPTIONS = {"data.k": 60, "backbone.descriptor.k": 60, "solver.k_init": 20, "solver.n_steps": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, icosphere, permuted_twin):
    """A folder with ``a.off``, its permuted twin ``b.off``, and a cache."""
    folder = tmp_path_factory.mktemp("api")
    write_mesh(folder / "a.off", *icosphere)
    write_mesh(folder / "b.off", *permuted_twin[:2])
    return folder


@pytest.fixture(scope="module")
def options(folder):
    return {**OPTIONS, "paths.cache_dir": folder / "cache"}


@pytest.fixture(scope="module")
def plain(options):
    """The same from one start: for what does not depend on how a map is found."""
    return {**options, "starts": "features"}


@pytest.fixture(scope="module")
def matched(folder, options):
    """The match of the two files."""
    return pb.match(folder / "a.off", str(folder / "b.off"), options=options)


@pytest.fixture(scope="module")
def matched_plainly(folder, plain):
    return pb.match(folder / "a.off", folder / "b.off", options=plain)


@pytest.fixture(scope="module")
def saved(matched, tmp_path_factory):
    """The folder in which the match is saved."""
    folder = tmp_path_factory.mktemp("saved")
    assert matched.save(folder) == folder / "report" / "index.html"
    return folder


def test_a_call_finds_what_the_command_finds(folder, options, matched):
    typed = [f"{key}={value}" for key, value in options.items()]
    run("match", str(folder / "a.off"), str(folder / "b.off"), *typed, folder=folder / "run")
    with np.load(folder / "run" / "match.npz") as stored:
        assert np.array_equal(stored["p2p21"], matched.p2p21)
        assert np.array_equal(stored["fmap12"], matched.fmap12)


def test_shapes_prepared_at_the_same_time_are_those_prepared_in_turn(folder, tmp_path):
    """And the threads are afterwards as many as before."""
    paths, before, prepared = [folder / "a.off", folder / "b.off"], torch.get_num_threads(), {}
    for threads in (1, 2):
        matcher = matcher_for(None, {**OPTIONS, "paths.cache_dir": tmp_path / str(threads)}, None)
        torch.set_num_threads(threads)
        try:
            prepared[threads] = matcher.prepare_both(*paths)
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
    for one, other in zip(*prepared.values(), strict=True):
        assert one.shape.name == other.shape.name and torch.equal(one.shape.basis.evecs, other.shape.basis.evecs)


def test_a_match_saves_what_the_command_writes(folder, matched, saved):
    assert (saved / "report" / "index.html").is_file()
    assert np.array_equal(np.loadtxt(saved / "p2p21.txt", dtype=int) - 1, matched.p2p21)
    config = OmegaConf.load(saved / "config.yaml")
    assert config.paths.output_dir == str(saved) and config.source == str(folder / "a.off")


def test_a_match_shows_the_page_that_it_saves(matched, saved):
    page = matched.show()
    assert page.html == (saved / "report" / "viewer.html").read_text(encoding="utf-8")
    assert page._repr_html_().startswith("<iframe")
    assert 'href="viewer.html"' in (saved / "report" / "index.html").read_text(encoding="utf-8")


def test_values_are_pulled_back_in_their_own_kind(matched, icosphere, permuted_twin):
    values = np.arange(642)
    assert np.array_equal(matched.pull_back(values), matched.p2p21)
    assert (matched.pull_back(icosphere[0]) == permuted_twin[0]).all(axis=1).mean() > 0.9
    pulled = matched.pull_back(torch.from_numpy(values))
    assert isinstance(pulled, torch.Tensor) and pulled.tolist() == matched.p2p21.tolist()
    with pytest.raises(pb.UserError, match="are not those of 642 vertices"):
        matched.pull_back(values[1:])


def test_bases_features_and_maps_belong_together(matched):
    assert matched.basis1.k == 60 and matched.feat1.shape == (642, 128)
    assert matched.fmap12.shape == (50, 50)
    known = matched.basis2.first(50).project(matched.basis1.first(50).evecs[torch.from_numpy(matched.p2p21)])
    assert np.abs(matched.fmap12 - known.numpy()).max() < 0.1
    assert np.array_equal(matched.vertices1, np.arange(642))


def forms(verts, faces):
    import pyvista
    import trimesh
    from torch_geometric.data import Data

    tensors = torch.from_numpy(verts), torch.from_numpy(faces)
    return {
        "arrays": (verts, faces),
        "tensors": tensors,
        "lists": [verts.tolist(), faces.tolist()],
        "trimesh": trimesh.Trimesh(verts, faces, process=False),
        "pyvista": pyvista.PolyData.from_regular_faces(verts, faces),
        "torch-geometric": Data(pos=tensors[0], face=tensors[1].T),
        "open3d": SimpleNamespace(vertices=verts.tolist(), triangles=faces.tolist()),
    }


@pytest.mark.parametrize("form", ["arrays", "tensors", "lists", "trimesh", "pyvista", "torch-geometric", "open3d"])
def test_meshes_of_every_form_are_the_mesh_of_the_file(form, folder, plain, matched_plainly, icosphere):
    given = forms(*icosphere)[form]
    found = pb.match(given, folder / "b.off", options=plain)
    assert np.array_equal(found.p2p21, matched_plainly.p2p21)
    assert found.shape1.name == "source"


def test_dropped_vertices_are_minus_one_and_get_no_values(icosphere, plain, folder):
    verts = np.concatenate([icosphere[0], [[9.0, 9, 9]]])
    found = pb.match(folder / "a.off", (verts, icosphere[1]), options=plain)
    assert found.p2p21[-1] == -1 and np.isnan(found.pull_back(np.arange(642))[-1])
    assert "target: " in found.notes[0]
    assert found.save(folder / "dropped").is_file()


def test_vertices_without_a_partner_are_minus_one_and_get_no_values(matched):
    upper = matched.shape2.verts[:, 2] > 0
    m = type(matched)(matched._matcher, replace(matched._result, matched2=upper))
    assert np.array_equal(m.matched, upper[m._result.target.relabel.successor]) and m.matched1.all()
    assert np.array_equal(m.p2p21 < 0, ~m.matched)
    assert np.array_equal(np.isnan(m.pull_back(np.arange(642))), ~m.matched)


def test_whole_shapes_are_no_parts_unless_one_is_said_to_be(icosphere, plain, monkeypatch):
    asked = []
    monkeypatch.setattr(match_meshes, "match_part", lambda source, target, part, *given, **more: asked.append(part))
    ordinary = pb.match(icosphere, icosphere, options=plain)
    assert not asked
    given = pb.match(icosphere, icosphere, partial="target", options=plain)
    assert [(part.side, part.asked) for part in asked] == [(1, True)]
    assert np.array_equal(given.p2p21, ordinary.p2p21)  # where no region can be matched
    with pytest.raises(pb.UserError, match="partial=left is unknown"):
        pb.match(icosphere, icosphere, partial="left", options=plain)


def test_landmarks_are_a_file_from_1_or_an_array_from_0(folder, options, permuted_twin, tmp_path):
    ids2 = np.array([3, 200, 400, 600])
    pairs = np.stack([permuted_twin[2][ids2], ids2], axis=1)
    np.savetxt(tmp_path / "pairs.txt", pairs + 1, fmt="%d")
    chosen = {key: value for key, value in options.items() if key != "backbone.descriptor.k"}
    arrays, file = (
        pb.match(folder / "a.off", folder / "b.off", landmarks=landmarks, options=chosen)
        for landmarks in (pairs, tmp_path / "pairs.txt")
    )
    assert np.array_equal(arrays.p2p21, file.p2p21)
    assert arrays.config["backbone"]["_target_"].endswith("LandmarkFeatures")


@pytest.mark.parametrize(
    "landmarks", [[[0, 0], [1, 1]], [[0, 0], [1, 1], [1, 2]], [[0, 0], [1, 1], [2, 642]], [[0.5, 0]] * 3]
)
def test_landmarks_that_cannot_be_are_refused(landmarks, folder, options):
    chosen = {key: value for key, value in options.items() if key != "backbone.descriptor.k"}
    with pytest.raises(pb.UserError, match="landmarks: "):
        pb.match(folder / "a.off", folder / "b.off", landmarks=landmarks, options=chosen)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"sovler": "zoomout"}, "did you mean solver=zoomout"),
        ({"solver": "zoomuot"}, "solver=zoomuot does not exist; did you mean solver=zoomout"),
        ({"options": {"data.k": 40}}, "needs .* eigenfunctions but data.k=40"),
        ({"solver": "closed_form"}, "is not for meshes"),
        ({"ckpt": "nosuch.ckpt"}, "ckpt=nosuch.ckpt does not exist"),
        ({"backbone": "diffusion_net"}, "untrained=true"),
        ({"device": "cuda:7"}, "device=cuda:7"),
        ({"config_dir": "nosuch"}, "nosuch is no folder"),
    ],
)
def test_what_the_command_would_refuse_is_raised_in_its_words(named, said, folder):
    with pytest.raises(pb.UserError, match=said):
        pb.match(folder / "a.off", folder / "b.off", **named)


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (np.zeros((5, 3)), "holds 5 points, but no faces"),
        ((np.zeros((5, 2)), np.zeros((1, 3), int)), "its vertices have the shape"),
        ((np.zeros((5, 3)), np.zeros((1, 4), int)), "cut polygons into triangles"),
        ((np.full((5, 3), np.nan), np.array([[0, 1, 2]])), "source: 5 vertices have NaN"),
        (42, "is a int, which is neither a mesh nor a photograph"),
        ("nosuch.off", "nosuch.off does not exist"),
        (np.zeros((40, 40, 3), np.uint8), "one of the two is a photograph"),
    ],
)
def test_what_cannot_be_matched_is_refused_by_name(thing, said, folder, options):
    with pytest.raises(pb.UserError, match=said):
        pb.match(thing, folder / "b.off", options=options)


def test_nothing_of_the_caller_is_disturbed(folder, options, tmp_path, monkeypatch, capsys):
    from hydra import compose, initialize_config_dir

    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text("a: ${first_of:1,2}\n")
    OmegaConf.register_new_resolver("first_of", lambda *values: "mine", replace=True)
    torch.manual_seed(7)
    before = torch.random.get_rng_state(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with initialize_config_dir(version_base="1.2", config_dir=str(tmp_path / "conf")):
        own = GlobalHydra.instance().hydra
        pb.match(folder / "a.off", folder / "b.off", options=options)
        assert GlobalHydra.instance().hydra is own and not HydraConfig.initialized()
        assert compose("mine").a == "mine"
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1:] == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    assert os.listdir(tmp_path) == ["conf"] and os.getcwd() == str(tmp_path)
    assert capsys.readouterr() == ("", "")
    OmegaConf.clear_resolver("first_of")


def test_own_yaml_folders_and_classes_are_used(folder, options, tmp_path):
    (tmp_path / "solver").mkdir()
    (tmp_path / "solver" / "mine.yaml").write_text(
        "_target_: pullback.solvers.zoomout.ZoomOut\nk_init: 25\nn_steps: 1\n"
    )
    chosen = {key: value for key, value in options.items() if not key.startswith("solver.")}
    found = pb.match(folder / "a.off", folder / "b.off", solver="mine", options=chosen, config_dir=tmp_path)
    assert found.fmap12.shape == (35, 35)


def test_everything_that_a_caller_holds_prints_one_line(matched):
    for thing in (matched, matched.shape1, matched.basis1, matched._result, matched._result.source):
        assert "\n" not in repr(thing) and "tensor(" not in repr(thing) and len(repr(thing)) < 300
    assert repr(matched.basis1).startswith("Eigenbasis(evals=float32[60], evecs=float32[642, 60], ")
    assert repr(matched).startswith("MeshMatch(b → a: p2p21[642], fmap12[50, 50]; WKS, ZoomOut 20 → 50 by 10")


def test_public_names_are_listed_and_there():
    assert set(pb.__all__) <= set(dir(pb))
    assert all(getattr(pb, name).__doc__ for name in pb.__all__)
    with pytest.raises(AttributeError, match="no attribute 'matches'"):
        _ = pb.matches
