"""The order of training pairs: shuffled, and the same again for a run that was interrupted and goes on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler


class PairSampler(DistributedSampler):
    """Each unordered pair once an epoch, in an order and in directions that depend on the seed and the epoch alone.

    Yields the index of the pair i < j, or that index plus ``n_pairs`` for the same pair with 1 and 2 exchanged. It
    deals the pairs out to several processes itself; being a DistributedSampler it is left in its place by Lightning.
    """

    def __init__(self, n_pairs: int, *, seed: int, random_direction: bool, num_replicas: int = 1, rank: int = 0):
        super().__init__(range(n_pairs), num_replicas=num_replicas, rank=rank, seed=seed, drop_last=True)  # type: ignore[arg-type]  # only its length is read
        self.n_pairs = n_pairs
        self.random_direction = random_direction
        self.start = 0  # how many pairs of the next iteration were used up before an interruption

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(self.n_pairs)
        exchanged = generator.integers(2, size=self.n_pairs) * self.random_direction
        indices = (order + self.n_pairs * exchanged)[self.rank :: self.num_replicas][: self.num_samples]
        return iter(indices[self.start :].tolist())


class ResumableLoader(DataLoader):
    """A DataLoader that can go on in the middle of an epoch: Lightning stores its ``state_dict`` in every checkpoint.

    ``trainer`` (Lightning's) tells it the epoch. The one that Lightning (2.6) tells the sampler is too high by one
    after resuming from a checkpoint that was saved at the end of an epoch.
    """

    trainer: Any = None
    _epoch = 0
    _consumed = 0
    _resume: dict[str, int] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # Lightning only iterates
        # A generator: nothing happens before the first pair is asked for, when the epoch is settled.
        resume, self._resume = self._resume, None
        self._consumed = 0
        if isinstance(self.sampler, PairSampler):  # Lightning puts another one in its place for overfit_batches
            self._epoch = self.sampler.epoch if self.trainer is None else self.trainer.current_epoch
            if resume is not None and resume["epoch"] == self._epoch:
                self._consumed = resume["consumed"]
                if self.trainer is not None and self._consumed >= self.trainer.num_training_batches:
                    return  # saved at the end of an epoch: Lightning asks for one pair too many of it
            self.sampler.set_epoch(self._epoch)
            self.sampler.start = self._consumed
        for pair in super().__iter__():
            self._consumed += 1
            yield pair

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its pairs have been handed out."""
        return {"epoch": self._epoch, "consumed": self._consumed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next iteration goes on where the state was taken, if it is of the same epoch."""
        self._resume = dict(state)
