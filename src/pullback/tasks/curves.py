"""Figures over the steps of a training, as CSV files that a resumed run continues."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from pullback.types import ShapePair


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by column; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def rows_before(rows: Sequence[Mapping[str, str]], step: int) -> list[Mapping[str, str]]:
    """The rows with a ``step`` below the given one: what a run resumed there does not do again."""
    return [row for row in rows if (row["step"] or "").isdigit() and int(row["step"]) < step]


class ContinuedCSVLogger(CSVLogger):
    """Lightning's CSV logger deletes the curve that it finds in its folder; this one keeps it up to the step where it begins."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._earlier: list[dict[str, str]] | None = rows_of(Path(self.log_dir) / "metrics.csv")

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if self._earlier is not None and step is not None:
            kept = rows_before(self._earlier, step)
            self.experiment.metrics = [{key: value for key, value in row.items() if value} for row in kept]
            self._earlier = None
        super().log_metrics(metrics, step)


class PairLog(Callback):
    """A row for each pair that was trained on or validated: loss terms vary more between pairs than over many steps.

    ``step`` counts the optimiser steps: of a training pair, the one it took part in; of a validation pair, those done before.
    """

    def __init__(self, path: str):
        self.path = Path(path)
        self.columns: list[str] | None = None
        self.step = 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: ShapePair, batch_idx: int) -> None:
        self.step = trainer.global_step + 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Mapping[str, Any], batch: ShapePair, batch_idx: int
    ) -> None:
        self._append(trainer, pl_module, {"step": self.step, "stage": "train", "pair": batch.name}, outputs["values"])

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Mapping[str, Any],
        batch: ShapePair,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._append(trainer, pl_module, {"step": trainer.global_step, "stage": "val", "pair": batch.name}, outputs["values"])

    def _append(self, trainer: Trainer, module: LightningModule, key: dict[str, Any], values: Mapping[str, Any]) -> None:
        if not trainer.is_global_zero:
            return
        row = key | {name: float(value) for name, value in values.items()}
        if self.columns is None:
            self._begin(["step", "stage", "pair", "loss", *module.losses, *module.error_names], before=row["step"])
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def _begin(self, columns: list[str], *, before: int) -> None:
        earlier = rows_before(rows_of(self.path), before)
        self.columns = columns
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(earlier)
