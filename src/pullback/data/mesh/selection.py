"""Which pairs of a data set are trained on, validated on and tested on."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from pullback.data.errors import MissingDataError
from pullback.data.mesh.dataset import MeshDataset, ShapeFiles, ShapePairFiles, Split
from pullback.data.mesh.pairs import all_pairs, pairs_within
from pullback.data.mesh.tree import find_tree
from pullback.errors import UserError

log = logging.getLogger(__name__)

T = TypeVar("T")

OWN = "own"  # data.align: the references are shapes of the set itself
REFERENCES = 7


class NoPairs(UserError, ValueError):
    """A data set has too few shapes for a pair, or too few for its splits. The message says what to change."""


def training_and_held_out(dataset: MeshDataset, *, val_shapes: int | None) -> tuple[list[ShapeFiles], list[ShapeFiles]]:
    """The shapes that are trained on, and those of the training split that validation is done on.

    ``val_shapes`` of them; None: the data set's own number, and none where the rest would be too few.
    """
    train = at_least_two(dataset, "train")
    count = val_shapes if val_shapes is not None else dataset.val_shapes or max(2, round(len(train) / 10))
    if len(train) - count < 2:
        if val_shapes is not None:
            raise NoPairs(
                f"{dataset.name}: of {len(train)} training shapes, data.val_shapes={count} leave "
                f"{max(0, len(train) - count)}, "
                f"and training needs 2: use data.val_shapes=0 or at most {len(train) - 2}"
            )
        log.warning(
            "%s: %d training shapes are too few to hold some out, so there is no validation", dataset.name, len(train)
        )
        count = 0
    held_out = dataset.held_out(train, count) if count else []
    return [files for files in train if files not in set(held_out)], held_out


def pairs_of(
    dataset: MeshDataset, split: Split, shapes: Sequence[ShapeFiles], *, protocol: str
) -> list[ShapePairFiles]:
    """The pairs of a split between the ``shapes``: those that the data set lists, or all of the protocol."""
    listed = dataset.pairs(split)
    return all_pairs(shapes, protocol) if listed is None else pairs_within(listed, shapes)


def tested_pairs(dataset: MeshDataset, *, protocol: str) -> list[ShapePairFiles]:
    """All test pairs. Raises NoPairs where there is none, MissingDataError where the data set is not there."""
    pairs = pairs_of(dataset, "test", at_least_two(dataset, "test"), protocol=protocol)
    if not pairs:
        raise NoPairs(
            f"{dataset.name}: none of its listed pairs joins two of its test shapes. {dataset.advice_on_splits}"
        )
    return pairs


def at_least_two(dataset: MeshDataset, split: Split) -> list[ShapeFiles]:
    """The shapes of a split. Raises NoPairs where they make no pair."""
    shapes = dataset.shapes(split)
    if len(shapes) < 2:
        raise NoPairs(
            f"{dataset.name}: the {split} split has {len(shapes)} shapes, and a pair needs two. "
            f"{dataset.advice_on_splits}"
        )
    return shapes


def take_evenly(items: Sequence[T], count: int | None) -> list[T]:
    """``count`` of the items, evenly spread over them; None: all."""
    if count is None or count >= len(items):
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int).tolist()]


def references_of(dataset: MeshDataset, align: str | None) -> tuple[Path, ...]:
    """The meshes to whose frame a data set is turned; none where it stays as it lies.

    ``"own"``: some of its training shapes (of its test shapes where it has none), else some meshes of a folder. Raises
    MissingDataError where there are less than two.
    """
    if align is None:
        return ()
    if align == OWN:
        return tuple(files.mesh for files in take_evenly(_of_one_split(dataset), REFERENCES))
    folder = Path(align)
    tree = find_tree(folder)
    meshes = [] if tree is None else list(tree.meshes.values())
    if len(meshes) < 2:
        found = f"a folder with {len(meshes)} meshes" if folder.is_dir() else "no folder"
        raise MissingDataError(
            f"data.align={align} is {found}: give one that holds shapes of this kind, or data.align=own"
        )
    return tuple(take_evenly(meshes, REFERENCES))


def _of_one_split(dataset: MeshDataset) -> list[ShapeFiles]:
    """The training shapes, or the test shapes of a set that has no others here."""
    try:
        return dataset.shapes("train") or dataset.shapes("test")
    except MissingDataError:
        return dataset.shapes("test")


def draw_some(items: Sequence[T], most: int | None, *, seed: int) -> list[T]:
    """At most so many of the items, drawn with the seed, in their order; None: all."""
    if most is None or most >= len(items):
        return list(items)
    chosen = np.random.default_rng(seed).choice(len(items), most, replace=False)
    return [items[i] for i in sorted(chosen.tolist())]
