"""Numbers that change during training: loss weights that grow, blurs that shrink.

A schedule is a function of the training step alone, so a resumed run continues it. It rules training only: validation
and test see the value of the configuration, which makes their figures comparable over the whole run.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from pullback.ranges import above, at_least


class GeometricSchedule(Callback, ABC):
    """Moves a number geometrically from ``start`` to ``end`` within ``steps``, or jumps once in each epoch."""

    def __init__(self, *, start: float, end: float, steps: int | None = None, epochs: int | None = None):
        above(0, start=start, end=end)
        at_least(1, steps=steps, epochs=epochs)
        if (steps is None) == (epochs is None) or (steps or epochs or 0) < 1:
            raise ValueError(
                f"give a schedule a positive number of either steps or epochs, not steps={steps} and epochs={epochs}"
            )
        self.start, self.end, self.steps, self.epochs = float(start), float(end), steps, epochs

    def value(self, *, step: int, epoch: int) -> float:
        """The number at an optimiser step of an epoch, both counted from 0."""
        return self.start * (self.end / self.start) ** self.progress(step=step, epoch=epoch)

    def progress(self, *, step: int, epoch: int) -> float:
        """How much of the way lies behind, from 0 to 1."""
        done, whole = (step, self.steps) if self.steps else (epoch, self.epochs)
        return min(1.0, done / (whole or 1))

    @abstractmethod
    def read(self, module: Any) -> float:
        """The scheduled number of the module."""

    @abstractmethod
    def write(self, module: Any, value: float) -> None:
        """Change the scheduled number of the module."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Under which name the number is logged."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.configured = self.read(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        value = self.value(step=trainer.global_step, epoch=trainer.current_epoch)
        self.write(pl_module, value)
        pl_module.log(self.key, value, batch_size=1)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.write(pl_module, self.configured)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write(pl_module, self.configured)


class WeightRamp(GeometricSchedule):
    """The weight of one loss term. Raises ValueError when the module has no such term."""

    def __init__(self, term: str, *, start: float, end: float, steps: int | None = None, epochs: int | None = None):
        super().__init__(start=start, end=end, steps=steps, epochs=epochs)
        self.term = term

    @property
    def key(self) -> str:
        return f"train/weight/{self.term}"

    def read(self, module: Any) -> float:
        return module.losses[self.term].weight

    def write(self, module: Any, value: float) -> None:
        module.losses[self.term].weight = value


class BlurAnneal(GeometricSchedule):
    """The σ of the soft map between features (``solver.init_blur``)."""

    solver_option: ClassVar[str] = "init_blur"  # what it changes: read from the source by the checks
    key = "train/init_blur"

    def read(self, module: Any) -> float:
        return module.solver.init_blur

    def write(self, module: Any, value: float) -> None:
        module.solver.init_blur = value


class SharpnessRamp(BlurAnneal):
    """The same σ, but the sharpness ``1 / σ²`` grows linearly: quickly narrow, then ever more slowly."""

    def value(self, *, step: int, epoch: int) -> float:
        sharpness = self.start**-2 + (self.end**-2 - self.start**-2) * self.progress(step=step, epoch=epoch)
        return sharpness**-0.5
