"""What a run says about where it comes from."""

import json
import shlex
import shutil
import subprocess
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from pullback.tasks.provenance import command_line, commit_of, hardware, run_facts, versions

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def repository(tmp_path):
    """A repository with one committed file."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@e"]
    (tmp_path / "tracked.py").write_text("")
    for arguments in (["init", "-q"], ["add", "tracked.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    return tmp_path


@needs_git
def test_the_commit_and_whether_the_tree_differs_from_it_are_known(repository):
    head = subprocess.run(
        ["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert commit_of(repository / "tracked.py") == {"commit": head, "dirty": False}
    (repository / "tracked.py").write_text("x = 1")
    assert commit_of(repository / "tracked.py") == {"commit": head, "dirty": True}


@needs_git
def test_an_installed_copy_inside_some_other_repository_has_no_commit(repository):
    installed = repository / ".venv" / "pullback.py"
    installed.parent.mkdir()
    installed.write_text("")
    assert commit_of(installed) == {"commit": None, "dirty": None}


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(tmp_path / "x.py") == {"commit": None, "dirty": None}


def test_the_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "experiment=faust", "data.names=[a b]"])
    assert command_line() == "python train.py experiment=faust 'data.names=[a b]'"


def test_paths_stand_in_the_command_as_they_are_typed(monkeypatch):
    words = ["ckpt='runs/a/best.ckpt'", "source='a.off'", "target='b c.off'", "name='1.5'", "+x='true'"]
    monkeypatch.setattr(sys, "argv", ["eval.py", *words])
    typed = shlex.split(command_line())[2:]
    assert typed == ["ckpt=runs/a/best.ckpt", "source=a.off", *words[2:]]
    parser = OverridesParser.create()
    assert [it.value() for it in parser.parse_overrides(typed)] == [it.value() for it in parser.parse_overrides(words)]


def test_versions_name_python_torch_lightning_and_this_package():
    assert {"python", "torch", "lightning", "numpy", "pullback"} <= set(versions())


def test_hardware_counts_at_least_one_core_and_thread():
    facts = hardware()
    assert facts["cores"] >= 1
    assert facts["threads"] >= 1
    assert facts["cpu"]
    assert isinstance(facts["gpu"], list)


def test_all_facts_are_plain_containers():
    assert set(json.loads(json.dumps(run_facts()))) == {"command", "commit", "dirty", "versions", "hardware"}
