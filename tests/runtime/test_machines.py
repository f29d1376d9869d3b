"""What a job asks of Slurm is what some machine of the cluster has."""

import pytest

from pullback.runtime.machines import asked, nodes


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Makes a program sinfo that prints some lines, and keeps what it was called with."""

    def make(*lines: str) -> None:
        program = tmp_path / "sinfo"
        told = "\n".join(lines)
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\ncat <<E\n{told}\nE\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return make


def wishes(partition=None):
    return [asked(what, most, partition) for what, most in (("cores", 8), ("gpus", 1), ("memory", 32))]


def test_a_small_machine_without_a_gpu_is_asked_for_no_more_than_it_has(cluster):
    cluster("(null)|2|7900")
    assert wishes() == [2, None, 7]


def test_a_machine_with_gpus_is_preferred_to_a_larger_one_without(cluster):
    cluster("(null)|128|1000000", "gpu:a100:4(S:0-1)|6|515000")
    assert wishes() == [6, 1, 32]


def test_memory_that_slurm_does_not_count_is_not_asked_for(cluster):
    cluster("(null)|16|1")
    assert wishes() == [8, None, None]


def test_the_partition_is_asked_about(cluster, tmp_path):
    cluster("(null)|4|8000")
    nodes("long")
    assert "--partition=long" in (tmp_path / "called").read_text()


def test_without_an_answer_the_wish_stands_but_for_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert wishes() == [8, None, 32]
