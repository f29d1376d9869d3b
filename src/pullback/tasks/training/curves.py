"""Figures over the steps of a training, as CSV files that a resumed run continues."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from pullback.types import ShapePair
from pullback.writing import write_text_atomically


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by column; none where there is no file.

    The line that a killed run did not finish is left out.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        text = file.read()
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline="")))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Begins a CSV file with these rows, in one step: it is the old one or the new one.

    Other columns of the rows are left out.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text_atomically(path, text.getvalue())


def rows_before(rows: Sequence[Mapping[str, str]], step: int) -> list[Mapping[str, str]]:
    """The rows with a ``step`` below the given one: what a run resumed there does not do again."""
    return [row for row in rows if (row["step"] or "").isdigit() and int(row["step"]) < step]


class ContinuedCSVLogger(CSVLogger):
    """Lightning's CSV logger deletes the curve that it finds in its folder.

    This one keeps it up to the step where it begins.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._begun = False

    @property
    @rank_zero_experiment
    def experiment(self) -> "_ContinuingWriter":
        if not isinstance(self._experiment, _ContinuingWriter):
            self._experiment = _ContinuingWriter(log_dir=self.log_dir)
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if not self._begun and step is not None:
            self.experiment.continue_from(step)
            self._begun = True
        super().log_metrics(dict(metrics), step)


class _ContinuingWriter(ExperimentWriter):
    """Appends rows, as Lightning's.

    Whatever it writes anew it writes in one step, so that no kill costs the curve so far.
    """

    def continue_from(self, step: int) -> None:
        """Drops the rows that are not before the step."""
        path = Path(self.metrics_file_path)
        rows = rows_before(rows_of(path), step)
        if rows:
            self.metrics_keys = sorted({key for row in rows for key in row if key})
            write_rows(path, self.metrics_keys, rows)
        else:
            path.unlink(missing_ok=True)

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        write_rows(path, fieldnames, rows_of(path))

    def _check_log_dir_exists(self) -> None:
        """Lightning's deletes the curve here."""


class PairLog(Callback):
    """A row for each pair that was trained on or validated: loss terms vary more between pairs than over many steps.

    ``step`` counts the optimiser steps: of a training pair, the one it took part in; of a validation pair, those done
    before. Of several processes each writes a file of its own, whose rows join the first one's at the end of a training
    or, where it was cut short, when it goes on: as if one process had taken the pairs in turn.
    """

    def __init__(self, path: str):
        self.path = Path(path)
        self.columns: list[str] | None = None
        self.step = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """All processes wait for each other behind this."""
        if trainer.is_global_zero:
            join_parts(self.path)
        else:
            self.columns = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.strategy.barrier("pairs are logged")
        if trainer.is_global_zero:
            join_parts(self.path)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: ShapePair, batch_idx: int
    ) -> None:
        self.step = trainer.global_step + 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: ShapePair, batch_idx: int
    ) -> None:
        self._append(trainer, pl_module, {"step": self.step, "stage": "train", "pair": batch.name}, outputs["values"])

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: ShapePair,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx * trainer.world_size + trainer.global_rank >= _validated(trainer):
            return  # a pair once more, so that all processes have equally many
        key = {"step": trainer.global_step, "stage": "val", "pair": batch.name}
        self._append(trainer, pl_module, key, outputs["values"])

    def _append(self, trainer: Trainer, module: Any, key: dict[str, Any], values: Mapping[str, Any]) -> None:
        path = self.path if trainer.is_global_zero else part_of(self.path, trainer.global_rank)
        row = key | {name: float(value) for name, value in values.items()}
        if self.columns is None:
            self.columns = ["step", "stage", "pair", "loss", *module.losses, *module.error_names]
            write_rows(path, self.columns, rows_before(rows_of(path), row["step"]))
        with path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)


def part_of(path: Path, rank: int) -> Path:
    """The file of a further process: ``train_pairs-process-1.csv``."""
    return path.with_name(f"{path.stem}-process-{rank}{path.suffix}")


def join_parts(path: Path) -> None:
    """Moves the rows of further processes into the first one's file, to where one process would have written them.

    Killed anywhere, it ends what it began when it is asked again: no row is lost or doubled.
    """
    parts = sorted(path.parent.glob(part_of(path, 0).name.replace("-0", "-[0-9]*")), key=_rank)
    joined = path.with_name(f"{path.stem}-joined{path.suffix}")
    if parts and not joined.is_file():
        taken: dict[tuple[int, bool, int, int], dict[str, str]] = {}
        for process, part in enumerate([path, *parts]):
            taken |= {(step, late, turn, process): row for step, late, turn, row in _in_turn(rows_of(part))}
        rows = [taken[place] for place in sorted(taken)]
        write_rows(joined, list(dict.fromkeys(key for row in rows for key in row if key)), rows)
    if joined.is_file():
        for part in parts:
            part.unlink(missing_ok=True)
        os.replace(joined, path)


def _rank(part: Path) -> int:
    return int(part.stem.rpartition("-")[2])


def _in_turn(rows: list[dict[str, str]]) -> Iterator[tuple[int, bool, int, dict[str, str]]]:
    """Rows with their step, whether they were validated after it, and how many of the process are before in both."""
    turns: dict[tuple[int, bool], count] = {}
    for row in rows:
        if (row["step"] or "").isdigit():
            key = int(row["step"]), row["stage"] == "val"
            yield *key, next(turns.setdefault(key, count())), row


def _validated(trainer: Trainer) -> int:
    loaders = trainer.val_dataloaders
    return len(loaders.dataset) if loaders else 0
