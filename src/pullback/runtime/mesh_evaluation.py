"""What is particular to the evaluation of meshes."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pullback.data.pairs import ShapePairDataset, pair_indices
from pullback.runtime.build import Run
from pullback.runtime.origin import refinement
from pullback.runtime.settings import made
from pullback.tasks.mesh_results import EvalProtocol
from pullback.tasks.reporting import Evaluated, report
from pullback.tasks.scoring import score_store
from pullback.tasks.store import PredictionStore


class MeshEvaluation:
    """Point maps between meshes, scored by geodesic distances."""

    def prepare(self, run: Run) -> None:
        """Operators and geodesics of all shapes."""
        run.data.prepare_data()

    def origin(self, run: Run) -> dict[str, Any]:
        """Preparation of the shapes, backbone, solver, weights and precision."""
        digest = hashlib.sha256()
        for name, weight in sorted(run.module.state_dict().items()):
            digest.update(name.encode() + weight.detach().cpu().contiguous().numpy().tobytes())
        data = {key: run.config["data"][key] for key in ("k", "laplacian", "components")}
        weights = {"sha256": digest.hexdigest(), "rule": run.weights}
        parts = {part: run.config[part] for part in ("backbone", "solver")}
        return {"data": data, **parts, "weights": weights, "precision": str(run.cfg.trainer.precision)}

    def score(
        self, run: Run, pairs: ShapePairDataset, store: PredictionStore, *, dataset: str, progress: Callable[[int], None]
    ) -> Evaluated:
        """Scores the stored point maps of a data set."""
        rules = protocol(run, pairs, store)
        return Evaluated(pairs, store, score_store(store, pairs, dataset=dataset, split="test", protocol=rules, progress=progress))

    def report(self, run: Run, evaluated: Sequence[Evaluated]) -> Path:
        """Writes the report; with pictures of the features where a model is at hand (stored predictions come without one)."""
        features = run.module.features if "match" in run.cfg.run else None
        return report(run.folder, evaluated, title=run.title, view=made(run.cfg.view), features=features)


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
