"""Scores of stored predictions of any kind: pair by pair, failures included."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from pullback.errors import UserError
from pullback.plain_data import printable
from pullback.tasks.results import PairOutcome
from pullback.tasks.store import Prediction

log = logging.getLogger(__name__)

Pair = TypeVar("Pair", covariant=True)
Outcome = TypeVar("Outcome", bound=PairOutcome)


@runtime_checkable
class Pairs(Protocol[Pair]):
    """Pairs of any kind by index, with the ground truth that is known of them."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Pair: ...


@runtime_checkable
class Predictions(Protocol):
    """Predictions of one method on one data set, by the names of pairs: a `PredictionStore`, or another's files."""

    directory: Path
    fingerprint: Mapping[str, Any]

    @property
    def sha256(self) -> str: ...

    @property
    def signature(self) -> Path: ...

    def path(self, pair: str, /) -> Path: ...

    def read(self, pair: str, /) -> Prediction | None: ...

    def failure(self, pair: str, /) -> str | None: ...


def score_pairs(
    store: Predictions,
    pairs: Pairs[Any],
    score: Callable[[Prediction, Any], Any],
    outcome: Callable[..., Outcome],
    *,
    progress: Callable[[int], None] | None = None,
    unread: Callable[[int, str], Outcome] | None = None,
) -> list[Outcome]:
    """The outcome of every pair of any kind, in their order.

    ``unread(i, why)`` makes that of one whose files are damaged.

    ``outcome(pair, score, seconds=…)`` makes one from what ``score`` returns; where nothing is stored, or ``score``
    raises ValueError or KeyError, the pair has failed: ``outcome(pair, None, message=…)``.
    """
    outcomes = []
    for i in range(len(pairs)):
        try:
            pair = pairs[i]
        except UserError as error:
            if unread is None:
                raise
            log.warning("%s", error)
            outcomes.append(unread(i, printable(str(error))))
        else:
            outcomes.append(_outcome(store, pair, score, outcome))
        if progress is not None:
            progress(1)
    return outcomes


def _outcome(
    store: Predictions, pair: Any, score: Callable[[Prediction, Any], Any], outcome: Callable[..., Outcome]
) -> Outcome:
    try:
        prediction = store.read(pair.name)
        if prediction is None:
            return outcome(pair, None, message=store.failure(pair.name) or _none_in(store))
        score_of_pair = score(prediction, pair)
    except (ValueError, KeyError) as error:
        log.warning("%s: %s", pair.name, error)
        missing = f"{store.path(pair.name)} holds no {error}, as matches of this kind do"
        return outcome(pair, None, message=missing if isinstance(error, KeyError) else printable(str(error)))
    seconds = prediction.arrays.get("seconds")
    return outcome(pair, score_of_pair, seconds=None if seconds is None else float(seconds))


def _none_in(store: Predictions) -> str:
    return f"no stored prediction in {store.directory}; run=[match,score] makes it"
