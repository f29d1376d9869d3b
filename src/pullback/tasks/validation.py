"""Means over validated pairs that do not depend on how many processes validated them."""

import math
from collections.abc import Mapping

from torch import distributed as dist


class ValidatedPairs:
    """The figures of each validated pair, by its place in the data set.

    Several processes get equally many pairs, some of them twice: here each counts once, and all sum in one order, so
    that the means, which choose the best checkpoint, are the same numbers with any number of processes.
    """

    def __init__(self) -> None:
        self.figures: dict[int, Mapping[str, float]] = {}

    def add(self, batch_idx: int, figures: Mapping[str, float]) -> None:
        """The figures of a pair, by its number in this process: the processes take turns."""
        processes, rank = (dist.get_world_size(), dist.get_rank()) if _several() else (1, 0)
        self.figures[batch_idx * processes + rank] = figures

    def means(self, count: int) -> dict[str, float]:
        """The mean of each figure over the pairs that have it, and forgets them. All processes have to ask.

        Of ``count`` pairs: whatever has a place beyond is a repetition.
        """
        every: dict[int, Mapping[str, float]] = {}
        for part in _of_all_processes(self.figures):
            every |= part
        pairs = [every[place] for place in sorted(every) if place < count]
        self.figures = {}
        values = {name: [pair[name] for pair in pairs if name in pair] for pair in pairs for name in pair}
        return {name: math.fsum(some) / len(some) for name, some in values.items()}


def _of_all_processes(figures: dict[int, Mapping[str, float]]) -> list[dict[int, Mapping[str, float]]]:
    if not _several():
        return [figures]
    gathered: list = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, figures)
    return gathered


def _several() -> bool:
    return dist.is_available() and dist.is_initialized()
