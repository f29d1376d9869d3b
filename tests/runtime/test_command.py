"""The frame around the entry points."""

import os
import subprocess
import sys

import pytest

from pullback.runtime.command import _environment

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)


def test_threads_wait_asleep_while_a_command_runs():
    with _environment(debugging=False):
        assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("passive", "0")
    assert not any(name in os.environ for name in WAITING)


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_WAIT_POLICY", "active"), ("GOMP_SPINCOUNT", "1000"), ("KMP_BLOCKTIME", "1")]
)
def test_what_the_user_says_of_waiting_threads_stays(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with _environment(debugging=False):
        assert {key: os.environ[key] for key in WAITING if key in os.environ} == {name: value}


def test_a_program_that_loads_torch_through_the_package_lets_its_threads_wait_asleep():
    """They would spin beside other busy processes, ten times as long; a notebook types no command."""
    script = """
import os, pullback, importlib
seen = []
real = importlib.import_module
def spy(name, *rest):
    seen.append((name, os.environ.get("OMP_WAIT_POLICY")))
    return real("json" if name == "torch" else name, *rest)
importlib.import_module = spy
pullback.waiting.load_torch()
print(seen, os.environ.get("OMP_WAIT_POLICY"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[('torch', 'passive')] None"
