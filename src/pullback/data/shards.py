"""Test pairs shared out: among processes that know nothing of each other, and among those of one trainer."""

import re
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from torch.utils.data import DistributedSampler

from pullback.errors import UserError


class NoShard(UserError, ValueError):
    """A text that names no share of the pairs."""


@dataclass(frozen=True)
class Shard:
    """Share ``number`` of ``of``, counted from 1: neighbours, so that a process meets few photographs or shapes.

    Shares differ by one pair at most; where there are fewer pairs than shares, some are empty.
    """

    number: int
    of: int

    @classmethod
    def named(cls, text: Any) -> "Shard":
        """The share that ``2/3`` stands for. Raises NoShard."""
        found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", str(text))
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise NoShard(f"shard={text} is no share of the pairs; give the second of three as shard=2/3")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def places(self, count: int) -> slice:
        """Which of ``count`` pairs are in it."""
        return slice(count * (self.number - 1) // self.of, count * self.number // self.of)


@runtime_checkable
class Divisible(Protocol):
    """Pairs of which some can be taken."""

    def __len__(self) -> int: ...

    def part(self, places: slice) -> Self: ...


Pairs = TypeVar("Pairs", bound=Divisible)


def share_of(sets: Sequence[Pairs], shard: str | None) -> list[Pairs]:
    """The share of each set that ``shard`` names; None is all of them."""
    if shard is None:
        return list(sets)
    share = Shard.named(shard)
    return [pairs.part(share.places(len(pairs))) for pairs in sets]


def missing_shares(absent: Sequence[int], count: int, of: int) -> dict[Shard, int]:
    """How many of the ``absent`` places among ``count`` are in each of ``of`` shares, for those that have some."""
    found = {}
    for number in range(1, of + 1):
        share = Shard(number, of)
        lacking = sum(place in range(count)[share.places(count)] for place in absent)
        if lacking:
            found[share] = lacking
    return found


class DealtPairs(DistributedSampler):
    """Pairs dealt out in turn to the processes of a trainer, none twice: some get one less than others, or none.

    Lightning's own refuses to leave a process without any. Being a DistributedSampler it is left in its place.
    """

    def __init__(self, pairs: Sized, *, processes: int, rank: int):
        super().__init__(pairs, num_replicas=processes, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self.places = range(rank, len(pairs), processes)

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def dealt(pairs: Sized, trainer: Any) -> DealtPairs | None:
    """The share of this process; None where there is only one, or no trainer yet."""
    if trainer is None or trainer.world_size == 1:
        return None
    return DealtPairs(pairs, processes=trainer.world_size, rank=trainer.global_rank)
