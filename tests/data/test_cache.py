"""The cache: nothing wrong is ever read, nothing half-written is ever left."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from pullback.data.cache import cached, content_hash, sweep
from pullback.files import write_atomically


def save(file, value):
    np.save(file, value)


def load(path):
    return np.load(path)


def test_a_value_is_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return np.arange(3)

    for _ in range(3):
        assert cached(tmp_path / "sub" / "x.npy", compute, save=save, load=load).tolist() == [0, 1, 2]
    assert len(calls) == 1


@pytest.mark.parametrize("damage", ["cut", "emptied", "changed"])
def test_a_damaged_entry_is_computed_anew_with_a_warning(tmp_path, caplog, damage):
    path = tmp_path / "x.npy"
    cached(path, lambda: np.arange(100), save=save, load=load)
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) // 2], "emptied": b"", "changed": b"x" + data[1:]}[damage])
    assert cached(path, lambda: np.arange(100), save=save, load=load)[99] == 99
    assert "damaged" in caplog.text
    assert str(path) in caplog.text
    assert load(path)[99] == 99


def test_a_failed_computation_and_a_failed_write_leave_nothing(tmp_path):
    def fail(*_):
        raise KeyboardInterrupt

    for compute, write in [(fail, save), (lambda: 1, fail), (lambda: 1, lambda file, value: (file.write(b"half"), fail()))]:
        with pytest.raises(KeyboardInterrupt):
            cached(tmp_path / "x.npy", compute, save=write, load=load)
        assert list(tmp_path.iterdir()) == []


def write_slowly(path):
    def write(file):
        for _ in range(1000):
            file.write(b"x" * 1000)
            file.flush()
            time.sleep(0.01)

    write_atomically(path, write)


def test_a_killed_writer_leaves_no_entry(tmp_path):
    path = tmp_path / "x.npy"
    process = multiprocessing.get_context("fork").Process(target=write_slowly, args=(path,))
    process.start()
    while not list(tmp_path.iterdir()):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not path.exists()
    assert cached(path, lambda: np.arange(3), save=save, load=load).tolist() == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 2
    sweep(tmp_path.parent)
    assert len(list(tmp_path.iterdir())) == 2  # it might be somebody else's, still being written
    sweep(tmp_path.parent, older_than=-1.0)
    assert list(tmp_path.iterdir()) == [path]


def write_many(path, value):
    for _ in range(50):
        write_atomically(path, lambda file: np.save(file, np.full(50_000, value)))


def test_writers_of_the_same_entry_do_not_mix(tmp_path):
    path = tmp_path / "x.npy"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=write_many, args=(path, value)) for value in (1, 2)]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        if path.exists():
            assert len(np.unique(np.load(path))) == 1
    for process in processes:
        process.join()
    assert [file.name for file in tmp_path.iterdir()] == ["x.npy"]


def test_the_hash_depends_on_every_part_and_not_on_their_order():
    array = np.arange(6, dtype=np.float64)
    key = {"version": 1, "k": 30, "method": "heat", "coarsen": None, "file": b"ab", "verts": array}
    assert content_hash(key) == content_hash(dict(reversed(key.items())))
    others = [
        {"version": 2},
        {"k": 31},
        {"k": "30"},
        {"k": 30.0},
        {"method": "dijkstra"},
        {"coarsen": 0},
        {"file": b"abc"},
        {"verts": array.reshape(2, 3)},
        {"verts": array.astype(np.float32)},
        {"verts": array + 1e-15 * (np.arange(6) == 3)},
        {"extra": None},
    ]
    hashes = {content_hash({**key, **change}) for change in others} | {content_hash(key)}
    assert len(hashes) == len(others) + 1
