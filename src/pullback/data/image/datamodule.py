"""What Lightning loads for photographs: the pairs of one or several data sets, perhaps cut to their objects."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from pullback.data.image.cropping import crop_pair
from pullback.data.image.dataset import ImageDataset
from pullback.data.image.decoding import ImageError
from pullback.data.image.settings import ImageDataSettings
from pullback.data.shards import DealtPairs, dealt, share_of
from pullback.errors import UserError
from pullback.types import ImagePair

log = logging.getLogger(__name__)


class TestPairs(Dataset):
    """Chosen pairs of a data set, cropped."""

    __test__ = False  # pytest: this is no test

    def __init__(
        self, dataset: ImageDataset, indices: Sequence[int], settings: ImageDataSettings, *, first_of: int | None = None
    ):
        self.dataset = dataset
        self.indices = list(indices)
        self.settings = settings
        self.first_of = first_of  # so many, of which these are the first

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> ImagePair:
        return crop_pair(self.dataset.load(self.indices[i]), self.crop, margin=self.settings.margin)

    def __iter__(self) -> Iterator[ImagePair]:
        return (self[i] for i in range(len(self)))

    def name(self, i: int) -> str:
        """The name of pair ``i``, without reading it."""
        return self.dataset.pair_name(self.indices[i])

    def flow_places(self) -> dict[str, Sequence[str]]:
        """By the name of each pair, where its flow may lie in a folder that another program wrote."""
        return {self.name(i): self.dataset.flow_places(j) for i, j in enumerate(self.indices)}

    def subset(self, i: int) -> str:
        return self.dataset.subset(self.indices[i])

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that occur, in the order of the data set."""
        return tuple(dict.fromkeys(self.subset(i) for i in range(len(self))))

    @property
    def crop(self) -> str:
        """What both photographs are cropped to: data.crop, else what the data set's benchmark crops to."""
        return self.dataset.crop if self.settings.crop is None else self.settings.crop

    @property
    def protocol(self) -> str:
        """Which pairs these are and what is shown of them."""
        chosen = self.first_of or len(self)
        drawn = (
            f"{chosen} of {len(self.dataset)} pairs, seed {self.settings.seed}" if chosen < len(self.dataset) else ""
        )
        first = f"the first {len(self)} of {chosen}" if self.first_of else ""
        return ", ".join(
            part for part in (self.dataset.protocol, drawn, first, self.settings.cropped(self.crop)) if part
        )

    def part(self, places: slice) -> "TestPairs":
        """Some of the pairs."""
        return TestPairs(self.dataset, self.indices[places], self.settings)

    def first(self, count: int) -> "TestPairs":
        """The first pairs only; the protocol says so."""
        return TestPairs(self.dataset, self.indices[:count], self.settings, first_of=len(self))


class UnreadPair(NamedTuple):
    """A pair whose files cannot be read, and why: it fails alone, and the run goes on with the others."""

    name: str
    reason: str


class ReadPairs(Dataset):
    """The same pairs, where what is wrong with the files of one is an answer instead of an error."""

    def __init__(self, pairs: TestPairs):
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int) -> ImagePair | UnreadPair:
        try:
            return self.pairs[i]
        except UserError as error:
            return UnreadPair(self.pairs.name(i), str(error))


class ImagePairDataModule(LightningDataModule):
    """Pairs of photographs.

    ``settings`` are those of ``ImageDataSettings``. A batch is a list of ``ImagePair``, whatever its length, with an
    ``UnreadPair`` where the files of a pair are damaged.
    """

    def __init__(self, datasets: Mapping[str, ImageDataset] | Sequence[ImageDataset], **settings: Any):
        super().__init__()
        # there may be fewer pairs than processes to match them
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.datasets = list(datasets.values() if isinstance(datasets, Mapping) else datasets)
        self.settings = _settings(settings)
        if not self.datasets:
            raise ValueError("no data set was chosen; give one, such as dataset=photos")
        if len(set(self.test_names)) < len(self.datasets):
            raise ValueError(
                f"two data sets have the same name ({', '.join(self.test_names)}): give one "
                "dataset.image_folder.name=NAME"
            )

    @property
    def test_names(self) -> list[str]:
        """The names of the data sets, in the order of the loaders."""
        return [dataset.name for dataset in self.datasets]

    @cached_property
    def test_sets(self) -> list[TestPairs]:
        """The pairs of each data set."""
        return [TestPairs(dataset, self._chosen(dataset), self.settings) for dataset in self.datasets]

    def prepare_data(self) -> None:
        """Looks whether the files are there, and says what was found. Raises MissingDataError."""
        for dataset in self.datasets:
            log.info("%s", dataset.check())

    def test_dataloader(self) -> list[DataLoader]:
        """One loader for each data set, in the order of ``test_names``."""
        return [self._loader(pairs) for pairs in self.test_sets]

    def predict_dataloader(self) -> list[DataLoader]:
        """The same pairs, or this process's share of them."""
        shares = share_of(self.test_sets, self.settings.shard)
        return [self._loader(pairs, dealt(pairs, self.trainer)) for pairs in shares]

    def _loader(self, pairs: TestPairs, sampler: DealtPairs | None = None) -> DataLoader:
        return DataLoader(
            ReadPairs(pairs),
            sampler=sampler,
            batch_size=self.settings.batch_pairs,
            collate_fn=list,
            num_workers=self.settings.num_workers,
        )

    def _chosen(self, dataset: ImageDataset) -> list[int]:
        most = self.settings.test_pairs
        if not len(dataset):
            raise ImageError(f"{dataset.name} has no pair ({dataset.protocol}); choose other options of it")
        if most is None or most >= len(dataset):
            return list(range(len(dataset)))
        return sorted(np.random.default_rng(self.settings.seed).choice(len(dataset), most, replace=False).tolist())


def _settings(given: Mapping[str, Any]) -> ImageDataSettings:
    known = [field.name for field in fields(ImageDataSettings)]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"data.{unknown[0]} does not exist; data has {', '.join(known)}")
    return ImageDataSettings(**given)
