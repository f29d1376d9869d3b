"""What a match of two files says of vertices that are no longer there, or there twice."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.fakes import write_mesh
from tests.meshes import plane, sphere

from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.figures.camera import View
from pullback.figures.surface import as_array
from pullback.nn.backbone import RawDescriptor
from pullback.nn.descriptor import WKS
from pullback.solvers.nearest import FeatureNearest
from pullback.tasks.mesh.match_report import dropped_part, write_match
from pullback.tasks.mesh.two_meshes import match_shapes, write_map


@pytest.fixture
def files(icosphere, tmp_path):
    """A body, and the same with a smaller piece in front of it,
    an isolated vertex and a twin of vertex 7 of the body.
    """
    verts, faces = icosphere
    other, its_faces = sphere(1)
    write_mesh(tmp_path / "source.off", verts, faces)
    pieces = np.concatenate([0.8 * other + 9, verts, [[5.0, 5, 5]], verts[[7]]])
    twin = len(pieces) - 1
    faces = faces + len(other)
    row = np.flatnonzero((faces == len(other) + 7).any(axis=1))[:2]
    faces[row] = np.where(faces[row] == len(other) + 7, twin, faces[row])
    write_mesh(tmp_path / "target.off", pieces, np.concatenate([its_faces, faces]))
    return tmp_path / "source.off", tmp_path / "target.off"


@pytest.fixture
def result(files, tmp_path):
    settings = PreparationSettings(k=60, components="largest")
    source, target = (load_shape(path, settings, tmp_path / "cache") for path in files)
    return match_shapes(source, target, RawDescriptor(WKS(k=60)), FeatureNearest(), device=torch.device("cpu"))


def test_dropped_vertices_are_marked_and_twins_agree(result):
    found, pieces = result.between_files(), 42
    assert (found[:pieces] == -1).all() and found[-2] == -1
    assert found[-1] == found[pieces + 7] == 7
    assert (found[pieces:-2] == np.arange(642)).mean() > 0.99
    assert result.dropped() == (0, 43)


def test_the_source_has_no_dropped_vertex_hit(files, tmp_path):
    settings = PreparationSettings(k=60, components="largest")
    target, source = (load_shape(path, settings, tmp_path / "cache") for path in files)
    reverse = match_shapes(source, target, RawDescriptor(WKS(k=60)), FeatureNearest(), device=torch.device("cpu"))
    assert reverse.dropped() == (43, 0)
    assert reverse.between_files().min() >= 42
    assert "43 vertices of the source were dropped" in reverse.omissions()


def test_text_arrays_metrics_and_report_say_which_vertices_have_no_match(result, tmp_path):
    write_map(tmp_path / "run", result)
    report = write_match(tmp_path / "run", result, method="nearest", view=View(), config="")
    text, stored = np.loadtxt(tmp_path / "run" / "p2p21.txt", dtype=int), np.load(tmp_path / "run" / "match.npz")
    assert np.array_equal(text, stored["p2p21"] + 1)
    assert np.array_equal(text == 0, stored["dropped2"]) and stored["dropped2"].sum() == 43
    assert not stored["dropped1"].any()
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["dropped1"], metrics["dropped2"]) == (0, 43)
    assert "43 vertices of the target were dropped by cleaning: 0 in p2p21.txt" in report.read_text()


def test_the_dropped_piece_is_drawn_in_its_place(result, icosphere):
    rest = dropped_part(result.target)
    assert len(rest.verts) == 42 and len(rest.faces) == 80
    verts = icosphere[0]
    gap = np.linalg.norm(rest.verts.mean(axis=0) - as_array(result.target.shape.verts).mean(axis=0))
    edge = as_array(result.source.shape.verts)[0] - as_array(result.source.shape.verts)[1]
    unit = np.linalg.norm(edge) / np.linalg.norm(verts[0] - verts[1])
    assert gap == pytest.approx(unit * np.linalg.norm([9 - m for m in verts.mean(axis=0)]), rel=0.01)
    assert dropped_part(result.source) is None


def test_nothing_is_said_where_nothing_is_missing(files, tmp_path):
    source = load_shape(files[0], PreparationSettings(k=60), tmp_path / "cache")
    found = match_shapes(source, source, RawDescriptor(WKS(k=60)), FeatureNearest(), device=torch.device("cpu"))
    assert found.omissions() == ""
    assert found.between_files().tolist() == list(range(642))


def test_a_plane_torn_and_sewn_maps_both_copies_alike(tmp_path):
    verts, faces = plane(8)
    verts = verts * [1, 1.7, 1] + 0.3 * np.sin(3 * verts[:, [1]] + verts[:, [0]]) * [0, 0, 1]
    right = verts[faces].mean(axis=1)[:, 0] > 0.5
    torn = np.where(right[:, None], faces + len(verts), faces)
    torn[0, 0] = faces[0, 0]
    write_mesh(tmp_path / "torn.off", np.concatenate([verts, verts]), torn)
    shape = load_shape(tmp_path / "torn.off", PreparationSettings(), tmp_path / "cache")
    found = match_shapes(
        shape, shape, RawDescriptor(WKS()), FeatureNearest(), device=torch.device("cpu")
    ).between_files()
    assert np.array_equal(found[:64], found[64:])


def test_vertices_without_a_partner_are_marked_in_text_arrays_metrics_and_report(files, tmp_path):
    source = load_shape(files[0], PreparationSettings(k=60), tmp_path / "cache")
    whole = match_shapes(source, source, RawDescriptor(WKS(k=60)), FeatureNearest(), device=torch.device("cpu"))
    upper = source.shape.verts[:, 1] > 0
    found = replace(whole, matched1=upper, matched2=upper)
    write_map(tmp_path / "run", found)
    report = write_match(tmp_path / "run", found, method="nearest", view=View(), config="")
    text, stored = np.loadtxt(tmp_path / "run" / "p2p21.txt", dtype=int), np.load(tmp_path / "run" / "match.npz")
    assert np.array_equal(stored["p2p21"], np.where(upper, whole.between_files(), -1))
    assert np.array_equal(text, stored["p2p21"] + 1)
    assert np.array_equal(stored["matched2"], upper) and np.array_equal(stored["matched1"], upper)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    share = float(source.shape.basis.mass[upper].sum())
    assert metrics["matched1"] == metrics["matched2"] == pytest.approx(share)
    assert metrics["coverage"] == pytest.approx(share, abs=0.05)
    assert f"{int((~upper).sum())} vertices of the target have no partner" in report.read_text()
    assert whole.matched()[1].all() and whole.omissions() == ""
