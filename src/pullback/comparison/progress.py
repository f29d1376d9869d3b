"""How far a sweep is: which of its jobs have finished, where the others are."""

import contextlib
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from pullback.comparison.run_files import read_yaml
from pullback.plain_data import with_visible_controls
from pullback.runtime.sweeping import FAILURE, SWEEP_FILE, jobs_of


def progress(folders: Sequence[Path]) -> list[str]:
    """A line for each sweep in the folders that has jobs left: ``5 of 8 jobs have finished; 6: step 12 of 16``.

    Sweeps below a folder are named.
    """
    told = []
    for folder in folders:
        for sweep in sorted(path.parent for path in folder.rglob(SWEEP_FILE)):
            told += [line if sweep == folder else f"{sweep.relative_to(folder)}: {line}" for line in _line(sweep)]
    return told


def _line(sweep: Path) -> Iterator[str]:
    begun = sorted((path.parent.parent for path in sweep.glob("*/.hydra/overrides.yaml")), key=_number)
    finished = [job for job in begun if (job / "metrics.json").is_file()]
    jobs = jobs_of(sweep)
    told = [f"{job.name}: {_stage(job)}" for job in begun if job not in finished]
    waiting = (jobs or len(begun)) - len(begun)
    if waiting > 0:
        told.append(f"{waiting} not begun")
    if told:
        yield "; ".join([f"{len(finished)} of {jobs or len(begun)} jobs have finished", *told])


def _stage(job: Path) -> str:
    """Where a job is, as far as its files tell."""
    with contextlib.suppress(OSError):
        return f"failed: {with_visible_controls((job / FAILURE).read_text(errors='replace').strip())[:300]}"
    pairs = sum(1 for _ in (job / "predictions").rglob("*.npz"))
    if pairs:
        return f"{pairs} pairs matched"
    steps, trainer = _last_step(job / "logs" / "csv" / "metrics.csv"), read_yaml(job / "config.yaml").get("trainer", {})
    return "begun" if steps is None else f"step {steps} of {trainer.get('max_steps', '?')}"


def _last_step(path: Path) -> int | None:
    """The last step that a curve tells of; a line may be half written."""
    if not path.is_file():
        return None
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        steps = [row["step"] for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]
    return 1 + int(steps[-1]) if steps else None


def _number(job: Path) -> tuple[int, str]:
    return (int(job.name) if job.name.isdigit() else -1, job.name)
