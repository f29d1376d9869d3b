"""Scores of stored predictions: no model, no network, only maps, landmarks and distances."""

import logging
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from pullback.metrics import score_pair
from pullback.tasks.results import DatasetResult, EvalProtocol, PairResult
from pullback.tasks.store import PredictionStore
from pullback.types import ShapePair

log = logging.getLogger(__name__)


@runtime_checkable
class Pairs(Protocol):
    """Pairs with ground truth and geodesics by index, such as a ShapePairDataset."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> ShapePair: ...


def score_store(
    store: PredictionStore,
    pairs: Pairs,
    *,
    dataset: str,
    split: str,
    protocol: EvalProtocol,
    progress: Callable[[int], None] | None = None,
) -> DatasetResult:
    """Scores the stored point map of every pair; a pair without one, or with one that does not fit it, has failed.

    ``progress`` is called with 1 after each pair.
    """
    scored = []
    for i in range(len(pairs)):
        scored.append(_score(store, pairs[i]))
        if progress is not None:
            progress(1)
    return DatasetResult(dataset, split, protocol, scored)


def _score(store: PredictionStore, pair: ShapePair) -> PairResult:
    names = pair.shape1.name, pair.shape2.name
    prediction = store.load(pair.name)
    if prediction is None:
        return PairResult(*names, None, message=f"no stored prediction in {store.directory}; run=[match,score] makes it")
    try:
        score = score_pair(prediction.p2p21, pair)
    except (ValueError, KeyError) as error:
        log.warning("%s: %s", pair.name, error)
        return PairResult(*names, None, message=str(error))
    seconds = prediction.arrays.get("seconds")
    return PairResult(*names, score, seconds=None if seconds is None else float(seconds))
