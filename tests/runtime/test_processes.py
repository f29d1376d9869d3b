"""Processes that work together on one job, also where it is one of a sweep: their command, and that nothing is left."""

import os
import subprocess
import sys

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.conf import ConfigSourceInfo
from omegaconf import open_dict
from tests.composing import CONFIGS
from tests.later import later

from pullback.runtime.command_line import overrides
from pullback.runtime.settings import register_resolvers

lightning = later("lightning.pytorch")
processes = later("pullback.runtime.processes")


def job_of(*typed: str, number: int, folder: str):
    """Hydra's settings of a job of ``train.py -m``."""
    register_resolvers()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        job = compose("train", overrides=list(typed), return_hydra_config=True).hydra
    with open_dict(job):
        job.runtime.output_dir, job.job.num, job.job.id = folder, number, f"job_{number}"
        job.runtime.config_sources = [ConfigSourceInfo("/own", "file", "command-line")]
        job.overrides.task = [each for each in typed if not each.startswith("hydra")]
        job.overrides.hydra = [each for each in typed if each.startswith("hydra")]
    return job


@pytest.fixture
def command():
    typed = [
        "sweep=sigma",
        "solver.init_blur=0.1",
        "cluster=slurm",
        "hydra.mode=MULTIRUN",
        "hydra.sweep.dir=some, where",
    ]
    quoted = [part.replace("some, where", "'some, where'") for part in typed]
    job = job_of(*quoted, "hydra.launcher.mem_gb=4", "hydra.verbose=true", number=3, folder="/runs/some, where/3")
    return processes.command_of(job, 1)


def test_a_process_gets_the_command_of_the_job_not_that_of_the_sweep(command):
    assert command[0] == sys.executable and command[1].endswith("train.py") and command[2:4] == ["--config-dir", "/own"]
    assert {"sweep=sigma", "solver.init_blur=0.1", "cluster=slurm", "hydra.verbose=true"} < set(command)
    assert not [each for each in command if each.startswith("hydra.launcher") or "MULTIRUN" in each]


def test_hydra_reads_that_command_as_one_run_in_the_folder_of_the_job(command):
    typed = overrides(command[4:], "train", CONFIGS)
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        cfg = compose("train", overrides=typed, return_hydra_config=True)
    assert (cfg.hydra.mode.name, cfg.hydra.run.dir, cfg.hydra.sweep.dir) == (
        "RUN",
        "/runs/some, where/3",
        "some, where",
    )
    assert (cfg.hydra.job.num, cfg.solver.init_blur, cfg.resume) == (3, 0.1, "auto")


@pytest.fixture
def trainer(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    options = {"logger": False, "enable_checkpointing": False}
    made = lightning.Trainer(accelerator="cpu", devices=2, strategy="ddp", **options)
    return processes.with_own_launcher(made)


def started(trainer, program: str) -> subprocess.Popen:
    """Another process, as the trainer's launcher would have begun it."""
    trainer.strategy.launcher.procs.append(subprocess.Popen([sys.executable, "-c", program]))
    return trainer.strategy.launcher.procs[0]


def test_after_a_job_its_processes_and_their_settings_are_gone(trainer, tmp_path):
    before, threads = dict(os.environ), torch.get_num_threads()
    with processes.working_together(trainer):
        os.environ |= {"LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
        torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'met'}", rank=0, world_size=1)
        other = started(trainer, "pass")
    assert other.returncode == 0 and not torch.distributed.is_initialized()
    assert dict(os.environ) == before and torch.get_num_threads() == threads


def test_a_job_that_ends_by_an_error_waits_for_nobody(trainer):
    with pytest.raises(OSError, match="no room"), processes.working_together(trainer):
        other = started(trainer, "import time; time.sleep(60)")
        raise OSError("no room")
    assert other.returncode == -9


def test_of_a_process_that_failed_the_others_tell(trainer):
    told = "process 2 of the 2 of this machine ended with exit status 3"
    with pytest.raises(processes.ProcessFailed, match=told), processes.working_together(trainer):
        started(trainer, "raise SystemExit(3)")
        raise RuntimeError("Connection closed by peer")


def test_an_error_of_ones_own_stays_what_it_is(trainer):
    with pytest.raises(RuntimeError, match="of my own"), processes.working_together(trainer):
        started(trainer, "pass")
        raise RuntimeError("of my own")


@pytest.mark.parametrize(
    ("tasks", "devices", "here"), [("1", 2, True), ("1", "auto", True), ("2", 2, False), ("1", 1, False)]
)
def test_in_a_slurm_job_of_one_task_further_processes_are_started_here(tasks, devices, here, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_NTASKS", tasks)
    assert bool(processes.plugins_of(devices)) is here
