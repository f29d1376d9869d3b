"""SHREC'19, "Matching humans with different connectivity" (Melzi et al. 2019), with dense ground truth."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from pullback.data.errors import MissingDataError, shorten
from pullback.data.mesh.dataset import (
    FOR_TESTS_ONLY,
    MeshDataset,
    ShapeFiles,
    ShapePairFiles,
    Split,
    SwappedTruth,
)
from pullback.data.mesh.io import read_numbers, read_vts
from pullback.data.mesh.tree import MeshTree, require_tree
from pullback.geometry.cleaning import MeshError
from pullback.ranges import at_least

DIRECTIONS = ("paper", "ulrssm")
TURNED_ABOUT = frozenset({"28", "32"})  # of whose upper bodies many methods exchange left and right, front and back

_NUMBERS = [number for number in range(1, 45) if number != 40]  # 40 is partial: no table has its pairs
_PAIRS = 407
_SOURCE = (
    "SHREC'19 is for research use: the meshes as they were scanned are at "
    "http://profs.scienze.univr.it/~marin/shrec19, the remeshed "
    "ones (SHREC19_r, about 5,000 vertices) come with the data of most later papers, such as github.com/dongliangcao/"
    "Unsupervised-Learning-of-Robust-Spectral-Shape-Matching. Then give paths.data_dir= (or PULLBACK_DATA_DIR) the "
    "folder that holds "
    "SHREC19_r, or dataset.shrec19.root= SHREC19_r itself."
)


@dataclass(frozen=True)
class DenseMap:
    """``A_B.map``: row i is the vertex of B, from 1, that corresponds to vertex i of A. Shape 1 is B and shape 2 is A.

    With ``most``, so many of the rows count, drawn by the file's name: the same ones each time.
    """

    path: Path
    most: int | None = None

    def first(self, *, n1: int) -> Int[ndarray, " t"]:
        images = self._images()
        if images.min() < 0 or images.max() >= n1:
            images = read_vts(self.path, n_vertices=n1)  # says in which line
        return images[self._rows(len(images))].astype(np.int64)

    def second(self, *, n2: int) -> Int[ndarray, " t"]:
        count = len(self._images())
        if count != n2:
            raise MeshError(
                f"{self.path}: {count} rows for a mesh of {n2} vertices. Does the map run from the other shape, or "
                "from another mesh?"
            )
        return self._rows(n2)

    def _images(self) -> Int[ndarray, " n2"]:
        """All rows, from 0: those of a file that has not changed are read once in a process."""
        state = self.path.stat() if self.path.is_file() else None  # a file that is not there is told by its reader
        return _read_map(self.path, None if state is None else (state.st_mtime_ns, state.st_size))

    def _rows(self, count: int) -> Int[ndarray, " t"]:
        if self.most is None or self.most >= count:
            return np.arange(count)
        seed = int.from_bytes(hashlib.sha256(self.path.stem.encode()).digest()[:8])
        return np.sort(np.random.default_rng(seed).choice(count, self.most, replace=False))


def _numbers(without: int | str | Sequence[int | str], name: str) -> list[int]:
    """The shapes that are left out. Raises ValueError for what is none, and where hardly any is left."""
    given = [without] if isinstance(without, int | str) else list(without)
    unknown = [each for each in given if not (str(each).isdecimal() and int(each) in _NUMBERS)]
    advice = f"dataset.{name}.without=[28,32]"
    if unknown:
        raise ValueError(f"dataset.{name}.without names {unknown[0]}, but the shapes are 1 … 44 without 40: {advice}")
    numbers = sorted({int(each) for each in given})
    if len(_NUMBERS) - len(numbers) < 2:
        raise ValueError(f"dataset.{name}.without leaves no pair: {advice} leaves out two shapes")
    return numbers


@lru_cache(maxsize=_PAIRS)
def _read_map(path: Path, state: tuple[int, int] | None) -> Int[ndarray, " n2"]:
    images = (read_numbers(path) - 1).astype(np.int32)
    images.flags.writeable = False
    return images


class Shrec19(MeshDataset):
    """44 shapes, for tests only: 407 pairs with a map, without the 23 of shape 40, which is partial."""

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "shrec19": {"folder": "SHREC19_r"},
        "shrec19_subset": {"folder": "SHREC19_subset", "name": "shrec19_subset", "allow_missing": True},
    }
    advice_on_splits = FOR_TESTS_ONLY

    def __init__(
        self,
        root: str | Path,
        *,
        name: str = "shrec19",
        direction: str = "paper",
        landmarks: int | None = None,
        without: int | str | Sequence[int | str] = (),
        allow_missing: bool = False,
    ):
        """The data set in ``root``, and how its maps are measured.

        ``direction``, for a file A_B.map: ``paper`` asks for T: A → B at the vertices of A and measures on B, as the
        official code does; ``ulrssm`` asks for T: B → A at the images of the map, with their repetitions, and measures
        on A. The figures differ.

        ``landmarks``: measured is at so many rows of each map, a uniform draw; None: at all. A shape's distances are
        computed from the vertices of all of its pairs, so all rows of a shape with 50,000 vertices would take 10 GB.
        ``without``: no pairs of these shapes, and the protocol says so; 28 and 32 are turned about by many methods (see
        the ledger). ``allow_missing``: make do with the shapes and maps that are there, instead of raising
        MissingDataError.
        """
        if direction not in DIRECTIONS:
            raise ValueError(
                f"direction={direction} is unknown; use dataset.{name}.direction= one of {', '.join(DIRECTIONS)}"
            )
        at_least(1, landmarks=landmarks)
        self.root = Path(root)
        self.name = name
        self.direction = direction
        self.landmarks = landmarks
        self.without = _numbers(without, name)
        self.allow_missing = allow_missing

    @property
    def pairs_rule(self) -> str:
        count = self.landmarks
        at = "every vertex of A" if count is None else f"{count} vertices of A (drawn by the file's name)"
        left_out = "40" if not self.without else f"40 and without {', '.join(map(str, self.without))}"
        paper, published = f"T: A → B at {at}, errors on B", f"T: B → A at the images of {at}, errors on A"
        there = f", {count} of the {_PAIRS} maps" if (count := len(self._known_maps())) != _PAIRS else ""
        return f"A_B.map as {paper if self.direction == 'paper' else published}, without shape {left_out}{there}"

    def parts_of(self, shape1: str, shape2: str) -> Sequence[str]:
        """Without the two scans that many methods turn about, unless they are left out anyway."""
        return () if {shape1, shape2} & TURNED_ABOUT else [f"without {', '.join(sorted(TURNED_ABOUT))}"]

    def shapes(self, split: Split) -> list[ShapeFiles]:
        if split == "train":
            return []
        tree = self._tree()
        lost = [f"{number}.off" for number in _NUMBERS if str(number) not in tree.meshes]
        if lost and not self.allow_missing:
            raise MissingDataError(
                f"{self.root} lacks {len(lost)} of the 43 shapes that are tested: {shorten(lost)}.\n{_SOURCE}"
            )
        return [ShapeFiles(str(number), tree.meshes[str(number)]) for number in _NUMBERS if str(number) in tree.meshes]

    def pairs(self, split: Split) -> list[ShapePairFiles]:
        listed = [] if split == "train" else [self._pair(*pair) for pair in self._known_maps()]
        if split == "test" and not self.allow_missing and len(listed) != _PAIRS:
            raise MissingDataError(
                f"{self.root} has {len(listed)} files A_B.map for pairs without shape 40, but the data set has "
                f"{_PAIRS}. Copy it again, or "
                f"use dataset.{self.name}.allow_missing=true, and the table says how many pairs there were.\n{_SOURCE}"
            )
        lost = {str(number) for number in self.without}
        return [pair for pair in listed if not lost & {pair.shape1.name, pair.shape2.name}]

    def _known_maps(self) -> list[tuple[ShapeFiles, ShapeFiles, Path]]:
        """The maps A_B between shapes that are there, with A and B."""
        known = {files.name: files for files in self.shapes("test")}
        maps = _maps(self._tree()).items()
        return [(known[a], known[b], path) for (a, b), path in maps if a in known and b in known]

    def _pair(self, a: ShapeFiles, b: ShapeFiles, path: Path) -> ShapePairFiles:
        truth = DenseMap(path, self.landmarks)
        return ShapePairFiles(b, a, truth) if self.direction == "paper" else ShapePairFiles(a, b, SwappedTruth(truth))

    def _tree(self) -> MeshTree:
        return require_tree(self.root, wanted="1.off … 44.off and A_B.map for pairs of them", source=_SOURCE)


def _maps(tree: MeshTree) -> dict[tuple[str, str], Path]:
    """The files ``A_B.map`` by the names of A and B, in the order of their numbers."""
    found = {}
    for name, path in tree.truths.items():
        if names := re.fullmatch(r"0*(\d+)_0*(\d+)\.map", name):
            found[names[1], names[2]] = path
    return dict(sorted(found.items(), key=lambda item: (int(item[0][0]), int(item[0][1]))))
