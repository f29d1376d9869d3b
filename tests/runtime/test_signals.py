"""SIGTERM and Ctrl-C end a run at once, in a sentence and with the exit status that shells expect."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.composing import ROOT
from tests.later import later

from pullback.runtime.signals import AGAIN, Stopped, leaving_at_once, stopping

exceptions = later("lightning.pytorch.utilities.exceptions")


@pytest.fixture(autouse=True)
def python_handlers():
    """Those of a program that has just started."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(1)


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_either_signal_stops_at_once_and_advice_is_given_once(capsys, number, status, word):
    with pytest.raises(SystemExit) as caught, stopping("again with X"), stopping("again with Y"):
        send(number)
        pytest.fail("it went on")
    assert caught.value.code == status
    assert capsys.readouterr().err == f"\nstopped by {word}; again with Y\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


@pytest.mark.parametrize(("rank", "told"), [("0", True), ("1", False)])
def test_of_processes_that_work_together_the_first_one_tells(rank, told, monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", rank)
    with pytest.raises(SystemExit) as caught, stopping("again with X"):
        raise KeyboardInterrupt
    assert caught.value.code == 130 and ("again with X" in capsys.readouterr().err) is told


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt, 130),
        (lambda: exceptions.SIGTERMException(), 143),
        (lambda: SystemExit(3), 3),
        (SystemExit, None),
    ],
)
def test_other_ways_to_stop_get_their_status_too(error, status):
    with pytest.raises(SystemExit) as caught, stopping("again"):
        raise error()
    assert caught.value.code == status


def test_a_second_signal_does_not_interrupt_the_clearing_up():
    cleared = []
    with pytest.raises(Stopped), stopping("again"):
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            cleared.append(1)
    assert cleared == [1]


def test_sigterm_waits_for_somebody_else_to_stop_only_once(monkeypatch):
    monkeypatch.setattr("pullback.runtime.signals._IMPATIENCE", 0.0)
    passed = []
    with pytest.raises(Stopped), stopping("again", gently=lambda: True):
        send(signal.SIGTERM)
        passed.append(1)
        send(signal.SIGTERM)
    assert passed == [1]


def test_the_handler_of_a_clusters_launcher_stays():
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with stopping("again"):
        send(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_ctrl_c_before_the_work_ends_the_process_where_it_is_and_the_work_has_its_own_way():
    with leaving_at_once():
        assert signal.getsignal(signal.SIGINT).__name__ == "_leave"
        with pytest.raises(Stopped), stopping("again"):
            send(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


_JOBS = """
import multiprocessing, os, sys, time
from pathlib import Path
from pullback.runtime.signals import ending_with_parent, stopping

def job(begun):
    with ending_with_parent(), stopping("again"):
        begun.touch()
        time.sleep(60)

if __name__ == "__main__":
    begun = Path(sys.argv[1])
    multiprocessing.get_context("spawn").Process(target=job, args=(begun,)).start()
    while not begun.exists():
        time.sleep(0.05)
    os._exit(0)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs Linux or macOS: elsewhere a process has one parent for ever")
def test_a_process_for_jobs_stops_when_the_one_that_started_it_is_gone(tmp_path):
    (tmp_path / "jobs.py").write_text(_JOBS)
    done = subprocess.run(  # reads until the last process has closed its end
        [sys.executable, tmp_path / "jobs.py", tmp_path / "begun"],
        capture_output=True,
        text=True,
        timeout=40,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
    )
    assert done.returncode == 0 and "stopped by SIGTERM; again" in done.stderr


@pytest.mark.parametrize("program", ["train", "eval", "match"])
def test_ctrl_c_ends_a_program_in_a_sentence_while_hydra_is_imported(program, tmp_path):
    """Hydra is one that interrupts, and then takes its time."""
    (tmp_path / "hydra.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n")
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}", "PATH": ""}
    done = subprocess.run([sys.executable, ROOT / f"{program}.py"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (130, f"\nstopped by Ctrl-C; {AGAIN}\n")
