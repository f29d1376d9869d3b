"""Around a sweep: a folder for its study before, a table and a figure after, how many jobs it has, which failed."""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from pullback.errors import UserError
from pullback.runtime.doorway import as_called
from pullback.runtime.signals import advising
from pullback.writing import write_text_atomically

_SQLITE = "sqlite:///"
SWEEP_FILE = "multirun.yaml"  # what Hydra keeps of a sweep
FAILURE = "error.txt"  # in the folder of a job that failed: why
_STUDY_AGAIN = "the study goes on with what it knows: give the same command again"
_begun: list[Callable[[], None]] = []  # prints the table of the sweep that runs
_advise: list[Callable[[str], None]] = []  # says what can be done after Ctrl-C


class FolderInUse(UserError, RuntimeError):
    """Another process is at work in a folder, and both would write the same files."""


class SweepTable(Callback):
    """A sweep ends in one table and one figure.

    ``table`` names a program that prints it, given the folder of the sweep, ``figure`` a function that draws beside it.
    """

    def __init__(self, table: str, figure: str):
        self.table, self.figure = table, figure

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """A database begins in a folder that is there."""
        storage = OmegaConf.select(config, "hydra.sweeper.storage", default=None)
        if isinstance(storage, str) and storage.startswith(_SQLITE):
            Path(storage.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        if kwargs.get("config_name") in ("train", "eval"):
            folder = Path(config.hydra.sweep.dir)
            _begun[:] = [lambda: self.print_of(folder)]
            for advise in _advise:
                advise(after_interrupt(config, kwargs["config_name"]))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        while _begun:
            _begun.pop()()

    def print_of(self, folder: Path) -> None:
        """The table and the figure of the jobs that have finished, if any has."""
        if any(folder.rglob("metrics.json")):
            with contextlib.suppress(SystemExit):  # it has told why
                get_method(self.table)([str(folder)])
                get_method(self.figure)(folder)


@contextlib.contextmanager
def with_table() -> Iterator[None]:
    """Within, a sweep ends in its table also where some of its jobs fail: Hydra ends it at the first of them."""
    with advising() as advise:
        _advise[:] = [advise]
        try:
            yield
        except Exception:
            with contextlib.suppress(UserError, OSError):  # of the two errors that of the job is told
                while _begun:
                    _begun.pop()()
            raise
        finally:
            _begun.clear()
            _advise.clear()


def note_failure(job: Path, why: str | None) -> None:
    """Keeps in the folder of a job why it failed, or (None) that it has not."""
    with contextlib.suppress(OSError):
        if why is None:
            (job / FAILURE).unlink(missing_ok=True)
        else:
            write_text_atomically(job / FAILURE, f"{why}\n")


def in_sweep() -> bool:
    """Whether this is a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def again_in(folder: Path) -> str:
    """The option with which the same command goes on in the folder of a run; of a job, in that of its sweep."""
    return f"hydra.sweep.dir={_folder_of(HydraConfig.get())}" if in_sweep() else f"hydra.run.dir={folder}"


def training_again(folder: Path) -> str:
    """What to do after a training in a folder was stopped. The trials of a study are others the next time."""
    if in_sweep() and not _over_given_values(HydraConfig.get()):
        return _STUDY_AGAIN
    return f"the training goes on from its last checkpoint with: the same command, resume=auto {again_in(folder)}"


def after_interrupt(config: Any, program: str) -> str:
    """What to do after a sweep was stopped from outside of its jobs."""
    place = f"hydra.sweep.dir={_folder_of(config.hydra)}"
    launcher = str(OmegaConf.select(config, "hydra.launcher._target_", default=""))
    if not _over_given_values(config.hydra):
        again = _STUDY_AGAIN
    else:
        again = f"the same command goes on with {'resume=auto ' if program == 'train' else ''}{place}"
    if "Slurm" in launcher:
        return as_called(
            "what is submitted runs on: squeue lists it, scancel ends it, and python -m experiments.compare "
            f"{_folder_of(config.hydra)} tells how far it is. When it has ended, {again}"
        )
    return again


def _folder_of(hydra: Any) -> Path:
    return Path(hydra.runtime.cwd) / hydra.sweep.dir


def _over_given_values(hydra: Any) -> bool:
    """Whether job 3 of a sweep is the same the next time: not where the sweeper chooses values."""
    return str(OmegaConf.select(hydra, "sweeper._target_", default="BasicSweeper")).endswith("BasicSweeper")


def jobs_of(sweep: Path) -> int | None:
    """How many jobs a sweep has that goes over given values; None where its sweeper or its file does not tell."""
    try:
        settings = yaml.safe_load((sweep / SWEEP_FILE).read_text(encoding="utf-8"))["hydra"]
        if not str(settings["sweeper"]["_target_"]).endswith("BasicSweeper"):
            return None
        told = [f"{key}={value}" for key, value in (settings["sweeper"].get("params") or {}).items()]
        parsed = OverridesParser.create().parse_overrides([*told, *settings["overrides"]["task"]])
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError, HydraException):
        return None
    values = {one.get_key_element(): one for one in parsed}  # what is typed takes the place of a file's
    return math.prod(len(list(one.sweep_string_iterator())) for one in values.values() if one.is_sweep_override())
