"""A run that is cut off in the middle."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class StopAfter(Callback):
    """Ends the process's training after so many pairs: what is not on disk by then is lost."""

    def __init__(self, pairs: int):
        self.left = pairs

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise InterruptedError("the plug was pulled")
