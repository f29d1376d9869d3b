"""Checkpoints from which an interrupted run resumes exactly."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint


class LastCheckpoint(Checkpoint):
    """Keeps the newest state of a training in one file: after each validation, at the end, and every few minutes between.

    It saves only between two optimiser steps, when no gradients wait to be accumulated and no validation is due, so that a run
    resumed from the file does exactly what the uninterrupted one did.
    """

    def __init__(self, path: str, *, minutes: float = 5.0):
        self.path = Path(path)
        self.seconds = 60 * minutes
        self.saved_at = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        wanted = trainer.strategy.broadcast(time.monotonic() - self.saved_at >= self.seconds)
        loop = trainer.fit_loop.epoch_loop
        accumulating = (batch_idx + 1) % trainer.accumulate_grad_batches != 0
        validation_due = trainer.enable_validation and (loop.total_batch_idx + 1) % trainer.val_check_batch == 0
        if wanted and not accumulating and not validation_due:
            self.save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        accumulating = (trainer.fit_loop.epoch_loop.batch_idx + 1) % trainer.accumulate_grad_batches != 0
        if trainer.state.fn == "fit" and not accumulating:
            self.save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self.saved_at = time.monotonic()
