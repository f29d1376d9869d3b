"""A program from what was typed to its end: the frame around the ``task`` of train, eval and match."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from pullback.places import configs
from pullback.runtime.command_line import overrides
from pullback.runtime.doorway import DEBUG, in_one_paragraph, is_debugging, reason, tell, tell_once, telling
from pullback.runtime.foreign_fit import settled
from pullback.runtime.hydra_errors import in_words, while_composing
from pullback.runtime.method_parts import tested
from pullback.runtime.option_names import Vocabulary
from pullback.runtime.recipes import fitted
from pullback.runtime.settings import register_resolvers
from pullback.runtime.signals import ending_with_parent, leaving_at_once
from pullback.runtime.sweeping import FolderInUse, note_failure, with_table
from pullback.waiting import asleep, environment


class Command:
    """The command ``pullback {program}``, or ``python {program}.py`` in a checkout."""

    def __init__(self, program: str):
        register_resolvers()
        self.program, self.configs = program, configs()

    def run(self, task: Callable[[], Any]) -> None:
        """Runs a task, which is decorated with ``job``, on what was typed.

        What goes wrong is told as in ``doorway``.
        """
        register_resolvers()  # again: who composed in this process meanwhile may have put them away
        words = Vocabulary(self.program, self.configs)
        told = telling(functools.partial(while_composing, words=words))
        with told, leaving_at_once(), _environment(is_debugging()), with_table():
            sys.argv[1:] = overrides(sys.argv[1:], self.program, self.configs)
            task()

    def job(self, task: Callable[..., Any]) -> Callable[..., Any]:
        """Decorates a function of a configuration: called without one, it composes what was typed.

        In a sweep, a job's mistake is told with its number, and the others go on.
        """

        @functools.wraps(task)
        def told(cfg: Any) -> Any:
            try:
                run = HydraConfig.get()
                if run.mode is RunMode.MULTIRUN:
                    note_failure(Path(run.runtime.output_dir), None)
                name, typed = run.job.config_name, run.overrides.task
                with ending_with_parent():
                    return task(tested(fitted(settled(cfg, name, typed), name, typed), name, typed))
            except Exception as error:
                if os.environ.get(DEBUG) or isinstance(error, BrokenPipeError):
                    raise
                words = functools.partial(in_words, words=Vocabulary(self.program, self.configs))
                if run.mode is RunMode.MULTIRUN:
                    tell_once(error, words, before=f"job {run.job.num} ({run.job.override_dirname}): ")
                    if not isinstance(error, FolderInUse):  # the job goes on, elsewhere
                        note_failure(Path(run.runtime.output_dir), in_one_paragraph(reason(error, words)))
                    raise
                raise SystemExit(tell(error, words)) from None

        return hydra.main(version_base="1.3", config_path=str(self.configs), config_name=self.program)(told)


@contextmanager
def _environment(debugging: bool) -> Iterator[None]:
    """Hydra leaves errors to us, processes of a sweep know whether tracebacks are wanted, and threads wait asleep."""
    with environment({"HYDRA_FULL_ERROR": "1", **({DEBUG: "1"} if debugging else {}), **asleep()}):
        yield
