"""Around a sweep: a folder for its study before, one table and a figure after, and how many jobs it has."""

import math
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

_SQLITE = "sqlite:///"
SWEEP_FILE = "multirun.yaml"  # what Hydra keeps of a sweep


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

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        if kwargs.get("config_name") in ("train", "eval") and any(folder.rglob("metrics.json")):
            try:
                get_method(self.table)([str(folder)])
                get_method(self.figure)(folder)
            except SystemExit:  # it has told why
                return


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
