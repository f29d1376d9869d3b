"""What Lightning loads: training, validation and test pairs of one or several data sets."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from pullback.data.dataset import MeshDataset, ShapeFiles, Split
from pullback.data.library import ShapeLibrary
from pullback.data.pairs import PROTOCOLS, ShapePairDataset, check_landmarks, pair_indices
from pullback.data.preparation import Job, prepare_all
from pullback.data.sampling import PairSampler, ResumableLoader
from pullback.data.shapes import PreparationSettings
from pullback.geometry.geodesic import METHODS
from pullback.types import ShapePair

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSettings:
    """The keys of ``data.``: what is computed of each shape, and which pairs are made."""

    k: int = 200  # eigenfunctions of each shape
    laplacian: str = "cotangent"  # cotangent | robust
    components: str = "dust"  # which pieces of a mesh are kept: dust (all but dust) | largest | all
    samples: int = 3000  # well-spread vertices kept with each shape for solvers that work on a part of the points
    basis: str = "exact"  # exact | sampled: approximate eigenfunctions of dense meshes, from functions around the samples
    coarsen: int | None = None  # vertices of simplified training shapes; validation and test shapes stay as they are
    protocol: str = "unordered"  # of validation and test pairs: unordered | ordered | ordered_self
    geodesics: str | None = "dijkstra"  # on which errors are measured: dijkstra | fast_marching | heat; None: no errors
    random_direction: bool = True  # training pairs (i, j) or (j, i), drawn anew in each epoch; False: always i < j
    train_shapes: int | None = None  # train on that many, evenly spread over the split
    val_shapes: int | None = None  # held out of the training split, its last ones; None: the data set's own number; 0: no validation
    val_pairs: int | None = 20  # of each data set, drawn with the seed; None: all
    test_pairs: int | None = None  # of each data set, drawn with the seed; None: all
    select_on_test: bool = False  # validate on test pairs and hold nothing out: common in the literature, and not clean
    seed: int = 0
    memory_shapes: int = 128  # prepared shapes held in memory (5 MB each at 5,000 vertices and k = 200)
    num_workers: int = 0  # processes that load pairs; with the shapes in memory there is little for them to do
    prepare_workers: int | None = None  # processes that prepare shapes; None: one for each CPU

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"data.protocol={self.protocol} is unknown; use one of {', '.join(PROTOCOLS)}")
        if self.geodesics is not None and self.geodesics not in METHODS:
            raise ValueError(f"data.geodesics={self.geodesics} is unknown; use null or one of {', '.join(METHODS)}")
        if self.val_shapes == 1 or self.train_shapes == 1:
            raise ValueError("one shape makes no pair: give data.val_shapes and data.train_shapes at least 2 (or data.val_shapes=0)")
        if self.select_on_test and self.val_shapes:
            raise ValueError(f"data.select_on_test=true holds no shapes out, but data.val_shapes={self.val_shapes}: drop one of the two")

    def preparation(self, *, training: bool) -> PreparationSettings:
        """How training shapes, or those on which errors are measured, are prepared."""
        coarsen = self.coarsen if training else None
        return PreparationSettings(self.k, self.laplacian, self.components, coarsen, self.samples, self.basis)


class PairDataModule(LightningDataModule):
    """Pairs of shapes, one at a time. ``settings`` are those of ``DataSettings``.

    Training takes all pairs within each data set's training split, less the shapes held out for validation. Nothing is computed
    before ``prepare_data``, and the files of a split are not looked for before it is needed.
    """

    def __init__(self, datasets: Mapping[str, MeshDataset] | Sequence[MeshDataset], cache_dir: str | Path, **settings: Any):
        super().__init__()
        self.datasets = list(datasets.values() if isinstance(datasets, Mapping) else datasets)
        self.settings = _settings(settings)
        if not self.datasets:
            raise ValueError("no data set was chosen; give one, such as dataset=humans")
        if len(set(self.test_names)) < len(self.datasets):
            raise ValueError(f"two data sets have the same name ({', '.join(self.test_names)}): give one dataset.folder.name=NAME")
        capacity = self.settings.memory_shapes
        self._training = ShapeLibrary(self.settings.preparation(training=True), cache_dir, capacity=capacity)
        self._measured = ShapeLibrary(self.settings.preparation(training=False), cache_dir, capacity=capacity)
        self.cache_dir = cache_dir

    @property
    def test_names(self) -> list[str]:
        """The names of the data sets, in the order of the test loaders."""
        return [dataset.name for dataset in self.datasets]

    @cached_property
    def train_set(self) -> ShapePairDataset:
        """The training pairs i < j of all data sets, and after them all of them again with 1 and 2 exchanged."""
        pairs = reduce(ShapePairDataset.followed_by, self._train_sets)
        return ShapePairDataset(pairs.shapes, pairs.pairs + [(j, i) for i, j in pairs.pairs], self._training)

    @cached_property
    def val_set(self) -> ShapePairDataset:
        """The validation pairs of all data sets: of held-out training shapes, or of test shapes with ``select_on_test``."""
        return reduce(ShapePairDataset.followed_by, self._val_sets)

    @cached_property
    def test_sets(self) -> list[ShapePairDataset]:
        """The test pairs of each data set."""
        return [self._measured_pairs(_at_least_two(dataset, "test"), self.settings.test_pairs) for dataset in self.datasets]

    def prepare_data(self) -> None:
        """Prepares the shapes and distances that the trainer's stage needs; those of all stages without a trainer."""
        stage = None if self.trainer is None else self.trainer.state.fn
        sets = self._train_sets + self._val_sets if stage in (None, "fit", "validate") else []
        sets = sets + self.test_sets if stage not in ("fit", "validate") else sets
        jobs = [_jobs(pairs) for pairs in sets]
        done = prepare_all([job for of_one_set in jobs for job in of_one_set], self.cache_dir, workers=self.settings.prepare_workers)
        for of_one_set in jobs:
            counts = {job.files: done[job].landmarks for job in of_one_set}
            check_landmarks({files: count for files, count in counts.items() if count is not None})

    def train_dataloader(self) -> DataLoader:
        world, rank = (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
        seed, random_direction = self.settings.seed, self.settings.random_direction
        sampler = PairSampler(len(self.train_set) // 2, seed=seed, random_direction=random_direction, num_replicas=world, rank=rank)
        loader = ResumableLoader(self.train_set, sampler=sampler, collate_fn=_only, num_workers=self.settings.num_workers)
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        return self._loader(self.val_set) if len(self.val_set) else []

    def test_dataloader(self) -> list[DataLoader]:
        """One loader for each data set, in the order of ``test_names``."""
        return [self._loader(pairs) for pairs in self.test_sets]

    def predict_dataloader(self) -> list[DataLoader]:
        """The test pairs."""
        return self.test_dataloader()

    @cached_property
    def _train_sets(self) -> list[ShapePairDataset]:
        splits = [train for train, _ in self._fit_splits]
        return [ShapePairDataset(shapes, pair_indices(len(shapes), "unordered"), self._training) for shapes in splits]

    @cached_property
    def _val_sets(self) -> list[ShapePairDataset]:
        return [self._measured_pairs(shapes, self.settings.val_pairs) for _, shapes in self._fit_splits]

    @cached_property
    def _fit_splits(self) -> list[tuple[list[ShapeFiles], list[ShapeFiles]]]:
        return [self._training_and_validation(dataset) for dataset in self.datasets]

    def _training_and_validation(self, dataset: MeshDataset) -> tuple[list[ShapeFiles], list[ShapeFiles]]:
        train = _at_least_two(dataset, "train")
        if self.settings.select_on_test:
            log.warning("%s: checkpoints are selected on test pairs (data.select_on_test=true)", dataset.name)
            return _evenly(train, self.settings.train_shapes), _at_least_two(dataset, "test")
        usual = dataset.val_shapes or max(2, round(len(train) / 10))
        held_out = self.settings.val_shapes if self.settings.val_shapes is not None else usual
        if len(train) - held_out < 2:
            if self.settings.val_shapes is not None:
                raise ValueError(
                    f"{dataset.name}: of {len(train)} training shapes, data.val_shapes={held_out} leave {max(0, len(train) - held_out)}, "
                    f"and training needs 2: use data.val_shapes=0 or at most {len(train) - 2}"
                )
            log.warning("%s: %d training shapes are too few to hold some out, so there is no validation", dataset.name, len(train))
            held_out = 0
        split = len(train) - held_out
        return _evenly(train[:split], self.settings.train_shapes), train[split:]

    def _measured_pairs(self, shapes: list[ShapeFiles], most: int | None) -> ShapePairDataset:
        pairs = pair_indices(len(shapes), self.settings.protocol)
        if most is not None and most < len(pairs):
            chosen = np.random.default_rng(self.settings.seed).choice(len(pairs), most, replace=False)
            pairs = [pairs[i] for i in sorted(chosen.tolist())]
        return ShapePairDataset(shapes, pairs, self._measured, geodesics=self.settings.geodesics)

    def _loader(self, pairs: Dataset) -> DataLoader:
        return DataLoader(pairs, collate_fn=_only, num_workers=self.settings.num_workers)


def _settings(given: Mapping[str, Any]) -> DataSettings:
    known = [field.name for field in fields(DataSettings)]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"data.{unknown[0]} does not exist; data has {', '.join(known)}")
    return DataSettings(**given)


def _at_least_two(dataset: MeshDataset, split: Split) -> list[ShapeFiles]:
    shapes = dataset.shapes(split)
    if len(shapes) < 2:
        raise ValueError(f"{dataset.name}: the {split} split has {len(shapes)} shapes, and a pair needs two. {dataset.advice_on_splits}")
    return shapes


def _evenly(shapes: list[ShapeFiles], count: int | None) -> list[ShapeFiles]:
    if count is None or count >= len(shapes):
        return shapes
    return [shapes[i] for i in np.linspace(0, len(shapes) - 1, count).round().astype(int).tolist()]


def _jobs(pairs: ShapePairDataset) -> list[Job]:
    """What has to be prepared for the pairs: their shapes, and distances on those that errors are measured on."""
    measured = set(pairs.files1()) if pairs.geodesics is not None else set()
    settings = pairs.library.settings
    return [Job(files, settings, pairs.geodesics if files in measured else None) for files in pairs.used()]


def _only(batch: Sequence[ShapePair]) -> ShapePair:
    (pair,) = batch
    return pair
