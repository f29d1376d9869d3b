"""An evaluation shared out among processes: each matches its share, and one run scores what all have stored."""

import logging
from typing import Any

from pullback.data.shards import Shard, missing_shares, share_of
from pullback.errors import UserError
from pullback.runtime.build import Run
from pullback.runtime.origin import stores_of
from pullback.tasks.results import FailedPairs
from pullback.tasks.store import PredictionStore

log = logging.getLogger(__name__)


class MissingShard(UserError, FileNotFoundError):
    """Some shares of the pairs were never matched, or not to their end. The message names them."""


def gathered(run: Run, dataset: str, pairs: Any) -> PredictionStore:
    """The one store that is scored; those of several runs are copied together into the folder of this one.

    Raises ForeignPredictions where they were made with different configurations, and as ``check_shards``.
    """
    first, *others = stores_of(run.cfg, dataset)
    whole = first if not others else PredictionStore(run.folder / "predictions" / dataset, first.fingerprint)
    for store in (first, *others) if others else ():
        log.info("%s: %d pairs taken from %s", dataset, whole.take_from(store), store.directory)
    check_shards(whole, pairs)
    return whole


def check_shards(store: PredictionStore, pairs: Any) -> None:
    """Raises MissingShard where processes began with shares of the pairs and some pairs were never matched."""
    begun = store.shards
    if not begun:
        return
    absent = [i for i in range(len(pairs)) if store.is_untried(pairs.name(i))]
    if not absent:
        return
    of = max(shard.of for shard in begun)
    lines = [
        f"  shard={share}: {lacking} of its pairs are missing"
        f" ({'begun, but not finished' if share in begun else 'never begun'})"
        for share, lacking in missing_shares(absent, len(pairs), of).items()
    ]
    raise MissingShard(
        "\n".join([f"{store.directory} is not complete:", *lines])
        + "\nGive the command of the others with these shards (it goes on where it stopped), then score again"
    )


def mark_shards(run: Run) -> None:
    """Keeps in the stores which share this process has begun with."""
    if run.cfg.get("shard") is not None:
        for store in run.module.stores:
            store.mark_shard(Shard.named(run.cfg.shard))


def tell_share(run: Run) -> None:
    """Says what became of this process's share, and how to score all of them.

    Raises FailedPairs for pairs of it that could not be matched.
    """
    total, failed = 0, []
    for pairs, store in zip(share_of(run.data.test_sets, run.cfg.shard), run.module.stores, strict=True):
        total += len(pairs)
        names = [pairs.name(i) for i in range(len(pairs))]
        failed += [f"  {name}: {why}" for name in names if (why := store.failure(name)) is not None]
    print(f"shard {run.cfg.shard}: {total - len(failed)} of {total} pairs are matched, in {run.cfg.predictions}")
    print(f"when all shards are: the same command with run=[score,report] predictions={run.cfg.predictions}, no shard")
    if failed:
        raise FailedPairs(f"{len(failed)} of {total} pairs failed:\n" + "\n".join(failed[:10]))
