"""What is particular to the evaluation of meshes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from pullback.data.mesh.dataset import MeshDataset
from pullback.data.mesh.pairs import ShapePairDataset
from pullback.figures.camera import View
from pullback.metrics.averages import Metric, standard_metrics
from pullback.nn.weights_hash import sha256_of_weights
from pullback.runtime.build import Run
from pullback.runtime.origin import description_of, fine_tuning, refinement
from pullback.runtime.settings import instantiate
from pullback.tasks.evaluated import Evaluated
from pullback.tasks.mesh.reporting import report
from pullback.tasks.mesh.results import EvalProtocol
from pullback.tasks.mesh.scoring import score_store
from pullback.tasks.store import PredictionStore


class MeshEvaluation:
    """Point maps between meshes, scored by geodesic distances; ``metrics`` join the standard ones, by name."""

    def __init__(self, metrics: Mapping[str, Metric] | None = None):
        self.metrics = dict(metrics or {})
        if known := self.metrics.keys() & standard_metrics().keys():
            raise ValueError(f"metric={known.pop()!r} is the name of a standard metric; give yours another one")

    def prepare(self, run: Run) -> None:
        """Operators and geodesics of all shapes."""
        run.data.prepare_data()

    def origin(self, run: Run) -> dict[str, Any]:
        """Preparation of the shapes, backbone, solver, weights and precision.

        Method, landmarks and fine-tuning where there are any.
        """
        data = {key: run.config["data"][key] for key in ("k", "laplacian", "components")}
        if run.config["data"].get("align") is not None:
            data["align"] = run.config["data"]["align"]
        weights = {"sha256": sha256_of_weights(run.module), "rule": run.weights, "trained_on": run.trained_on}
        tuned = ("adaptation", "loss") if run.config.get("adaptation") is not None else ()
        optional = [part for part in ("method_name", "landmarks", *tuned) if run.config.get(part) is not None]
        parts = {part: run.config[part] for part in ("backbone", "solver", *optional)}
        return {"data": data, **parts, "weights": weights, "precision": str(run.cfg.trainer.precision)}

    def score(
        self,
        run: Run,
        pairs: ShapePairDataset,
        store: PredictionStore,
        *,
        dataset: str,
        progress: Callable[[int], None],
    ) -> Evaluated:
        """Scores the stored point maps of a data set."""
        with description_of(str(store.signature)):
            rules = protocol(run, pairs, store)
        tested: MeshDataset = run.data.tested[run.data.test_names.index(dataset)]
        result = score_store(
            store,
            pairs,
            dataset=dataset,
            split="test",
            protocol=rules,
            further=self.metrics,
            progress=progress,
            parts_of=tested.parts_of,
        )
        return Evaluated(pairs, store, result, view=view_of(run.cfg.view, tested))

    def report(self, run: Run, evaluated: Sequence[Evaluated]) -> Path:
        """Writes the report, with pictures of the features where a model is at hand."""
        # landmarks belong to pairs: no features of one shape
        alone = "match" in run.cfg.run and run.cfg.get("landmarks") is None
        features = run.module.features if alone else None
        return report(run.folder, evaluated, title=run.title, features=features, shown_to=run.show)


def landmarks_given(made_by: Mapping[str, Any]) -> str:
    """What the predictions of a fingerprint were told of the ground truth."""
    count = made_by.get("landmarks")
    return "" if count is None else f"given {count} ground-truth landmarks of each pair (measured like all others)"


def view_of(view: DictConfig, dataset: MeshDataset) -> View:
    """The camera of a data set's pictures: as configured and, where that is null, along the data set's own axes."""
    own = {axis: getattr(dataset, axis) for axis in ("up", "front") if view[axis] is None}
    return instantiate(view, **own)


def protocol(run: Run, pairs: ShapePairDataset, store: PredictionStore) -> EvalProtocol:
    """What must be equal for figures to be compared."""
    settings, selection = run.data.settings, pairs.selection
    assert selection is not None  # test pairs are a selection
    part = (
        f"{len(pairs)} of {selection.drawn_from} pairs, drawn with seed {settings.seed}" if selection.drawn_from else ""
    )
    return EvalProtocol(
        pairs=selection.protocol,
        geodesics=(settings.geodesics if any(pair.has_truth for pair in pairs.pairs) else None) or "none",
        refinement=refinement(store.fingerprint["solver"]),
        fine_tuning=fine_tuning(store.fingerprint),
        checkpoint=store.fingerprint["weights"]["rule"],
        notes=" | ".join(note for note in (selection.rule, part, landmarks_given(store.fingerprint)) if note),
    )
