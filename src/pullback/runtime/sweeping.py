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

from pullback.writing import write_text_atomically

_SQLITE = "sqlite:///"
SWEEP_FILE = "multirun.yaml"  # what Hydra keeps of a sweep
FAILURE = "error.txt"  # in the folder of a job that failed: why
_begun: list[Callable[[], None]] = []  # prints the table of the sweep that runs


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
    try:
        yield
    except Exception:
        while _begun:
            _begun.pop()()
        raise
    finally:
        _begun.clear()


def note_failure(job: Path, why: str | None) -> None:
    """Keeps in the folder of a job why it failed, or (None) that it has not."""
    with contextlib.suppress(OSError):
        if why is None:
            (job / FAILURE).unlink(missing_ok=True)
        else:
            write_text_atomically(job / FAILURE, f"{why}\n")


def again_in(folder: Path) -> str:
    """The option with which the same command goes on in the folder of a run; of a job, in that of its sweep."""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        hydra = HydraConfig.get()
        return f"hydra.sweep.dir={Path(hydra.runtime.cwd) / hydra.sweep.dir}"
    return f"hydra.run.dir={folder}"


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
