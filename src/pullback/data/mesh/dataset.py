"""What a data set is: named shapes in a training and a test split, as files."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from jaxtyping import Int
from numpy import ndarray

from pullback.data.errors import ListError
from pullback.plain_data import printable

Split = Literal["train", "test"]

# What a data set without training shapes has for ``advice_on_splits``.
FOR_TESTS_ONLY = "It is for tests only: train on another one and test on this, as in dataset=faust dataset@test=NAME"


@dataclass(frozen=True)
class ShapeFiles:
    """The files of one shape."""

    name: str
    mesh: Path
    vts: Path | None = None  # landmarks: line i is the vertex (1-based) of landmark i
    mirrored_vts: Path | None = None  # the same landmarks with left and right exchanged
    references: tuple[Path, ...] = ()  # meshes to whose common frame the shape is turned; none: it stays as it lies

    def __post_init__(self) -> None:
        if printable(self.name) != self.name:
            raise ListError(
                f"{self.mesh}: the name of a shape holds characters that command a terminal. Rename the file"
            )


@runtime_checkable
class PairTruth(Protocol):
    """Ground truth that belongs to a pair and not to its shapes: row i of both sides is the same point.

    Hashable and picklable, such as a frozen dataclass of paths. The numbers are those of the files, counted from 0.
    """

    def first(self, *, n1: int) -> Int[ndarray, " t"]:
        """The vertices of shape 1, whose file has ``n1``. Raises MeshError, FileNotFoundError."""
        ...

    def second(self, *, n2: int) -> Int[ndarray, " t"]:
        """The vertices of shape 2, whose file has ``n2``. Raises MeshError, FileNotFoundError."""
        ...


@dataclass(frozen=True)
class SwappedTruth:
    """The ground truth of a pair with 1 and 2 exchanged."""

    truth: PairTruth

    def first(self, *, n1: int) -> Int[ndarray, " t"]:
        return self.truth.second(n2=n1)

    def second(self, *, n2: int) -> Int[ndarray, " t"]:
        return self.truth.first(n1=n2)


@dataclass(frozen=True)
class ShapePairFiles:
    """The files of a pair: questions are asked on shape 2, errors measured on shape 1."""

    shape1: ShapeFiles
    shape2: ShapeFiles
    truth: PairTruth | None = None  # None: row i of the ``.vts`` files of both shapes is the same point

    @property
    def name(self) -> str:
        """As ``ShapePair.name`` has it."""
        return f"{self.shape1.name}-{self.shape2.name}"

    @property
    def has_truth(self) -> bool:
        return self.truth is not None or (self.shape1.vts is not None and self.shape2.vts is not None)

    def turned_to(self, references: tuple[Path, ...]) -> "ShapePairFiles":
        """The pair with both shapes turned to the frame of some meshes."""
        shape1, shape2 = (replace(files, references=references) for files in (self.shape1, self.shape2))
        return ShapePairFiles(shape1, shape2, self.truth)

    def without_truth(self) -> "ShapePairFiles":
        """The pair of which nobody can learn the ground truth."""
        shape1, shape2 = (replace(files, vts=None, mirrored_vts=None) for files in (self.shape1, self.shape2))
        return ShapePairFiles(shape1, shape2)

    def swapped(self) -> "ShapePairFiles":
        """The pair with 1 and 2 exchanged."""
        return ShapePairFiles(self.shape2, self.shape1, None if self.truth is None else SwappedTruth(self.truth))


class MeshDataset(ABC):
    """Shapes that correspond to each other.

    Subclasses say which files belong to which split, and perhaps which pairs are made.
    """

    kind: ClassVar[str] = "mesh"
    # What may lie in a folder of research data, by what follows ``dataset=``: {"folder": its usual name} and options.
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    name: str
    val_shapes: int | None = None  # how many training shapes make a sensible validation set; None: a tenth
    up: str = "y"  # the axis of the shapes that points up in pictures: x | y | z, or -x …
    front: str = "z"  # the axis that points at the camera

    advice_on_splits = "Is the data set complete?"

    @property
    def pairs_rule(self) -> str:
        """What a protocol line says of the listed pairs: which, and in which direction; empty where there are none."""
        return ""

    def parts_of(self, shape1: str, shape2: str) -> Sequence[str]:
        """The parts of the data set that a pair belongs to, by the names of its shapes.

        Results tell the figures of each part that is not the whole beside those of all pairs.
        """
        return ()

    @abstractmethod
    def shapes(self, split: Split) -> list[ShapeFiles]:
        """The shapes of a split in the order of the data set; none for the training split of a test set.

        Raises MissingDataError.
        """

    def pairs(self, split: Split) -> list[ShapePairFiles] | None:
        """The pairs of a split where the data set lists them; None: all pairs of its shapes.

        Raises MissingDataError.
        """
        return None

    def correspond(self, shape1: str, shape2: str) -> bool:
        """Whether two shapes of the set match at all, by their names: no others are made pairs without ground truth."""
        return True

    def held_out(self, shapes: Sequence[ShapeFiles], count: int) -> list[ShapeFiles]:
        """The ``count`` training shapes that validation is done on: the last ones."""
        return list(shapes[len(shapes) - count :])
