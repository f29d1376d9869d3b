"""Locks between processes: one at a time, nothing held by the dead, nothing left behind."""

import multiprocessing
import os
import signal
import time

import pytest

from pullback import locks
from pullback.locks import remove_if_free, try_lock, turn

FORK = multiprocessing.get_context("fork")


def add_slowly(path, counter, times):
    for _ in range(times):
        with turn(path, waiting=lambda: None):
            value = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(value + 1))


def test_nobody_is_in_a_turn_with_another_and_the_file_goes_with_the_last(tmp_path):
    """The file is removed and made again at every turn, under the eyes of those who wait for it."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [FORK.Process(target=add_slowly, args=(tmp_path / ".lock", counter, 20)) for _ in range(5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert counter.read_text() == "100"
    assert list(tmp_path.iterdir()) == [counter]


def hold(path, sign):
    with turn(path, waiting=lambda: None):
        sign.set()
        time.sleep(60)


@pytest.fixture
def held(tmp_path):
    """A lock that another process holds, and that process."""
    sign = FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path / ".lock", sign))
    process.start()
    sign.wait()
    yield tmp_path / ".lock", process
    process.kill()
    process.join()


def test_a_dead_owner_holds_nothing(held):
    path, process = held
    remove_if_free(path)
    assert path.exists()
    process.kill()
    process.join()
    with turn(path, waiting=lambda: pytest.fail("nobody holds it")):
        assert path.exists()
    assert not path.exists()


def test_who_waits_says_so_once_and_can_be_interrupted(held, monkeypatch):
    monkeypatch.setattr(locks, "_FIRST_WORD", 0.05)
    said = []
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(KeyboardInterrupt), turn(held[0], waiting=lambda: said.append(1)):
        pytest.fail("somebody else holds it")
    assert said == [1]


def test_what_a_killed_owner_left_is_removed_when_it_is_free(tmp_path):
    path = tmp_path / ".lock"
    path.write_text("")
    with open(path) as file:
        assert try_lock(file.fileno())
        remove_if_free(path)
        assert path.exists()
    remove_if_free(path)
    assert not path.exists()


def test_a_place_without_locks_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError), turn(tmp_path / "nowhere" / ".lock", waiting=lambda: None):
        pytest.fail("there is no such folder")


def test_an_error_within_a_turn_ends_it(tmp_path):
    with pytest.raises(KeyError), turn(tmp_path / ".lock", waiting=lambda: None):
        raise KeyError
    assert os.listdir(tmp_path) == []


def test_nobody_is_alone_beside_another_and_nobody_waits(held):
    path, process = held
    with locks.alone(path) as free:
        assert not free
    process.kill()
    process.join()
    with locks.alone(path) as free, locks.alone(path) as twice:
        assert free and not twice
    assert not path.exists()


def test_on_a_disk_without_locks_everybody_takes_himself_for_alone(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError("no locks")

    monkeypatch.setattr(locks, "try_lock", refuse)
    with locks.alone(tmp_path / ".lock") as free:
        assert free
