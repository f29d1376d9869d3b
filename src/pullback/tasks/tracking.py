"""Results where the curves of the training are: figures, tables and pictures in TensorBoard and Weights & Biases."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import Logger

from pullback.figures.picture import Picture, as_image
from pullback.tasks.results import Result
from pullback.tasks.tables import plain_table
from pullback.tasks.training.events import TESTED, ContinuedTensorBoardLogger

_LONGEST = 500  # rows of a table of pairs; pairs.csv has all
Table = tuple[list[str], list[list[Any]]]  # heads, rows


def track(
    loggers: Sequence[Logger],
    results: Sequence[Result],
    pair_rows: Sequence[Mapping[str, Any]],
    pictures: Sequence[Picture],
    *,
    step: int,
) -> None:
    """Hands the results of a run to its trackers. ``step`` counts the optimiser steps before.

    A metric is ``test/DATA SET/METRIC``, the tables are ``test/results`` and ``test/pairs``.
    """
    tables = {f"{TESTED}results": plain_table(results), f"{TESTED}pairs": _pairs_table(pair_rows)}
    for logger in loggers:
        if isinstance(logger, ContinuedTensorBoardLogger):
            _to_tensorboard(logger, dict(scalars(results)), tables, pictures, step)
        elif isinstance(logger, WandbLogger):
            _to_wandb(logger, dict(scalars(results)), tables, pictures)


def finish(loggers: Sequence[Logger]) -> None:
    """Ends the run for its trackers: the next job of a sweep in this process is another one."""
    for logger in loggers:
        if isinstance(logger, ContinuedTensorBoardLogger):
            logger.close()
        elif isinstance(logger, WandbLogger) and logger._experiment is not None:
            logger.experiment.finish()


def scalars(results: Sequence[Result]) -> Iterator[tuple[str, float]]:
    """The metrics of all data sets by tag, those that there is ground truth for."""
    for result in results:
        for name, value in result.metrics().items():
            if value is not None and math.isfinite(value):
                yield f"{TESTED}{result.dataset}/{name}", value


def _pairs_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    heads = list(rows[0]) if rows else []
    return heads, [["" if row[head] is None else row[head] for head in heads] for row in rows[:_LONGEST]]


def _to_tensorboard(
    logger: ContinuedTensorBoardLogger,
    figures: Mapping[str, float],
    tables: Mapping[str, Table],
    pictures: Sequence[Picture],
    step: int,
) -> None:
    logger.continue_from(math.inf)  # where nothing was trained here: curves that are there stay
    writer = logger.experiment
    for tag, value in figures.items():
        writer.add_scalar(tag, value, step)
    for tag, (heads, rows) in tables.items():
        lines = [heads, ["---"] * len(heads), *rows]
        text = "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
        writer.add_text(tag, text, step)
    for number, picture in enumerate(pictures, start=1):
        writer.add_image(f"{TESTED}{number:02} {picture.title}", as_image(picture), step, dataformats="HWC")
    writer.flush()


def _to_wandb(
    logger: WandbLogger, figures: Mapping[str, float], tables: Mapping[str, Table], pictures: Sequence[Picture]
) -> None:
    logger.log_metrics(dict(figures))
    for tag, (heads, rows) in tables.items():
        logger.log_table(tag, columns=heads, data=[[str(cell) for cell in row] for row in rows])
    if pictures:
        logger.log_image(
            f"{TESTED}pictures", [as_image(one) for one in pictures], caption=[one.title for one in pictures]
        )
