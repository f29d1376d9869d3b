"""Training, and which of its weights are kept."""

import contextlib
import logging
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pullback.errors import UserError
from pullback.locks import alone
from pullback.runtime.build import Run
from pullback.runtime.learned import Before, changes, trained_on
from pullback.runtime.origin import describe, description_of
from pullback.runtime.signals import Stopped, stopping
from pullback.runtime.sweeping import FolderInUse, in_sweep, training_again
from pullback.tasks.training.attempts import ATTEMPTS, note_attempt
from pullback.tasks.training.checkpoint import LAST, BestCheckpoint, Resuming, newest_whole, resumable
from pullback.tasks.training.weights import load_checkpoint, load_weights
from pullback.writing import telling_full_disks

log = logging.getLogger(__name__)


class OtherJob(UserError, ValueError):
    """A job of a sweep would go on with what a job with other values has trained."""


def fit(run: Run) -> float | None:
    """Trains, then gives the module its best weights. Returns the figure that selected them, if any did.

    Ctrl-C ends the training at once, SIGTERM after the step at hand, which a checkpoint keeps. Raises CheckpointError
    where no training can go on from what ``resume`` names, and FolderInUse.
    """
    with (
        _alone(run),
        stopping(training_again(run.folder), gently=lambda: run.trainer.received_sigterm),
        telling_full_disks(run.folder),
    ):
        return _fit(run, resumed_from(run))


@contextlib.contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Within, no other training is at work in the folder. Raises FolderInUse where one is."""
    if not run.trainer.is_global_zero:
        yield
        return
    with alone(run.folder / ".training") as free:
        if not free:
            raise FolderInUse(
                f"another process trains in {run.folder} at this moment ({ATTEMPTS} there tells on which machine, and "
                "since when); wait for its end, or choose another folder: hydra.run.dir=DIR, or hydra.sweep.dir=DIR"
            )
        yield


def _fit(run: Run, resume: Path | None) -> float | None:
    for logger in run.trainer.loggers:
        logger.log_hyperparams(dict(run.config))
    resumptions = _noted(run, resume)
    if resume is None:
        run.trainer.validate(run.module, run.data, verbose=False)  # the curves begin with the untrained network
        _stop_if_asked(run)
    else:
        log.info("resuming from %s", resume)
    before = time.monotonic()
    if resume is None:
        run.trainer.fit(run.module, run.data)
    else:
        _warn_where_done(run, resume)
        resuming = Resuming()
        run.trainer.callbacks.append(resuming)  # type: ignore[attr-defined]  # Lightning declares it nowhere
        with resuming.naming(resume):
            run.trainer.fit(run.module, run.data, ckpt_path=resume, weights_only=True)
    _stop_if_asked(run)
    run.training = {
        "steps": run.trainer.global_step,
        "seconds": round(time.monotonic() - before, 3),
        "resumed": resume is not None,
        "resumptions": resumptions,
    }
    best = next(
        (callback for callback in run.trainer.checkpoint_callbacks if isinstance(callback, BestCheckpoint)), None
    )
    found, score = (best.found, best.best_model_score) if best is not None else (None, None)
    path = found or run.folder / "checkpoints" / LAST
    if resume is not None and not path.is_file():  # nothing was left to do
        path = resume
    checkpoint = load_checkpoint(path)
    load_weights(run.module, checkpoint)
    run.weights, run.trained_on = describe(checkpoint, path), trained_on(checkpoint)
    return float(score) if found is not None and score is not None else None


def _noted(run: Run, resume: Path | None) -> int:
    """How often the training was resumed, which the folder of the run tells too.

    Warns where the checkpoint was trained with other parts: a new folder begins anew with those that were typed. Raises
    OtherJob for a job of a sweep, whose folder has its number for a name: its figures would be those of other values.
    """
    before = None if resume is None else resumable(resume)
    if before is not None:
        with description_of(str(resume)):
            run.module.before = Before.of_resumed(before, run.config).plain()
            changed = changes(before["config"], run.config)
        for part, was, now in changed:
            if run.cfg.resume == "auto" and in_sweep():
                raise OtherJob(
                    f"{resume} was trained with another {part}: {_apart(was, now)}; the figures of this job would be "
                    "those of other values. Give this sweep a folder of its own, hydra.sweep.dir=DIR, or begin anew in "
                    "this one: resume=null"
                )
            log.warning("%s was trained with another %s: %s; now it is %s", resume, part, was, now)
    if not run.trainer.is_global_zero:
        return 0
    return note_attempt(run.folder, None if before is None else before["global_step"])


def _warn_where_done(run: Run, resume: Path) -> None:
    done, most = resumable(resume)["global_step"], run.trainer.max_steps
    if 0 <= most <= done:
        log.warning(
            "%s has made %d steps, so nothing is left of trainer.max_steps=%d; its weights are taken. To train on, use "
            "a larger one",
            resume,
            done,
            most,
        )


def _apart(was: Any, now: Any) -> str:
    """What differs in two settings, as ``init_blur 0.1, now 0.2``."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        keys = [key for key in dict.fromkeys([*was, *now]) if was.get(key) != now.get(key)]
        return ", ".join(f"{key} {_apart(was.get(key), now.get(key))}" for key in keys)
    return f"{was}, now {now}"


def _stop_if_asked(run: Run) -> None:
    """Lightning ends no loop after its last step."""
    if run.trainer.received_sigterm:
        raise Stopped(signal.SIGTERM)


def resumed_from(run: Run) -> Path | None:
    """The checkpoint to go on from; None to begin anew.

    Raises CheckpointError for one that is damaged, or of another kind.
    """
    if run.cfg.resume == "auto":
        return newest_whole(run.folder / "checkpoints")
    if run.cfg.resume is not None:
        resumable(Path(run.cfg.resume))
    return None if run.cfg.resume is None else Path(run.cfg.resume)
