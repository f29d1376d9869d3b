"""Pairs of shapes: which ones a protocol makes, and how one is put together."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset

from pullback.data.mesh.dataset import PairTruth, ShapeFiles, ShapePairFiles
from pullback.data.mesh.library import LoadedShape, ShapeLibrary
from pullback.geometry.cleaning import MeshError
from pullback.types import Shape, ShapePair

PROTOCOLS = ("unordered", "ordered", "ordered_self")


def pair_indices(n: int, protocol: str) -> list[tuple[int, int]]:
    """The pairs (1, 2) among n shapes, in order.

    ``unordered``: each pair once, i < j. ``ordered``: in both directions. ``ordered_self``: also each shape with
    itself, whose near-zero errors lower a mean.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"data.protocol={protocol} is unknown; use one of {', '.join(PROTOCOLS)}")
    keep = {"unordered": lambda i, j: i < j, "ordered": lambda i, j: i != j, "ordered_self": lambda i, j: True}[
        protocol
    ]
    return [(i, j) for i in range(n) for j in range(n) if keep(i, j)]


def all_pairs(shapes: Sequence[ShapeFiles], protocol: str) -> list[ShapePairFiles]:
    """The pairs that the protocol makes of the shapes."""
    return [ShapePairFiles(shapes[i], shapes[j]) for i, j in pair_indices(len(shapes), protocol)]


def pairs_within(pairs: Iterable[ShapePairFiles], shapes: Iterable[ShapeFiles]) -> list[ShapePairFiles]:
    """Those of the pairs that join two of the shapes."""
    shapes = set(shapes)
    return [pair for pair in pairs if pair.shape1 in shapes and pair.shape2 in shapes]


@dataclass(frozen=True)
class Selection:
    """Which pairs a set holds, for the protocol of its results."""

    protocol: str  # unordered | ordered | ordered_self | listed: by the data set
    rule: str = ""  # what the data set says of its pairs
    drawn_from: int | None = None  # of so many a part was drawn; None: these are all


class ShapePairDataset(Dataset[ShapePair]):
    """Pairs of prepared shapes with what ground truth there is.

    With ``geodesics`` (a method of ``geodesic_rows``) a pair with ground truth also has distances on shape 1, on which
    errors are measured: from its landmarks, or from the vertices that the ground truth of any pair here has on that
    shape.
    """

    def __init__(
        self,
        pairs: Sequence[ShapePairFiles],
        library: ShapeLibrary,
        *,
        geodesics: str | None = None,
        selection: Selection | None = None,
    ):
        self.pairs = list(pairs)
        self.library = library
        self.geodesics = geodesics
        self.selection = selection

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> ShapePair:
        files = self.pairs[index]
        first, second = self.library.load(files.shape1), self.library.load(files.shape2)
        corr = corresponding(files, first, second)
        if corr is None:
            return ShapePair(first.shape, second.shape)
        mirrored = first.mirrored if files.truth is None else None
        truths = self.truths1.get(files.shape1, ()) if files.truth is not None else ()
        geodesics = (
            None if self.geodesics is None else self.library.geodesics(files.shape1, self.geodesics, truths=truths)
        )
        return ShapePair(first.shape, second.shape, *corr, mirrored, geodesics)

    def corresponding(self, index: int) -> tuple[Shape, Shape, Int[Tensor, " t"], Int[Tensor, " t"]]:
        """The shapes of a pair with ground truth, and its corresponding vertices."""
        files = self.pairs[index]
        first, second = self.library.load(files.shape1), self.library.load(files.shape2)
        corr = corresponding(files, first, second)
        assert corr is not None
        return first.shape, second.shape, *corr

    def followed_by(self, other: "ShapePairDataset") -> "ShapePairDataset":
        """These pairs and after them those of the other set. No pair joins shapes of the two."""
        return ShapePairDataset(self.pairs + other.pairs, self.library, geodesics=self.geodesics)

    def in_both_directions(self) -> "ShapePairDataset":
        """These pairs and after them all of them with 1 and 2 exchanged, without distances."""
        return ShapePairDataset(self.pairs + [pair.swapped() for pair in self.pairs], self.library)

    def part(self, places: slice) -> "ShapePairDataset":
        """Some of the pairs, measured as among all of them."""
        part = copy.copy(self)
        part.__dict__ |= {"pairs": self.pairs[places], "truths1": self.truths1, "truths2": self.truths2}
        return part

    def first(self, count: int) -> "ShapePairDataset":
        """The first pairs only; the selection says so."""
        part = self.part(slice(count))
        if self.selection is not None:
            drawn = f", drawn of {self.selection.drawn_from}" if self.selection.drawn_from else ""
            rule = f"the first {len(part)} of {len(self)} pairs{drawn}"
            rules = [each for each in (self.selection.rule, rule) if each]
            part.selection = replace(self.selection, rule=" | ".join(rules), drawn_from=None)
        return part

    def name(self, index: int) -> str:
        """The name of a pair, as ``ShapePair.name`` has it."""
        return self.pairs[index].name

    def files1(self) -> list[ShapeFiles]:
        """The shapes that stand first in some pair, on which errors are measured."""
        return list(dict.fromkeys(pair.shape1 for pair in self.pairs))

    def used(self) -> list[ShapeFiles]:
        """The shapes that stand in some pair."""
        return list(dict.fromkeys(files for pair in self.pairs for files in (pair.shape1, pair.shape2)))

    def have_truth(self) -> bool:
        """Whether all pairs have ground truth."""
        return all(pair.has_truth for pair in self.pairs)

    @cached_property
    def truths1(self) -> dict[ShapeFiles, tuple[PairTruth, ...]]:
        """The ground truths of the pairs in which each shape stands first."""
        return _grouped((pair.shape1, pair.truth) for pair in self.pairs)

    @cached_property
    def truths2(self) -> dict[ShapeFiles, tuple[PairTruth, ...]]:
        """The ground truths of the pairs in which each shape stands second."""
        return _grouped((pair.shape2, pair.truth) for pair in self.pairs)


def corresponding(
    files: ShapePairFiles, first: LoadedShape, second: LoadedShape
) -> tuple[Int[Tensor, " t"], Int[Tensor, " t"]] | None:
    """Corresponding vertices of both shapes, by the pair's own ground truth or the landmarks of its shapes.

    None without.
    """
    if files.truth is None:
        if first.corr is None or second.corr is None:
            return None
        check_landmark_counts({files.shape1: len(first.corr), files.shape2: len(second.corr)})
        return first.corr, second.corr
    corr1, corr2 = (
        files.truth.first(n1=len(first.relabel.successor)),
        files.truth.second(n2=len(second.relabel.successor)),
    )
    if len(corr1) != len(corr2):
        raise MeshError(
            f"{files.name}: its ground truth {files.truth} has {len(corr1)} rows on {files.shape1.mesh} but "
            f"{len(corr2)} on "
            f"{files.shape2.mesh}. Do the files belong to these meshes? Copy them again"
        )
    return torch.from_numpy(first.relabel(corr1)), torch.from_numpy(second.relabel(corr2))


def check_landmark_counts(counts: dict[ShapeFiles, int]) -> None:
    """Raises MeshError unless all shapes have equally many landmarks: line i of each ``.vts`` is one point."""
    by_count = {count: files for files, count in counts.items()}
    if len(by_count) > 1:
        (low, files_low), *_, (high, files_high) = sorted(by_count.items())
        raise MeshError(
            f"{files_low.vts} has {low} rows but {files_high.vts} has {high}: row i of each must be the vertex of "
            "the same landmark i. "
            "Do they belong to different data sets? Copy them again, or remove both to go without ground truth"
        )


def _grouped(truths: Iterable[tuple[ShapeFiles, PairTruth | None]]) -> dict[ShapeFiles, tuple[PairTruth, ...]]:
    found: dict[ShapeFiles, list[PairTruth]] = {}
    for files, truth in truths:
        if truth is not None:
            found.setdefault(files, []).append(truth)
    return {files: tuple(of_shape) for files, of_shape in found.items()}
