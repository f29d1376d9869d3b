"""The event file of TensorBoard: one for each run, which a resumed run continues."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from pullback.errors import UserError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TESTED = "test/"  # how the tags of results begin, which are written at the end of every run


class FolderNameError(UserError, ValueError):
    """TensorBoard writes only into folders whose names are text in UTF-8."""


class ContinuedTensorBoardLogger(TensorBoardLogger):
    """Lightning's begins another event file with every stage and every resumption, and TensorBoard shows steps twice.

    This one has one file. What it finds of earlier ones goes into it, up to the step where it begins.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._begun = False
        self._older: list[Path] = []

    @property
    @rank_zero_experiment
    def experiment(self) -> "SummaryWriter":
        if self._experiment is None:
            self._older = sorted(Path(self.log_dir).glob("events.out.tfevents.*"))
            _check_name(self.log_dir)
        return super().experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if not self._begun and step is not None:
            self.continue_from(step)
        super().log_metrics(metrics, step)

    @rank_zero_only
    def continue_from(self, step: int | float) -> None:
        """Takes over what earlier files have before the step, less the results, and removes them.

        Only the first time: from then on the file is the run's.
        """
        if self._begun:
            return
        self._begun, writer = True, self.experiment
        kept: dict[bytes, Any] = {}  # a run that was killed right here has some in two files
        for path in self._older:
            kept |= {event.SerializeToString(): event for event in events_of(path) if _is_before(event, step)}
        for event in kept.values():
            writer._get_file_writer().event_writer.add_event(event)  # as it is, with its time
        writer.flush()
        for path in self._older:
            path.unlink(missing_ok=True)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Lightning's also closes the file, and the next stage of the run would open another."""
        if self._experiment is not None:
            self._experiment.flush()
        if status == "success":
            self.save()

    @rank_zero_only
    def close(self) -> None:
        """At the end of the run."""
        if self._experiment is not None:
            self._experiment.close()


def events_of(path: Path) -> Iterator[Any]:
    """The events in a file, as TensorBoard's ``Event``; less what a killed run did not finish."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    return map(Event.FromString, RawEventFileLoader(str(path)).Load())


def _is_before(event: Any, step: int | float) -> bool:
    tags = [value.tag for value in event.summary.value]
    return event.WhichOneof("what") == "summary" and event.step < step and not any(t.startswith(TESTED) for t in tags)


def _check_name(folder: str) -> None:
    """Raises FolderNameError where TensorBoard could not name a file in the folder."""
    try:
        folder.encode()
    except UnicodeEncodeError:
        raise FolderNameError(
            f"{folder}: TensorBoard writes only where the names of all folders are UTF-8; rename the folder, or choose "
            "another: hydra.run.dir=DIR or hydra.sweep.dir=DIR"
        ) from None
