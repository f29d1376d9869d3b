"""Training, and which of its weights are kept."""

import logging
import time
from pathlib import Path

from lightning.pytorch.callbacks import ModelCheckpoint

from pullback.runtime.build import Run
from pullback.runtime.origin import described, trained_on
from pullback.tasks.weights import check_resumable, load_checkpoint, load_weights

log = logging.getLogger(__name__)


def fit(run: Run) -> float | None:
    """Trains, then gives the module its best weights. Returns the figure that selected them, if any did."""
    resume = resumed_from(run)
    if resume is not None:
        check_resumable(resume)
    for logger in run.trainer.loggers:
        logger.log_hyperparams(run.config)
    if resume is None:
        run.trainer.validate(run.module, run.data, verbose=False)  # the curves begin with the untrained network
    else:
        log.info("resuming from %s", resume)
    before = time.monotonic()
    run.trainer.fit(run.module, run.data, ckpt_path=resume, weights_only=True)
    run.training = {"steps": run.trainer.global_step, "seconds": round(time.monotonic() - before, 3), "resumed": resume is not None}
    best = next((callback for callback in run.trainer.checkpoint_callbacks if isinstance(callback, ModelCheckpoint)), None)
    found = best is not None and best.best_model_path
    path = Path(best.best_model_path) if found else run.folder / "checkpoints" / "last.ckpt"
    checkpoint = load_checkpoint(path)
    load_weights(run.module, checkpoint)
    run.weights, run.trained_on = described(checkpoint, path), trained_on(checkpoint["config"])
    return float(best.best_model_score) if found else None


def resumed_from(run: Run) -> Path | None:
    """The checkpoint to go on from; None to begin anew."""
    if run.cfg.resume == "auto":
        last = run.folder / "checkpoints" / "last.ckpt"
        return last if last.is_file() else None
    return None if run.cfg.resume is None else Path(run.cfg.resume)
