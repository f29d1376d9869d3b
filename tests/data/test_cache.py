"""The cache: nothing wrong is ever read, nothing half-written is ever left."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from tests.faults import BROKEN_CACHES

import pullback.data.cache as cache_module
from pullback.data.cache import CacheError, cached, cached_together, check_arrays, content_hash, storing_required, sweep
from pullback.writing import write_atomically


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

    for compute, write in [
        (fail, save),
        (lambda: 1, fail),
        (lambda: 1, lambda file, value: (file.write(b"half"), fail())),
    ]:
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


@pytest.mark.parametrize("broken", BROKEN_CACHES, ids=lambda broken: broken.__name__)
def test_a_cache_that_cannot_be_written_costs_time_and_one_warning(tmp_path, monkeypatch, caplog, broken):
    cache = tmp_path / "cache"
    broken(cache, monkeypatch)
    for value in (1.0, 2.0):
        found = cached(
            cache / "operators" / f"{value}.npy", lambda value=value: np.full(3, value), save=halves, load=load
        )
        assert found.dtype == np.float16 and found.tolist() == [value] * 3, "as it would have been read"
    (told,) = (record.getMessage() for record in caplog.records)
    assert f"the cache {cache} cannot be written: " in told
    assert "or give another one: paths.cache_dir=DIR" in told
    with storing_required(), pytest.raises(CacheError, match=r"cannot be written: .*paths\.cache_dir=DIR"):
        cached(cache / "operators" / "3.npy", lambda: np.arange(3.0), save=halves, load=load)


def halves(file, value):
    np.save(file, value.astype(np.float16))


def test_a_folder_in_the_place_of_an_entry_is_named(tmp_path, caplog):
    (tmp_path / "operators" / "x.npy" / "more").mkdir(parents=True)
    assert cached(tmp_path / "operators" / "x.npy", lambda: np.arange(3), save=save, load=load).tolist() == [0, 1, 2]
    assert "(x.npy in operators): Is a directory. Remove the folder that stands where a file belongs" in caplog.text


def test_an_entry_that_may_not_be_read_is_made_again(tmp_path, monkeypatch, caplog):
    path, forbidden = tmp_path / "x.npy", [1, 2]  # it is read again when its lock is held
    cached(path, lambda: np.arange(3), save=save, load=load)

    def refused(source):
        if forbidden:
            forbidden.pop()
            raise PermissionError(13, "Permission denied")
        return load(source)

    assert cached(path, lambda: np.arange(4), save=save, load=refused).tolist() == [0, 1, 2, 3]
    assert caplog.text.count("Permission denied") == 1 and load(path).tolist() == [0, 1, 2, 3]


def test_a_cache_that_is_deleted_meanwhile_costs_nothing(tmp_path):
    def gone(source):
        if not hasattr(source, "read"):
            source.unlink()
        return load(source)

    assert cached(tmp_path / "x.npy", lambda: np.arange(3), save=save, load=gone).tolist() == [0, 1, 2]


def want(cache, log):
    """A process that wants two values, each of which takes a moment."""

    def compute(name):
        with open(log, "a") as file:
            file.write(f"{name}\n")
        time.sleep(0.1)
        return np.arange(5)

    for name in ("a", "b"):
        assert cached(cache / "kind" / f"{name}.npy", lambda name=name: compute(name), save=save, load=load)[4] == 4


def test_many_processes_compute_each_value_once_and_leave_no_locks(tmp_path):
    context, log = multiprocessing.get_context("fork"), tmp_path / "log"
    processes = [context.Process(target=want, args=(tmp_path / "cache", log)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(log.read_text().split()) == ["a", "b"]
    assert sorted(path.name for path in (tmp_path / "cache" / "kind").iterdir()) == ["a.npy", "b.npy"]


def test_processes_that_want_overlapping_sets_do_not_wait_in_a_circle(tmp_path):
    def want_all(names):
        paths = [tmp_path / "kind" / f"{name}.npy" for name in names]
        found = cached_together(
            paths, lambda missing: [np.full(2, int(path.stem)) for path in missing], save=save, load=load
        )
        os._exit(0 if [value[0] for value in found] == [int(name) for name in names] else 1)

    processes = [
        multiprocessing.get_context("fork").Process(target=want_all, args=(names,))
        for names in ("123", "321", "231", "1323")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0


def test_who_waits_for_another_process_says_for_what(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cache_module.locks, "_FIRST_WORD", 0.0)
    process = multiprocessing.get_context("fork").Process(target=want, args=(tmp_path, tmp_path / "log"))
    process.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.005)
    value = cached(
        tmp_path / "kind" / "a.npy",
        lambda: pytest.fail("the other one computes it"),
        save=save,
        load=load,
        what="body.off",
    )
    process.join()
    assert len(value) == 5
    assert "waiting for another process that prepares body.off" in caplog.text


def test_a_disk_without_locks_keeps_its_values_all_the_same(tmp_path, monkeypatch, caplog):
    def unknown(descriptor):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(cache_module.locks, "try_lock", unknown)
    assert cached(tmp_path / "x.npy", lambda: np.arange(3), save=save, load=load).tolist() == [0, 1, 2]
    assert load(tmp_path / "x.npy").tolist() == [0, 1, 2] and not caplog.records


def test_locks_of_the_dead_are_swept_up(tmp_path):
    (tmp_path / "kind").mkdir()
    (tmp_path / "kind" / ".x.npy.lock").write_text("")
    (tmp_path / "kind" / "x.npy").write_text("")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["x.npy"]


SHAPE = {"verts": np.zeros((4, 3), np.float32), "rows": np.zeros(5, np.int32), "notes": np.array([], dtype=np.str_)}
KINDS = {"verts": "float32 n 3", "rows": "int32 n+1", "notes": "text c"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"notes": np.array(["a note"])}, None),
        ({"more": np.zeros(3)}, "it holds more, notes, rows, verts, not notes, rows, verts"),
        ({"verts": np.zeros((4, 3))}, "type float64, not float32"),
        ({"verts": np.zeros((4, 2), np.float32)}, r"verts has the shape \(4, 2\)"),
        ({"verts": np.zeros(4, np.float32)}, r"verts has the shape \(4,\)"),
        ({"verts": np.zeros((5, 3), np.float32)}, r"rows has the shape \(5,\)"),
        ({"rows": np.zeros((5, 1), np.int32)}, r"rows has the shape \(5, 1\)"),
        ({"notes": np.zeros(3)}, "type float64, not text"),
        ({"verts": np.full((4, 3), np.nan, np.float32)}, "not finite"),
        ({"verts": np.array([[np.inf, -np.inf, 0]] * 4, np.float32)}, "not finite"),
    ],
)
def test_arrays_of_another_kind_are_told_apart(change, message):
    if message is None:
        check_arrays(SHAPE | change, KINDS)
    else:
        with pytest.raises(ValueError, match=message):
            check_arrays(SHAPE | change, KINDS)
