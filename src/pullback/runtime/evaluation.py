"""Evaluation in three stages that can run apart: match the test pairs, score the matches, write the report."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from pullback.data.pairs import ShapePairDataset, pair_indices
from pullback.runtime.build import Run
from pullback.runtime.origin import refinement
from pullback.runtime.settings import made
from pullback.tasks.reporting import Evaluated, report
from pullback.tasks.results import EvalProtocol, check_complete, write_results
from pullback.tasks.scoring import score_store
from pullback.tasks.store import PredictionStore
from pullback.tasks.tables import print_table


def evaluate(run: Run) -> None:
    """The stages of ``run=[…]`` on the test pairs of each data set; prints a table of the results and, last, where they are.

    Raises FailedPairs at the end when pairs could not be matched or scored.
    """
    stages = set(run.cfg.run)
    if "prepare" in stages:
        run.data.prepare_data()
    if "match" in stages:
        match(run)
    if "score" not in stages or not run.trainer.is_global_zero:
        return
    evaluated = score(run)
    results = [part.result for part in evaluated]
    path = write_results(run.folder, results, started=run.started, config_fingerprint=evaluated[0].store.sha256, facts=facts(run))
    print_table(results)
    if "report" in stages:
        features = run.module.features if "match" in stages else None  # stored predictions come without a model
        print("report:", report(run.folder, evaluated, title=title(run), view=made(run.cfg.view), features=features))
    check_complete(results)
    print("metrics:", path)


def match(run: Run) -> None:
    """Matches the test pairs that are not in the stores yet."""
    made_by = origin(run)
    names = run.data.test_names
    run.module.stores = [PredictionStore(store_folder(run, name), {"dataset": name, **made_by}) for name in names]
    run.trainer.predict(run.module, datamodule=run.data, return_predictions=False)


def score(run: Run) -> list[Evaluated]:
    """Scores the stored predictions of every data set."""
    evaluated = []
    for pairs, name in zip(run.data.test_sets, run.data.test_names, strict=True):
        store = PredictionStore.open(store_folder(run, name))
        rules = protocol(run, pairs, store)
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task(f"scoring {name}", total=len(pairs))
            result = score_store(store, pairs, dataset=name, split="test", protocol=rules, progress=partial(progress.advance, task))
        evaluated.append(Evaluated(pairs, store, result))
    return evaluated


def store_folder(run: Run, dataset: str) -> Path:
    return Path(run.cfg.predictions) / dataset


def origin(run: Run) -> dict[str, Any]:
    """What the predictions of a pair depend on, beside its files."""
    digest = hashlib.sha256()
    for name, weight in sorted(run.module.state_dict().items()):
        digest.update(name.encode() + weight.detach().cpu().contiguous().numpy().tobytes())
    data = {key: run.config["data"][key] for key in ("k", "laplacian", "components")}
    weights = {"sha256": digest.hexdigest(), "rule": run.weights}
    parts = {part: run.config[part] for part in ("backbone", "solver")}
    return {"data": data, **parts, "weights": weights, "precision": str(run.cfg.trainer.precision)}


def protocol(run: Run, pairs: ShapePairDataset, store: PredictionStore) -> EvalProtocol:
    """What must be equal for figures to be compared."""
    settings = run.data.settings
    possible = len(pair_indices(len(pairs.shapes), settings.protocol))
    notes = f"{len(pairs)} of {possible} pairs, drawn with seed {settings.seed}" if len(pairs) < possible else ""
    return EvalProtocol(
        pairs=settings.protocol,
        geodesics=settings.geodesics or "none",
        refinement=refinement(store.fingerprint["solver"]),
        checkpoint=store.fingerprint["weights"]["rule"],
        notes=notes,
    )


def facts(run: Run) -> dict[str, Any]:
    """Further entries of metrics.json."""
    return {"title": title(run), "checkpoint": run.cfg.get("ckpt"), "predictions": str(run.cfg.predictions), "training": run.training}


def title(run: Run) -> str:
    return " + ".join(run.data.test_names)
