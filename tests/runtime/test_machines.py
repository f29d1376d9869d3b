"""What a job asks of Slurm is what some machine of the cluster has."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from tests.composing import CONFIGS

from pullback.runtime.hydra_errors import in_words
from pullback.runtime.machines import asked, nodes
from pullback.runtime.option_names import Vocabulary
from pullback.runtime.settings import register_resolvers


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


@pytest.mark.parametrize(("minutes", "seconds"), [(1440, 120), (4, 120), (2, 60), (1, 30)])
def test_a_short_job_of_slurm_is_told_of_its_end_after_half_of_its_time_at_the_earliest(minutes, seconds):
    pytest.importorskip("submitit", reason="needs pip install 'pullback[cluster]'")
    register_resolvers()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        typed = ["cluster=slurm", f"hydra.launcher.timeout_min={minutes}"]
        assert compose("train", typed, return_hydra_config=True).hydra.launcher.signal_delay_s == seconds


@pytest.mark.parametrize(("typed", "right"), [("mem_gb=64GB", "GB: 64, not 64GB"), ("timeout_min=1:00:00", "minutes")])
def test_a_number_with_a_unit_is_told_which_unit_it_has(typed, right):
    pytest.importorskip("submitit", reason="needs pip install 'pullback[cluster]'")
    register_resolvers()
    with (
        initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)),
        pytest.raises(ConfigCompositionException) as refused,
    ):
        compose("train", ["cluster=slurm", f"hydra.launcher.{typed}"], return_hydra_config=True)
    told = in_words(refused.value, Vocabulary("train", CONFIGS))
    assert f"hydra.launcher.{typed} is refused" in told and f"it is a whole number of {right}" in told
