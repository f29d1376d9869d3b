"""A configuration composed inside of a process that may use Hydra itself, and does not notice."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from omegaconf import DictConfig, open_dict
from omegaconf.basecontainer import BaseContainer

from pullback.errors import UserError
from pullback.places import configs
from pullback.runtime.command_line import UsageError, overrides
from pullback.runtime.hydra_errors import while_composing
from pullback.runtime.option_names import Vocabulary
from pullback.runtime.settings import register_resolvers

_OF_A_RUN = (GlobalHydra, HydraConfig, JobRuntime, version.VersionBase)  # what Hydra keeps of the run of a process
_TURN = threading.RLock()


@contextmanager
def composing(program: str, typed: Sequence[str], *, config_dir: str | Path | None = None) -> Iterator[DictConfig]:
    """What ``pullback {program} *typed`` composes, with the folder of the results left open.

    Within, the checks of a command work as in one; the configuration is to be resolved within.

    ``config_dir`` is a folder of yaml files besides ours. Hydra's state is afterwards what it was before; working
    folder, log and signal handlers are never touched. Raises UserError for what the command would refuse.
    """
    arguments = [*([] if config_dir is None else ["--config-dir", str(Path(config_dir).resolve())]), *typed]
    with _TURN, _hydra_set_aside():
        register_resolvers()
        given = overrides(arguments, program, configs())
        given = given if config_dir is None else given[2:]
        try:
            _initialise(program, config_dir)
            cfg = compose(program, overrides=given, return_hydra_config=True)
            HydraConfig.instance().set_config(cfg)
            with open_dict(cfg):
                del cfg["hydra"]
            cfg.paths.output_dir = None
            yield cfg
        except UserError:
            raise
        except Exception as error:
            told = while_composing(error, Vocabulary(program, configs()))
            if told is None:
                raise
            raise UsageError(told) from error


def typed_overrides() -> list[str]:
    """What was typed, as Hydra took it; within ``composing``."""
    return list(HydraConfig.get().overrides.task)


def _initialise(program: str, config_dir: str | Path | None) -> None:
    """As ``hydra.initialize_config_dir``, which knows one folder alone."""
    version.setbase("1.3")
    folders = create_config_search_path(str(configs()))
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise UsageError(
                f"{config_dir} is no folder; config_dir takes one with yaml files, such as solver/mine.yaml"
            )
        folders.prepend("command-line", f"file://{Path(config_dir).resolve()}", anchor=SearchPathQuery("schema"))
    Hydra.create_main_hydra2(task_name=program, config_search_path=folders)


@contextmanager
def _hydra_set_aside() -> Iterator[None]:
    """Hydra as if nobody had used it in this process, and afterwards as it was."""
    instances, resolvers = dict(Singleton._instances), dict(BaseContainer._resolvers)
    for kind in _OF_A_RUN:
        Singleton._instances.pop(kind, None)
    try:
        yield
    finally:
        for kind in _OF_A_RUN:
            Singleton._instances.pop(kind, None)
        Singleton._instances.update((kind, instances[kind]) for kind in _OF_A_RUN if kind in instances)
        BaseContainer._resolvers.clear()
        BaseContainer._resolvers.update(resolvers)
