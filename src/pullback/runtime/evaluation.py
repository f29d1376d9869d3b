"""Evaluation in three stages that can run apart: match the test pairs, score the matches, write the report.

What depends on the kind of data (what a prediction depends on, how it is scored, what a report shows) is in an
`Evaluation` of that kind: `mesh_evaluation`, `image_evaluation`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import Progress

from pullback.data.cache import storing_required
from pullback.runtime.build import Run
from pullback.runtime.foreign_predictions import foreign_store
from pullback.runtime.origin import check_described, description_of, fine_tuning
from pullback.runtime.shards import gathered, mark_shards, tell_share
from pullback.runtime.signals import stopping
from pullback.runtime.sweeping import again_in
from pullback.tasks.results import check_complete, load_results, write_results
from pullback.tasks.scoring import Predictions
from pullback.tasks.store import PredictionStore
from pullback.tasks.tables import print_table
from pullback.tasks.tracking import finish, track
from pullback.writing import sweep, telling_full_disks


@runtime_checkable
class Evaluation(Protocol):
    """What is particular to one kind of data."""

    def prepare(self, run: Run) -> None:
        """Fills the caches."""
        ...

    def origin(self, run: Run) -> dict[str, Any]:
        """What the predictions of a pair depend on, beside its files: plain containers."""
        ...

    def score(self, run: Run, pairs: Any, store: Any, *, dataset: str, progress: Callable[[int], None]) -> Any:
        """The evaluated data set, with fields ``pairs``, ``store`` and ``result``.

        ``progress`` is called with 1 after each pair.
        """
        ...

    def report(self, run: Run, evaluated: Sequence[Any]) -> Path:
        """Writes the report; returns its path."""
        ...


def evaluate(run: Run) -> None:
    """The stages of ``run=[…]`` on the test pairs of each data set.

    Prints a table of the results and, last, where they are.

    Raises FailedPairs at the end when pairs could not be matched or scored. Ctrl-C and SIGTERM stop at once.
    """
    advice = f"all pairs so far are kept; the same command goes on from there with {again_in(run.folder)}"
    with stopping(advice), telling_full_disks(run.folder):
        try:
            _evaluate(run)
        finally:
            finish(run.trainer.loggers)


def _evaluate(run: Run) -> None:
    stages = set(run.cfg.run)
    if "prepare" in stages:
        with storing_required():
            run.evaluation.prepare(run)
    if "match" in stages:
        match(run)
        if run.cfg.get("shard") is not None:
            if run.trainer.is_global_zero:
                tell_share(run)
            return
    if "score" not in stages or not run.trainer.is_global_zero:
        return
    evaluated = score(run)
    results = [part.result for part in evaluated]
    store = evaluated[0].store
    path = write_results(
        run.folder, results, started=run.started, config_fingerprint=store.sha256, facts=facts(run, store)
    )
    print_table(results)
    if "report" in stages:
        print("report:", run.evaluation.report(run, evaluated))
    if "export" in stages:
        for exported in run.evaluation.export(run, evaluated):
            print("exported:", exported)
    track(
        run.trainer.loggers, results, load_results(run.folder)["pair_rows"], run.pictures, step=run.trainer.global_step
    )
    check_complete(results)
    print("metrics:", path)


def match(run: Run) -> None:
    """Matches the test pairs that are not in the stores yet."""
    made_by = run.evaluation.origin(run)
    names = run.data.test_names
    run.module.stores = [PredictionStore(store_folder(run, name), {"dataset": name, **made_by}) for name in names]
    for store in run.module.stores:
        sweep(store.directory)
    mark_shards(run)
    run.trainer.predict(run.module, datamodule=run.data, return_predictions=False)
    run.trainer.strategy.barrier("matched")  # one process scores what all have matched


def score(run: Run) -> list[Any]:
    """Scores the stored predictions of every data set, of those pairs that the trainer's limit lets through."""
    evaluated = []
    for pairs, name in zip(limit_pairs(run), run.data.test_names, strict=True):
        store = foreign_store(run.cfg, pairs, name) or gathered(run, name, pairs)
        check_described(store.fingerprint, run.config, source=str(store.signature))
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task(f"scoring {name}", total=len(pairs))
            advance = partial(progress.advance, task)
            evaluated.append(run.evaluation.score(run, pairs, store, dataset=name, progress=advance))
    return evaluated


def limit_pairs(run: Run) -> list[Any]:
    """The test pairs of each data set, as far as ``trainer.limit_predict_batches`` lets them be matched."""
    limit, processes, sets = run.trainer.limit_predict_batches, run.trainer.world_size, []
    for pairs, loader in zip(run.data.test_sets, run.data.predict_dataloader(), strict=True):
        most = -(-len(loader.dataset) // (processes * loader.batch_size))  # batches of a process
        count = (limit if isinstance(limit, int) else int(limit * most)) * loader.batch_size * processes
        sets.append(pairs if count >= len(pairs) else pairs.first(count))
    return sets


def store_folder(run: Run, dataset: str) -> Path:
    return Path(run.cfg.predictions) / dataset


def facts(run: Run, store: Predictions) -> dict[str, Any]:
    """Further entries of metrics.json. What concerns the predictions is told by the store that holds them."""
    made_by = store.fingerprint
    with description_of(str(store.signature)):
        told = {"trained_on": made_by["weights"].get("trained_on", []), "fine_tuning": fine_tuning(made_by)}
    return {
        "title": run.title,
        "method": made_by.get("method_name"),
        **told,
        "checkpoint": run.cfg.get("ckpt"),
        "predictions": str(store.directory.parent),
        "training": run.training,
    }
