"""Preparing many shapes ahead: all of them, in processes or not, with every complaint at once."""

import numpy as np
import pytest
from tests.fakes import body, write_mesh, write_numbers, write_shape

import pullback.data.mesh.preparation as preparation
from pullback.data.mesh.preparation import Job, prepare_all
from pullback.data.mesh.sets.faust import Faust
from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.geometry.cleaning import MeshError

SETTINGS = PreparationSettings(k=15)


@pytest.fixture
def shapes(tmp_path):
    for number in range(3):
        write_shape(tmp_path / "FAUST_r", f"tr_reg_{number:03d}", number)
    return Faust(tmp_path / "FAUST_r", allow_missing=True).shapes("train")


def entries(cache):
    return {path.relative_to(cache): path.read_bytes() for path in cache.glob("*/*")}


def test_processes_prepare_what_one_process_prepares(shapes, tmp_path):
    jobs = [Job(shape, SETTINGS, "dijkstra" if i else None) for i, shape in enumerate(shapes)]
    found = [prepare_all(jobs, tmp_path / f"cache{workers}", workers=workers) for workers in (1, 2)]
    assert found[0] == found[1]
    assert [found[0][job].landmarks for job in jobs] == [162] * 3
    one, two = (entries(tmp_path / f"cache{workers}") for workers in (1, 2))
    assert one.keys() == two.keys()
    assert sorted(path.parts[0] for path in one) == ["geodesics"] * 2 + ["operators"] * 3
    for path in (path for path in one if path.suffix == ".npy"):
        assert np.allclose(np.load(tmp_path / "cache1" / path), np.load(tmp_path / "cache2" / path))


def test_processes_are_started_for_large_meshes_alone(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "_cpus", lambda: 2)
    started = []
    monkeypatch.setattr(preparation, "_compute", lambda jobs, cache, workers: started.append(workers) or {})
    jobs = [Job(shape, SETTINGS) for shape in shapes]
    prepare_all(jobs, tmp_path / "cache")
    with shapes[0].mesh.open("a") as file:
        file.write(1_000_000 * "#")
    for workers in (None, 3):
        prepare_all(jobs, tmp_path / "cache", workers=workers)
    assert started == [1, 2, 3]


def test_what_is_there_is_not_prepared_again(shapes, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    load_shape(shapes[0].mesh, SETTINGS, cache)
    computed = []

    def compute(jobs, *arguments):
        computed.append([(job.files.name, job.geodesics) for job in jobs])
        return {job: preparation._prepare(job, cache) for job in jobs}

    monkeypatch.setattr(preparation, "_compute", compute)
    jobs = [
        Job(shapes[0], SETTINGS),
        Job(shapes[0], SETTINGS, "heat"),
        Job(shapes[1], SETTINGS),
        Job(shapes[1], SETTINGS),
    ]
    for _ in range(2):
        assert len(prepare_all(jobs, cache)) == 3
    assert computed == [[("tr_reg_000", "heat"), ("tr_reg_001", None)]]


def test_all_bad_files_are_named_at_once_and_the_good_ones_prepared(shapes, tmp_path):
    verts, faces, places = body(0)
    verts[3] = np.nan
    write_mesh(shapes[0].mesh, verts, faces)
    write_numbers(shapes[2].vts, places + 1)
    with pytest.raises(
        MeshError,
        match=r"(?s)2 of 3 shapes could not be prepared:.*tr_reg_000\.off: .*NaN.*tr_reg_002\.vts: .* 2 to 163",
    ):
        prepare_all([Job(shape, SETTINGS) for shape in shapes], tmp_path / "cache", workers=1)
    assert len(entries(tmp_path / "cache")) == 2


def test_what_was_changed_on_a_mesh_is_told_once(shapes, tmp_path, caplog):
    verts, faces, _ = body(1)
    write_mesh(shapes[1].mesh, verts, faces[:, ::-1])
    for _ in range(2):
        prepare_all([Job(shape, SETTINGS) for shape in shapes], tmp_path / "cache", workers=1)
    (told,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert told.endswith("tr_reg_001.off: the mesh was inside out: 320 faces were turned outward")


def test_operators_that_two_jobs_need_are_computed_by_one_process(shapes):
    jobs = [
        Job(shapes[0], SETTINGS),
        Job(shapes[1], SETTINGS),
        Job(shapes[0], SETTINGS, "heat"),
        Job(shapes[0], PreparationSettings(k=9)),
    ]
    assert preparation._by_shape(jobs) == [[jobs[0], jobs[2]], [jobs[1]], [jobs[3]]]
