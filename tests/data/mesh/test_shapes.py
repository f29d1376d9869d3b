"""Preparing one shape: what comes out, what it is keyed by, and what is refused."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.fakes import body, write_mesh
from tests.meshes import sphere

import pullback.data.mesh.shapes as shapes
from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.geometry.cleaning import MeshError
from pullback.geometry.operators import compute_operators

SETTINGS = PreparationSettings(k=20)


@pytest.fixture
def mesh(tmp_path):
    verts, faces, _ = body(3)
    write_mesh(tmp_path / "in" / "body.off", verts * 50, faces)
    return tmp_path / "in" / "body.off"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def count(monkeypatch):
    """How many times operators were computed."""
    calls = []

    def counting(*arguments, **options):
        calls.append(options)
        return compute_operators(*arguments, **options)

    monkeypatch.setattr(shapes, "compute_operators", counting)
    return calls


def test_a_prepared_shape_holds_the_operators_in_single_precision(mesh, cache):
    shape = load_shape(mesh, SETTINGS, cache).shape
    verts, faces, _ = body(3)
    expected = compute_operators(verts, faces, k=20)
    assert shape.name == "body"
    assert {t.dtype for t in (shape.verts, shape.basis.evals, shape.basis.evecs, shape.basis.mass, shape.grad_x)} == {
        torch.float32
    }
    assert torch.equal(shape.faces, torch.from_numpy(faces))
    assert np.allclose(shape.verts, expected.verts, atol=1e-6)
    assert np.allclose(shape.basis.evals, expected.evals, rtol=1e-4, atol=1e-3)
    for mine, theirs in ((shape.grad_x, expected.grad_x), (shape.grad_y, expected.grad_y)):
        assert mine.layout == torch.sparse_csr
        assert np.allclose(mine.to_dense(), theirs.toarray(), rtol=1e-4, atol=1e-3)
    gram = shape.basis.project(shape.basis.evecs)
    assert torch.allclose(gram, torch.eye(20), atol=1e-5)
    assert float(shape.basis.mass.sum()) == pytest.approx(1, abs=1e-5)


def test_a_prepared_shape_carries_a_sample_of_its_points(mesh, cache):
    whole = load_shape(mesh, SETTINGS, cache).shape.basis
    assert torch.equal(whole.sample.points, torch.arange(whole.n))
    assert torch.equal(whole.sample.mass, whole.mass)
    for _ in range(2):  # computed, and from the cache
        basis = load_shape(mesh, dataclasses.replace(SETTINGS, samples=60), cache).shape.basis
        assert basis.sample.points.dtype == torch.int64 and len(basis.sample.points) == 60
        assert basis.sample.mass.dtype == torch.float32
        assert float(basis.sample.mass.sum()) == pytest.approx(1, abs=1e-5)
        assert basis.first(5).sample is basis.sample


def test_the_sampled_basis_is_an_approximation_of_the_exact_one(mesh, cache):
    exact, sampled = (
        load_shape(mesh, dataclasses.replace(SETTINGS, samples=120, basis=basis), cache).shape.basis
        for basis in ("exact", "sampled")
    )
    assert torch.allclose(sampled.project(sampled.evecs), torch.eye(20), atol=1e-5)
    assert 0 < ((sampled.evals - exact.evals)[1:] / exact.evals[1:]).max() < 0.1


def test_a_shape_is_computed_once_and_read_back_the_same(mesh, cache, count):
    first, second = (load_shape(mesh, SETTINGS, cache).shape for _ in range(2))
    assert len(count) == 1
    assert torch.equal(first.basis.evecs, second.basis.evecs)
    assert torch.equal(first.grad_x.values(), second.grad_x.values())


def test_the_key_is_the_content_of_the_file_and_not_its_place(mesh, cache, count, tmp_path):
    load_shape(mesh, SETTINGS, cache)
    moved = mesh.rename(tmp_path / "other.off")
    assert load_shape(moved, SETTINGS, cache).shape.name == "other"
    assert len(count) == 1
    moved.write_text(moved.read_text().replace("3 ", "3  ", 1).replace("OFF", "OFF\n", 1) + "\n")
    load_shape(moved, SETTINGS, cache)
    assert len(count) == 2


CHANGES = [
    {"k": 21},
    {"components": "all"},
    {"coarsen": 100},
    {"laplacian": "robust"},
    {"samples": 99},
    {"basis": "sampled"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_each_setting_is_part_of_the_key(mesh, cache, count, change):
    if change.get("laplacian") == "robust":
        pytest.importorskip("robust_laplacian", reason="needs pip install 'pullback[robust]'")
    load_shape(mesh, SETTINGS, cache)
    load_shape(mesh, dataclasses.replace(SETTINGS, **change), cache)
    assert len(count) == 2


def test_the_version_of_the_computation_is_part_of_the_key(mesh, cache, count, monkeypatch):
    load_shape(mesh, SETTINGS, cache)
    monkeypatch.setattr(shapes, "_VERSION", -1)
    load_shape(mesh, SETTINGS, cache)
    assert len(count) == 2


def test_a_damaged_entry_is_computed_anew(mesh, cache, count, caplog):
    load_shape(mesh, SETTINGS, cache)
    (entry,) = (cache / "operators").iterdir()
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 255  # one byte, somewhere inside of an array
    entry.write_bytes(data)
    load_shape(mesh, SETTINGS, cache)
    assert len(count) == 2
    assert "damaged" in caplog.text


def resaved(entry, **changed):
    """The entry with other arrays: whole, but of another kind. None drops one."""
    with np.load(entry) as archive:
        arrays = {name: archive[name] for name in archive.files} | changed
    np.savez(entry, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    "change",
    [
        lambda old: {"grad_y_rows": None},
        lambda old: {"other": np.zeros(3)},
        lambda old: {"verts": old["verts"].astype(np.float64)},
        lambda old: {"evecs": old["evecs"].T},
        lambda old: {"evecs": old["evecs"][:, :10], "evals": old["evals"][:10]},
        lambda old: {"mass": old["mass"][:-1]},
        lambda old: {"evecs": old["evecs"] * np.nan},
        lambda old: {"faces": old["faces"] + 1000},
        lambda old: {"successor": old["successor"] - 1},
        lambda old: {"grad_x_rows": old["grad_x_rows"] * 0},
        lambda old: {"notes": np.zeros(2)},
        lambda old: {"verts": np.array("x")},
    ],
)
def test_a_whole_entry_of_another_kind_is_computed_anew(mesh, cache, count, caplog, change):
    expected = load_shape(mesh, SETTINGS, cache)
    (entry,) = cache.glob("operators/*.npz")
    with np.load(entry) as archive:
        resaved(entry, **change(dict(archive)))
    again = load_shape(mesh, SETTINGS, cache)
    assert len(count) == 2 and "is damaged" in caplog.text
    assert torch.equal(again.shape.basis.evecs.abs(), expected.shape.basis.evecs.abs())
    load_shape(mesh, SETTINGS, cache)
    assert len(count) == 2


def test_vertex_numbers_of_the_file_lead_to_the_same_places(tmp_path, cache):
    verts, faces = sphere(2)
    scattered = np.insert(verts * [1, 1.2, 1.5], 40, [9, 9, 9], axis=0)
    place = np.delete(np.arange(len(scattered)), 40)
    write_mesh(tmp_path / "a.off", scattered, place[faces])
    prepared = load_shape(tmp_path / "a.off", SETTINGS, cache)
    at = prepared.shape.verts[prepared.relabel(place)].double().numpy()
    scale = np.sqrt(
        np.linalg.norm(np.cross(*np.diff(scattered[place[faces]], axis=1).transpose(1, 0, 2)), axis=1).sum() / 2
    )
    moved = at - scattered[place] / scale
    assert np.allclose(moved, moved[0], atol=1e-5)
    assert "isolated" in prepared.notes[0]


def test_ground_truth_on_a_simplified_copy_is_the_nearest_vertex(mesh, cache):
    full, coarse = (load_shape(mesh, dataclasses.replace(SETTINGS, coarsen=coarsen), cache) for coarsen in (None, 80))
    ids = np.arange(full.shape.n)
    assert coarse.shape.n < 90
    scale = (
        torch.cdist(full.shape.verts, full.shape.verts).max()
        / torch.cdist(coarse.shape.verts, coarse.shape.verts).max()
    )
    at = coarse.shape.verts[coarse.relabel(ids)] * scale
    assert (at - full.shape.verts).norm(dim=1).max() < 0.15  # two edges of the coarse mesh
    assert len(np.unique(coarse.relabel(ids))) == coarse.shape.n


def test_bad_meshes_are_refused_with_the_name_of_their_file(mesh, cache, tmp_path):
    verts, faces, _ = body(1)
    verts[5] = np.nan
    write_mesh(tmp_path / "nan.off", verts, faces)
    with pytest.raises(MeshError, match=r"nan\.off: 1 vertices"):
        load_shape(tmp_path / "nan.off", SETTINGS, cache)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.off"):
        load_shape(tmp_path / "nowhere.off", SETTINGS, cache)
    assert list(cache.glob("*/*")) == []


def test_a_small_mesh_has_as_many_eigenfunctions_as_vertices_and_says_so(mesh, cache):
    loaded = load_shape(mesh, PreparationSettings(k=200), cache)
    assert loaded.shape.basis.k == 162
    assert [note for note in loaded.notes if "eigenfunctions" in note] == [
        "162 vertices have no 200 eigenfunctions: all 162 are used, and features and maps of that size"
    ]


def test_a_spectrum_that_cannot_be_computed_is_blamed_on_the_file(mesh, cache, monkeypatch):
    def fail(*_, **__):
        raise ValueError("eigenvector residual is too large")

    monkeypatch.setattr(shapes, "compute_operators", fail)
    with pytest.raises(MeshError, match=r"body\.off: .*residual.*data\.laplacian=robust"):
        load_shape(mesh, SETTINGS, cache)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"laplacian": "cotan"}, "cotangent, robust"),
        ({"components": "some"}, "dust, largest, all"),
        ({"k": 1}, "k=1 is too small"),
        ({"basis": "exakt"}, "data.basis=exakt is unknown; use one of exact, sampled"),
        ({"samples": 150}, "data.samples=150 points"),
        ({"k": 200, "coarsen": 150}, "data.coarsen=150"),
    ],
)
def test_contradictory_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        PreparationSettings(**wrong)
