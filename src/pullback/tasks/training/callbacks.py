"""What watches over a training: finite gradients, and random numbers that a resumed run draws again."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, RichProgressBar
from torch.optim import Optimizer

from pullback.types import ShapePair


class FiniteGuard(Callback):
    """Stops at the first gradient that is not finite, naming the pairs it came from.

    Logs the gradient's norm before clipping.

    With float16 such steps are part of the search for a loss scale, which skips them.
    """

    def __init__(self) -> None:
        self.pairs: list[str] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: ShapePair, batch_idx: int
    ) -> None:
        self.pairs.append(batch.name)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        norm = torch.nn.utils.get_total_norm([p.grad for p in pl_module.parameters() if p.grad is not None])
        searches_scale = getattr(trainer.precision_plugin, "scaler", None) is not None
        if not searches_scale and not torch.isfinite(norm):
            raise FloatingPointError(
                f"the norm of the gradient is {norm.item()} at step {trainer.global_step}, from "
                f"{', '.join(self.pairs)}; "
                "try a smaller optimizer.lr, or look closer with debug=one_pair"
            )
        pl_module.log("train/grad_norm", norm, batch_size=1)
        self.pairs.clear()


class StepSeed(Callback):
    """Seeds torch before each training step, so that a resumed run draws the same numbers."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        mixed = 0
        for part in (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank):
            mixed = (mixed * 1_000_003 + part) % 2**63
        torch.manual_seed(mixed)


class Progress(RichProgressBar):
    """Lightning's progress bar, without the tail of a logger's name and a last epoch that nobody set.

    It counts pairs: an epoch ends with the last one, or with that of the last optimiser step, of which each takes
    several pairs when gradients are accumulated.
    """

    @property
    def total_train_batches(self) -> int | float:
        trainer = self.trainer
        pairs = trainer.num_training_batches
        if trainer.max_epochs != -1 or trainer.max_steps < 0:
            return pairs
        ready = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        done = ready if ready < pairs else 0  # a finished epoch counts until the next one begins
        pending = done % trainer.accumulate_grad_batches
        return min(pairs, done - pending + (trainer.max_steps - trainer.global_step) * trainer.accumulate_grad_batches)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        return {key: value for key, value in super().get_metrics(trainer, pl_module).items() if key != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Epoch {current_epoch:<4}"
