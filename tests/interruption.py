"""A run that is cut off in the middle."""

import os
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


class SignalAfter(Callback):
    """A signal from outside, while the pair after so many is trained on, or matched."""

    def __init__(self, pairs: int, number: int):
        self.left = pairs
        self.number = number

    def _pair(self) -> None:
        self.left -= 1
        if self.left == -1:
            os.kill(os.getpid(), self.number)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._pair()

    def on_predict_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, i: int = 0
    ) -> None:
        self._pair()
