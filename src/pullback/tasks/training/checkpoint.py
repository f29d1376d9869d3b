"""Checkpoints from which an interrupted run resumes exactly, and of which a whole one is there at every moment."""

import contextlib
import io
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint
from torch import Tensor

from pullback.errors import UserError
from pullback.tasks.training.weights import CheckpointError, load_to_resume
from pullback.writing import write_atomically

log = logging.getLogger(__name__)

LAST, PREVIOUS, BEST, DAMAGED = "last.ckpt", "last-previous.ckpt", "best.ckpt", "last-damaged.ckpt"
_KINDS = {"loops": dict, "optimizer_states": list, "lr_schedulers": list, "callbacks": dict, "epoch": int}
_OPTION = int | float | Tensor
# What a checkpoint holds beside the weights, and a training needs to go on.
_STATE = ("state_dict", "config", "loops", "optimizer_states", "callbacks", "global_step")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint as everything else is written: in one step, from a temporary file in the same folder.

    Lightning's own goes by way of the system's folder for temporary files; on another disk that is a copy, which can be
    cut short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        path, content = Path(path), io.BytesIO()
        # first into memory: on a full disk torch hides the error of the file behind its own
        torch.save(checkpoint, content)
        previous = path.with_name(PREVIOUS) if path.name == LAST else None
        write_atomically(path, lambda file: file.write(content.getbuffer()), previous=previous)


class BestCheckpoint(ModelCheckpoint):
    """Lightning's, which also in a folder that was moved or copied remembers how good the best checkpoint there is."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lightning forgets the best score when the folder has another name, and keeps a path that leads nowhere."""
        there = Path(self.dirpath or "") / Path(state_dict.get("best_model_path") or "none").name
        if there.is_file():
            moved = {str(there): score for score in state_dict["best_k_models"].values()}
            places = {
                "best_model_path": str(there),
                "kth_best_model_path": str(there),
                "best_k_models": moved,
                "dirpath": self.dirpath,
            }
            super().load_state_dict(state_dict | places)

    @property
    def found(self) -> Path | None:
        """The best checkpoint, if there is one."""
        path = Path(self.best_model_path)
        return path if self.best_model_score is not None and path.is_file() else None


class LastCheckpoint(Checkpoint):
    """Keeps the newest state of a training: after each validation, at the end, and every few minutes.

    It saves only between two optimiser steps, when no gradients wait to be accumulated and no validation is due, so
    that a run resumed from the file does exactly what the uninterrupted one did.
    """

    def __init__(self, path: str, *, minutes: float = 5.0):
        self.path = Path(path)
        self.seconds = 60 * minutes
        self.saved_at = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        wanted = trainer.strategy.broadcast(
            time.monotonic() - self.saved_at >= self.seconds or trainer.received_sigterm
        )
        loop = trainer.fit_loop.epoch_loop
        accumulating = (batch_idx + 1) % trainer.accumulate_grad_batches != 0
        every = trainer.val_check_batch
        validation_due = trainer.enable_validation and every is not None and (loop.total_batch_idx + 1) % every == 0
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


def newest_whole(folder: Path) -> Path | None:
    """The checkpoint to go on from: the last one or, where it is damaged, the one before it, or the best.

    None where there is no checkpoint yet; damaged ones are named in a warning, and a damaged last one is put aside for
    a copy of the one that is taken. Raises CheckpointError when all of them are damaged.
    """
    damaged = []
    for path in (folder / name for name in (LAST, PREVIOUS, BEST)):
        if not path.exists() and not path.is_symlink():
            continue
        try:
            step = resumable(path)["global_step"]
        except UserError as error:
            damaged.append(str(error))
            continue
        if damaged:
            log.warning("%s; the training goes on from %s, step %d", "; ".join(damaged), path.name, step)
        return _in_the_place_of_the_last(path) if damaged else path
    if damaged:
        raise CheckpointError("; ".join(damaged) + ". To begin anew: resume=null, or another hydra.run.dir=DIR")
    return None


def _in_the_place_of_the_last(path: Path) -> Path:
    last = path.with_name(LAST)
    if last.exists() or last.is_symlink():
        with contextlib.suppress(OSError):
            os.replace(last, last.with_name(DAMAGED))
    write_atomically(last, lambda file: file.write(path.read_bytes()))
    return last


def resumable(path: Path) -> Mapping[str, Any]:
    """The content of a checkpoint with everything that a training goes on from.

    Raises CheckpointError, PlainDataError or NotFiniteError with the file's name.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path} is {'a folder' if path.is_dir() else 'no file'}, not a checkpoint; give resume=FILE or resume=auto"
        )
    content = load_to_resume(path)
    absent = [key for key in _STATE if key not in content]
    if absent:
        raise CheckpointError(f"{path} was written without its training: it holds no {', '.join(absent)}")
    if not re.match(r"[2-9]\.\d", str(content.get("pytorch-lightning_version", "2.0"))):
        raise CheckpointError(f"{path} was not written by a Lightning of this project: begin anew with resume=null")
    odd = [key for key, kind in _KINDS.items() if not isinstance(content.get(key, kind()), kind)]
    odd += [f"{name} of an optimiser" for name, value in _options(content) if not isinstance(value, _OPTION)]
    if odd:
        raise CheckpointError(
            f"{path} is damaged, or was edited: its {odd[0]} is of another kind than a training writes"
        )
    return content


def _options(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Learning rates and the like, by name."""
    for state in content["optimizer_states"] if isinstance(content["optimizer_states"], list) else ():
        for group in state.get("param_groups", ()) if isinstance(state, Mapping) else ():
            yield from (
                (key, value)
                for key, value in group.items()
                if key in ("lr", "initial_lr", "eps", "weight_decay", "momentum")
            )


class Resuming(Callback):
    """Tells what goes wrong before the first step of a resumed training: the fault of the file."""

    def __init__(self) -> None:
        self.begun = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begun = True

    @contextlib.contextmanager
    def naming(self, path: Path) -> Iterator[None]:
        """Raises CheckpointError where a value is of another kind than Lightning and the optimiser expect."""
        try:
            yield
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            if self.begun:
                raise
            told = f"{type(error).__name__}: {str(error)[:200]}"
            message = (
                f"{path} is damaged, or was edited: no training can go on from it ({told}); begin anew with resume=null"
            )
            raise CheckpointError(message) from error
