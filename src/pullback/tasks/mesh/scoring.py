"""Scores of stored point maps of meshes: no model, no network, only maps, landmarks and distances."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pullback.metrics.geodesic import PairScore, score_pair
from pullback.tasks.mesh.results import DatasetResult, EvalProtocol, PairResult
from pullback.tasks.scoring import Pairs, score_pairs
from pullback.tasks.store import Prediction, PredictionStore
from pullback.types import ShapePair

if TYPE_CHECKING:
    from pullback.metrics.averages import Metric


def score_store(
    store: PredictionStore,
    pairs: Pairs[ShapePair],
    *,
    dataset: str,
    split: str,
    protocol: EvalProtocol,
    further: "Mapping[str, Metric] | None" = None,
    progress: Callable[[int], None] | None = None,
    parts_of: Callable[[str, str], Sequence[str]] | None = None,
) -> DatasetResult:
    """Scores the stored point map of every pair; a pair without a fitting one has failed.

    ``further`` metrics join the standard ones. ``progress`` is called with 1 after each pair. ``parts_of``: see
    ``MeshDataset.parts_of``.
    """

    def score(prediction: Prediction, pair: ShapePair) -> PairScore:
        return score_pair(prediction.p2p21, pair)

    def outcome(pair: ShapePair, score: PairScore | None, **rest: Any) -> PairResult:
        return PairResult(pair.shape1.name, pair.shape2.name, score, **rest)

    outcomes = score_pairs(store, pairs, score, outcome, progress=progress)
    return DatasetResult(dataset, split, protocol, outcomes, further or {}, parts_of)
