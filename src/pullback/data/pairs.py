"""Pairs of shapes: which ones a protocol makes, and how one is put together."""

from collections.abc import Sequence

from torch.utils.data import Dataset

from pullback.data.dataset import ShapeFiles
from pullback.data.library import ShapeLibrary
from pullback.geometry.cleaning import MeshError
from pullback.types import ShapePair

PROTOCOLS = ("unordered", "ordered", "ordered_self")


def pair_indices(n: int, protocol: str) -> list[tuple[int, int]]:
    """The pairs (1, 2) among n shapes, in order.

    ``unordered``: each pair once, i < j. ``ordered``: in both directions. ``ordered_self``: also each shape with itself, whose
    near-zero errors lower a mean.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"data.protocol={protocol} is unknown; use one of {', '.join(PROTOCOLS)}")
    keep = {"unordered": lambda i, j: i < j, "ordered": lambda i, j: i != j, "ordered_self": lambda i, j: True}[protocol]
    return [(i, j) for i in range(n) for j in range(n) if keep(i, j)]


class ShapePairDataset(Dataset[ShapePair]):
    """Pairs of prepared shapes with what ground truth there is.

    ``pairs`` are indices into ``shapes``. With ``geodesics`` (a method of ``geodesic_rows``) a pair with ground truth also has the
    distances from the landmarks of shape 1, on which errors are measured.
    """

    def __init__(
        self, shapes: Sequence[ShapeFiles], pairs: Sequence[tuple[int, int]], library: ShapeLibrary, *, geodesics: str | None = None
    ):
        self.shapes = list(shapes)
        self.pairs = list(pairs)
        self.library = library
        self.geodesics = geodesics

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> ShapePair:
        files1, files2 = (self.shapes[i] for i in self.pairs[index])
        first, second = self.library.load(files1), self.library.load(files2)
        if first.corr is None or second.corr is None:
            return ShapePair(first.shape, second.shape)
        check_landmarks({files1: len(first.corr), files2: len(second.corr)})
        geodesics = None if self.geodesics is None else self.library.geodesics(files1, self.geodesics)
        return ShapePair(first.shape, second.shape, first.corr, second.corr, first.mirrored, geodesics)

    def followed_by(self, other: "ShapePairDataset") -> "ShapePairDataset":
        """These pairs and after them those of the other set. No pair joins shapes of the two."""
        shift = len(self.shapes)
        pairs = self.pairs + [(i + shift, j + shift) for i, j in other.pairs]
        return ShapePairDataset(self.shapes + other.shapes, pairs, self.library, geodesics=self.geodesics)

    def name(self, index: int) -> str:
        """The name of a pair, as ``ShapePair.name`` has it."""
        return "-".join(self.shapes[i].name for i in self.pairs[index])

    def files1(self) -> list[ShapeFiles]:
        """The shapes that stand first in some pair, on which errors are measured."""
        return [self.shapes[i] for i in sorted({i for i, _ in self.pairs})]

    def used(self) -> list[ShapeFiles]:
        """The shapes that stand in some pair."""
        return [self.shapes[i] for i in sorted({i for pair in self.pairs for i in pair})]


def check_landmarks(counts: dict[ShapeFiles, int]) -> None:
    """Raises MeshError unless all shapes have the same number of landmarks: line i of each ``.vts`` must mean the same point."""
    by_count = {count: files for files, count in counts.items()}
    if len(by_count) > 1:
        (low, files_low), *_, (high, files_high) = sorted(by_count.items())
        raise MeshError(
            f"{files_low.vts} has {low} rows but {files_high.vts} has {high}: row i of each must be the vertex of the same landmark i. "
            "Do they belong to different data sets? Copy them again, or remove both to go without ground truth"
        )
