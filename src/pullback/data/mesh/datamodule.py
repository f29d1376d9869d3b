"""What Lightning loads: training, validation and test pairs of one or several data sets."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from numpy import ndarray
from torch.utils.data import DataLoader, Dataset

from pullback.data.errors import MissingDataError, TooFewPairs
from pullback.data.mesh.dataset import MeshDataset, ShapeFiles, ShapePairFiles
from pullback.data.mesh.library import ShapeLibrary
from pullback.data.mesh.lying import lying_of, placing_of
from pullback.data.mesh.pairs import Selection, ShapePairDataset, all_pairs, check_landmark_counts
from pullback.data.mesh.placing import Misalignment
from pullback.data.mesh.preparation import Job, prepare_all
from pullback.data.mesh.sampling import PairSampler, ResumableLoader
from pullback.data.mesh.selection import (
    at_least_two,
    draw_some,
    pairs_of,
    references_of,
    take_evenly,
    tested_pairs,
    training_and_held_out,
)
from pullback.data.mesh.settings import DataSettings
from pullback.data.shards import DealtPairs, dealt, share_of
from pullback.types import ShapePair

log = logging.getLogger(__name__)


class PairDataModule(LightningDataModule):
    """Pairs of shapes, one at a time. ``settings`` are those of ``DataSettings``.

    Training takes all pairs within each data set's training split (or those that it lists), less the shapes held out
    for validation. Tests are those of the data sets in ``test``, by default of the same ones. Nothing is computed
    before ``prepare_data``, and the files of a split are not looked for before it is needed.
    """

    def __init__(
        self,
        datasets: Mapping[str, MeshDataset] | Sequence[MeshDataset],
        cache_dir: str | Path,
        *,
        test: Mapping[str, MeshDataset] | Sequence[MeshDataset] | None = None,
        **settings: Any,
    ):
        super().__init__()
        # there may be fewer pairs than processes to match them
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.datasets = _listed(datasets)
        self.tested = self.datasets if test is None else _listed(test)
        self.settings = _settings(settings)
        if not self.datasets or not self.tested:
            raise ValueError("no data set was chosen; give one, such as dataset=humans")
        for names in (self.train_names, self.test_names):
            if len(set(names)) < len(names):
                raise ValueError(
                    f"two data sets have the same name ({', '.join(names)}): give one dataset.folder.name=NAME"
                )
        capacity = self.settings.memory_shapes
        self._training = ShapeLibrary(self.settings.preparation(training=True), cache_dir, capacity=capacity)
        self._measured = ShapeLibrary(self.settings.preparation(training=False), cache_dir, capacity=capacity)
        self.cache_dir = cache_dir
        # By data set, of those prepared here that ground truth tells of.
        self.misalignments: dict[str, Misalignment] = {}

    @property
    def train_names(self) -> list[str]:
        """The names of the data sets that are trained on."""
        return [dataset.name for dataset in self.datasets]

    @property
    def test_names(self) -> list[str]:
        """The names of the data sets that are tested on, in the order of the test loaders."""
        return [dataset.name for dataset in self.tested]

    @cached_property
    def train_set(self) -> ShapePairDataset:
        """The training pairs i < j of all data sets, and after them all of them again with 1 and 2 exchanged."""
        for dataset in self.datasets:  # a set for tests only is passed by in preparation, but nothing to train on
            at_least_two(dataset, "test" if self.settings.transductive else "train")
        return reduce(ShapePairDataset.followed_by, self._train_sets).in_both_directions()

    @cached_property
    def val_set(self) -> ShapePairDataset:
        """The validation pairs of all data sets: of held-out training shapes or, with ``select_on_test``, of tests."""
        return reduce(ShapePairDataset.followed_by, self._val_sets)

    @cached_property
    def test_sets(self) -> list[ShapePairDataset]:
        """The test pairs of each data set."""
        return [self._test_set(dataset, self.settings.test_pairs) for dataset in self.tested]

    def look_for_tests(self) -> None:
        """Raises MissingDataError where a test set is not there, before hours of training."""
        lost = {}
        for dataset in self.tested:
            try:
                tested_pairs(dataset, protocol=self.settings.protocol)
            except MissingDataError as error:
                lost[dataset.name] = str(error)
        if lost:
            others = [name for name in self.test_names if name not in lost]
            without = f"dataset@test=[{','.join(others)}]" if others else "run=[]"
            head = f"not all data are there for the tests after the training; without them: {without}"
            raise MissingDataError("\n".join([head, *(f"{name}: {message}" for name, message in lost.items())]))

    def prepare_data(self) -> None:
        """Prepares the shapes and distances that the trainer's stage needs; those of all stages without a trainer."""
        named = self._sets_of(None if self.trainer is None else self.trainer.state.fn)
        sets = [pairs for _, pairs in named]
        jobs = [job for pairs in sets for job in _jobs(pairs)]
        done = prepare_all(jobs, self.cache_dir, workers=self.settings.prepare_workers)
        counts = {job.files: done[job].landmarks for job in jobs}
        for pair in (pair for pairs in sets for pair in pairs.pairs if pair.truth is None):
            found = {files: counts[files] for files in (pair.shape1, pair.shape2)}
            check_landmark_counts({files: count for files, count in found.items() if count is not None})
        self._measure(named, {job.files: done[job].places for job in jobs})

    def _sets_of(self, stage: str | None) -> list[tuple[str, ShapePairDataset]]:
        """The pairs that a trainer's stage needs, with the name of their data set; those of all stages without one."""
        named: list[tuple[str, ShapePairDataset]] = []
        if stage in (None, "fit", "validate"):
            fitted = [dataset.name for dataset, *_ in self._fit_shapes]
            validated = self.test_names if self.settings.select_on_test else fitted
            named += [*zip(fitted, self._train_sets, strict=True), *zip(validated, self._val_sets, strict=True)]
        if stage not in ("fit", "validate"):
            named += zip(self.test_names, share_of(self.test_sets, self.settings.shard), strict=True)
        return named

    def _measure(
        self, named: Sequence[tuple[str, ShapePairDataset]], places: Mapping[ShapeFiles, ndarray | None]
    ) -> None:
        """Tells how the shapes of each data set lie, and what ``data.align`` has done to them."""
        for name in dict.fromkeys(name for name, _ in named):
            sets = [pairs for other, pairs in named if other == name]
            if (found := lying_of(sets, places)) is not None:
                self.misalignments[name] = found
                log.info("%s: %s", name, found)
            done, doubtful = placing_of(sets, Path(self.cache_dir))
            if done:
                log.info("%s: data.align=%s: %s", name, self.settings.align, done)
            if doubtful:
                log.warning("%s: data.align=%s: %s", name, self.settings.align, doubtful)

    def train_dataloader(self) -> DataLoader:
        world, rank = (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
        if (pairs := len(self.train_set) // 2) < world:
            raise TooFewPairs(
                f"{world} processes need {world} pairs to train on, and there are {pairs}; "
                f"use trainer.devices={pairs}, or more shapes: data.train_shapes=null"
            )
        seed, random_direction = self.settings.seed, self.settings.random_direction
        sampler = PairSampler(
            len(self.train_set) // 2, seed=seed, random_direction=random_direction, num_replicas=world, rank=rank
        )
        loader = ResumableLoader(
            self.train_set, sampler=sampler, collate_fn=_only, num_workers=self.settings.num_workers
        )
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        return self._loader(self.val_set) if len(self.val_set) else []

    def test_dataloader(self) -> list[DataLoader]:
        """One loader for each data set, in the order of ``test_names``."""
        return [self._loader(pairs) for pairs in self.test_sets]

    def predict_dataloader(self) -> list[DataLoader]:
        """The test pairs, or this process's share of them."""
        shares = share_of(self.test_sets, self.settings.shard)
        return [self._loader(pairs, dealt(pairs, self.trainer)) for pairs in shares]

    @cached_property
    def _train_sets(self) -> list[ShapePairDataset]:
        sets = []
        for dataset, shapes, _ in self._fit_shapes:
            shapes = take_evenly(shapes, self.settings.train_shapes)
            if self.settings.transductive:
                shapes = [*shapes, *dataset.shapes("test")]
                possible = all_pairs(shapes, "unordered")
                alike = [pair for pair in possible if dataset.correspond(pair.shape1.name, pair.shape2.name)]
                pairs = [pair.without_truth() for pair in alike]
            else:
                pairs = pairs_of(dataset, "train", shapes, protocol="unordered")
            sets.append(ShapePairDataset(self._in_frame(dataset, pairs), self._training))
            log.info("%s: %d training pairs, of %d shapes", dataset.name, len(pairs), len(sets[-1].used()))
        return sets

    @cached_property
    def _val_sets(self) -> list[ShapePairDataset]:
        if self.settings.select_on_test:
            log.warning(
                "%s: checkpoints are selected on test pairs (data.select_on_test=true)", ", ".join(self.test_names)
            )
            return [self._test_set(dataset, self.settings.val_pairs) for dataset in self.tested]
        sets = []
        for dataset, _, shapes in self._fit_shapes:
            pairs = pairs_of(dataset, "train", shapes, protocol=self.settings.protocol)
            if shapes and not pairs:
                log.warning(
                    "%s: none of its listed pairs joins two of the %d held-out shapes; no validation",
                    dataset.name,
                    len(shapes),
                )
            drawn = draw_some(pairs, self.settings.val_pairs, seed=self.settings.seed)
            sets.append(self._measured_set(self._in_frame(dataset, drawn)))
            log.info(
                "%s: %d of %d validation pairs, of %d shapes", dataset.name, len(sets[-1]), len(pairs), len(shapes)
            )
        return sets

    @cached_property
    def _fit_shapes(self) -> list[tuple[MeshDataset, list[ShapeFiles], list[ShapeFiles]]]:
        """The data sets with their shapes for training and validation, without those that are for tests only."""
        held_out = 0 if self.settings.select_on_test else self.settings.val_shapes
        trained = [dataset for dataset in self.datasets if dataset.shapes("train")]
        split = [(dataset, *training_and_held_out(dataset, val_shapes=held_out)) for dataset in trained]
        others = [dataset for dataset in self.datasets if dataset not in trained and self.settings.transductive]
        return [*split, *((dataset, [], []) for dataset in others)]

    def _test_set(self, dataset: MeshDataset, most: int | None) -> ShapePairDataset:
        protocol = "listed" if dataset.pairs("test") is not None else self.settings.protocol
        possible = tested_pairs(dataset, protocol=self.settings.protocol)
        pairs = draw_some(possible, most, seed=self.settings.seed)
        drawn_from = len(possible) if len(pairs) < len(possible) else None
        pairs = self._in_frame(dataset, pairs)
        chosen = self._measured_set(pairs, Selection(protocol, dataset.pairs_rule, drawn_from))
        log.info("%s: %d of %d test pairs, of %d shapes", dataset.name, len(pairs), len(possible), len(chosen.used()))
        return chosen

    def _in_frame(self, dataset: MeshDataset, pairs: list[ShapePairFiles]) -> list[ShapePairFiles]:
        """The pairs in the frame of ``data.align``."""
        references = references_of(dataset, self.settings.align)
        return [pair.turned_to(references) for pair in pairs] if references else pairs

    def _measured_set(self, pairs: list[ShapePairFiles], selection: Selection | None = None) -> ShapePairDataset:
        return ShapePairDataset(pairs, self._measured, geodesics=self.settings.geodesics, selection=selection)

    def _loader(self, pairs: Dataset, sampler: DealtPairs | None = None) -> DataLoader:
        return DataLoader(pairs, sampler=sampler, collate_fn=_only, num_workers=self.settings.num_workers)


def _listed(datasets: Mapping[str, MeshDataset] | Sequence[MeshDataset]) -> list[MeshDataset]:
    return list(datasets.values() if isinstance(datasets, Mapping) else datasets)


def _settings(given: Mapping[str, Any]) -> DataSettings:
    known = [field.name for field in fields(DataSettings)]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"data.{unknown[0]} does not exist; data has {', '.join(known)}")
    return DataSettings(**given)


def _jobs(pairs: ShapePairDataset) -> list[Job]:
    """What has to be prepared for the pairs: their shapes, and distances on those that errors are measured on."""
    settings, method = pairs.library.settings, pairs.geodesics
    if method is None:
        return [Job(files, settings) for files in pairs.used()]
    measured = set(pairs.files1())
    return [
        Job(
            files,
            settings,
            method if files in measured else None,
            pairs.truths1.get(files, ()),
            pairs.truths2.get(files, ()),
        )
        for files in pairs.used()
    ]


def _only(batch: Sequence[ShapePair]) -> ShapePair:
    (pair,) = batch
    return pair
