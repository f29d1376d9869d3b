"""The further processes of a training or an evaluation by several devices, also where it is a job of a sweep.

Lightning starts them with what was typed. In a sweep that would be the sweep once more; here each gets what its job
has: its overrides, its folder, its number. When the job ends they are gone, and with them what they leave in this
process: the next job of a sweep begins as the first one did.
"""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from omegaconf import OmegaConf
from torch import distributed as dist

from pullback.errors import UserError
from pullback.runtime.machines import cores
from pullback.runtime.path_options import quote
from pullback.runtime.processor import share_cores

_PATIENCE = 30.0  # seconds in which processes end, or notice that another one has failed
# What a launcher writes into the environment, for its processes and for itself.
_OF_A_GROUP = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS")
# Options of Hydra that the processes of a job get by themselves, or that are for sweeps alone.
_OF_THE_JOB = ("hydra.mode", "hydra.run.", "hydra.sweep.", "hydra.job.", "hydra.output_subdir")
_OF_SWEEPS = ("hydra.launcher", "hydra.sweeper", "hydra/launcher", "hydra/sweeper")


class ProcessFailed(UserError, RuntimeError):
    """One of several processes ended, and the others cannot go on without it."""


class Processes(_SubprocessScriptLauncher):
    """Lightning's launcher, with the command of the job, and an end."""

    def __init__(self, cluster_environment: Any, num_processes: int, num_nodes: int):
        super().__init__(cluster_environment, num_processes, num_nodes)
        self.ended = threading.Event()

    def launch(self, function: Any, *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._start()
        return function(*args, **kwargs)

    def _start(self) -> None:
        place = self.cluster_environment
        os.environ |= {
            "MASTER_ADDR": place.main_address,
            "MASTER_PORT": str(place.main_port),
            "NODE_RANK": str(place.node_rank()),
            "LOCAL_RANK": "0",
            "WORLD_SIZE": str(self.num_processes * self.num_nodes),
        }
        job = HydraConfig.get()
        for rank in range(1, self.num_processes):
            ranked = {**os.environ, "LOCAL_RANK": str(rank)}
            self.procs.append(subprocess.Popen(command_of(job, rank), env=ranked, cwd=job.runtime.cwd))
        threading.Thread(target=self._watch, name="watching-processes", daemon=True).start()

    def _watch(self) -> None:
        """Ends this process where another one failed and it waits for it in vain: some ways to wait know no end."""
        while not self.ended.wait(1.0):
            if (told := self.failure()) and not self.ended.wait(_PATIENCE):
                with contextlib.suppress(OSError, ValueError):  # nobody may be there to read it
                    print(f"error: {told}", file=sys.stderr, flush=True)
                self.end(at_once=True)
                os._exit(1)

    def failure(self) -> str | None:
        """Which of the processes has failed; None where none has."""
        for rank, process in enumerate(self.procs, start=1):
            if process.poll():
                status = process.returncode
                how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
                which = f"process {rank + 1} of the {self.num_processes} of this machine"
                return f"{which} {how}, and the others cannot go on without it; what it said stands above"
        return None

    def end(self, *, at_once: bool = False) -> None:
        """Waits until all have ended, not forever. What they write is whole or not there, whenever they end."""
        self.ended.set()
        until = time.monotonic() + (0.0 if at_once else _PATIENCE)
        for process in self.procs:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
            if process.poll() is None:
                process.kill()
                process.wait()


def command_of(job: Any, rank: int) -> list[str]:
    """The command of a further process of a job (Hydra's settings of it): that of the job alone, in its folder."""
    from pullback.runtime import programs

    script = Path(programs.__path__[0]) / f"{job.job.config_name}.py"
    further = [
        argument
        for source in job.runtime.config_sources
        if source.provider == "command-line"
        for argument in ("--config-dir", source.path)
    ]
    typed = [one for one in job.overrides.hydra if not one.lstrip("+~").startswith(_OF_THE_JOB + _OF_SWEEPS)]
    own = {
        "hydra.mode": "RUN",
        "hydra.run.dir": quote("hydra.run.dir", job.runtime.output_dir),
        "hydra.sweep.dir": quote("hydra.sweep.dir", str(job.sweep.dir)),
        "hydra.job.name": f"{job.job.config_name}_process_{rank}",
        "hydra.output_subdir": "null",
    }
    of_sweep = [key for key in ("num", "id") if not OmegaConf.is_missing(job.job, key)]
    own |= {f"hydra.job.{key}": job.job[key] for key in of_sweep}
    return [
        sys.executable,
        str(script),
        *further,
        *job.overrides.task,
        *typed,
        *(f"{key}={value}" for key, value in own.items()),
    ]


def plugins_of(devices: Any) -> list[Any]:
    """What Lightning needs to know of the cluster: in a Slurm job of one task, nobody else starts processes."""
    alone = os.environ.get("SLURM_NTASKS", "1") == "1" and "TORCHELASTIC_RUN_ID" not in os.environ
    return [LightningEnvironment()] if alone and "SLURM_JOB_ID" in os.environ and devices not in (1, "1") else []


def with_own_launcher(trainer: Trainer) -> Trainer:
    """The trainer, whose further processes are started by ``Processes``."""
    before = trainer.strategy.launcher
    if isinstance(before, _SubprocessScriptLauncher):
        mine = Processes(before.cluster_environment, before.num_processes, before.num_nodes)
        trainer.strategy._launcher = mine
    return trainer


@contextlib.contextmanager
def working_together(trainer: Trainer) -> Iterator[None]:
    """Within, processes may be started; afterwards there are none, and this process is as before.

    Raises ProcessFailed where this process cannot go on because another one failed.
    """
    launcher, threads = trainer.strategy.launcher, torch.get_num_threads()
    if not isinstance(launcher, Processes):
        yield
        return
    before = {name: os.environ.get(name) for name in _OF_A_GROUP}
    started = "LOCAL_RANK" not in os.environ
    try:
        share_cores(trainer, cores=cores())
        yield
        launcher.end()
    except RuntimeError as error:
        if isinstance(error, UserError) or (told := _failure_of(launcher, error)) is None:
            raise
        raise ProcessFailed(told) from error
    finally:
        launcher.end(at_once=True)
        if started:
            _leave_group(before)
        torch.set_num_threads(threads)


def _failure_of(launcher: Processes, error: RuntimeError) -> str | None:
    """Which other process failed, if one has: a lost connection is noticed before that one has ended."""
    lost = re.search("connection|gloo|nccl", str(error), re.IGNORECASE) is not None
    until = time.monotonic() + (_PATIENCE if lost else 1.0)
    while launcher.procs and not launcher.failure() and time.monotonic() < until:
        time.sleep(0.1)
    return launcher.failure()


def _leave_group(variables: dict[str, str | None]) -> None:
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
