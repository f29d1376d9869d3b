"""How often a training was begun in a folder: ``attempts.csv``, a line for each process that worked on it."""

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pullback.tasks.training.curves import rows_of, write_rows

ATTEMPTS = "attempts.csv"
_COLUMNS = ("started", "host", "job", "from_step")


def note_attempt(folder: Path, from_step: int | None) -> int:
    """Writes down that a training begins (None) or goes on from a step; returns how often it was resumed so far.

    A training that begins anew takes the place of what was there.
    """
    path = folder / ATTEMPTS
    before = [] if from_step is None else rows_of(path)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    row = {"started": now, "host": socket.gethostname(), "job": slurm_job(os.environ), "from_step": from_step or 0}
    write_rows(path, _COLUMNS, [*before, row])
    return 0 if from_step is None else max(len(before), 1)


def slurm_job(environment: Mapping[str, str]) -> str:
    """``1234_5`` for a job of an array, as Slurm's own programs call it; empty outside of Slurm."""
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID", "")
