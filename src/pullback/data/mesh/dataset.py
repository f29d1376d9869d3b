"""What a data set is: named shapes in a training and a test split, as files."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from jaxtyping import Int
from numpy import ndarray

from pullback.data.errors import ListError, MissingDataError, shorten
from pullback.data.mesh.io import is_mesh_file, mesh_name
from pullback.files import read_lines
from pullback.geometry.cleaning import MeshError
from pullback.plain_data import printable

Split = Literal["train", "test"]

# The folder names in circulation: (meshes, ground truth).
SPLIT_FOLDERS = {"train": "shapes_train", "test": "shapes_test"}  # of DUO-FM and ConsistentFMaps, with corres/
LAYOUTS = (("off", "corres"), ("shapes", "correspondences"), ("vtx_5k", "vtx_5k/corres"))

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

    def held_out(self, shapes: Sequence[ShapeFiles], count: int) -> list[ShapeFiles]:
        """The ``count`` training shapes that validation is done on: the last ones."""
        return list(shapes[len(shapes) - count :])


@dataclass(frozen=True)
class MeshTree:
    """A folder of meshes and, perhaps, one of ground truth."""

    meshes: dict[str, Path]  # by name, in alphanumeric order
    truth: Path | None

    @classmethod
    def of(cls, meshes: Path, truth: Path | None) -> "MeshTree":
        """What is in the folders. Raises MeshError where two files would have the same name."""
        found: dict[str, Path] = {}
        for path in sorted(meshes.iterdir()):
            if not is_mesh_file(path) or path.name.startswith("."):
                continue
            name = mesh_name(path)
            if name in found:
                raise MeshError(f"{found[name]} and {path.name} would both be called {name}: remove or rename one")
            found[name] = path
        return cls(dict(sorted(found.items())), truth if truth is not None and truth.is_dir() else None)

    def files(self, name: str) -> ShapeFiles:
        """The files of a shape. Ground truth that does not exist is None."""
        return ShapeFiles(name, self.meshes[name], self._truth(f"{name}.vts"), self._truth(f"{name}.sym.vts"))

    def _truth(self, file: str) -> Path | None:
        return self.truth / file if self.truth is not None and (self.truth / file).is_file() else None


def find_tree(root: Path) -> MeshTree | None:
    """The meshes and the ground truth below ``root``, in whichever of the layouts; None where there is neither."""
    for meshes, truth in LAYOUTS:
        if (root / meshes).is_dir():
            return MeshTree.of(root / meshes, root / truth)
    split = split_trees(root)
    if not split:
        return None
    both = [name for name in split["train"].meshes if name in split["test"].meshes]
    if both:
        raise MeshError(f"{root}: {both[0]} lies in shapes_train and in shapes_test: remove one of the two")
    every = {**split["train"].meshes, **split["test"].meshes}
    return MeshTree(dict(sorted(every.items())), split["test"].truth)


def split_trees(root: Path) -> dict[str, MeshTree]:
    """The meshes of ``shapes_train`` and of ``shapes_test``, by split; nothing where neither folder is there."""
    if not any((root / folder).is_dir() for folder in SPLIT_FOLDERS.values()):
        return {}
    truth = root / "corres"
    return {
        split: MeshTree.of(root / folder, truth) if (root / folder).is_dir() else MeshTree({}, truth)
        for split, folder in SPLIT_FOLDERS.items()
    }


def require_tree(root: Path, *, wanted: str, source: str) -> MeshTree:
    """``find_tree`` for a published set; raises MissingDataError with what was ``wanted`` and its ``source``."""
    tree = find_tree(root)
    if tree is None:
        folders = " or ".join(f"{meshes}/ with {truth}/" for meshes, truth in LAYOUTS)
        folders += " or shapes_train/ and shapes_test/ with corres/"
        state = "exists, but has neither of them" if root.is_dir() else "does not exist"
        raise MissingDataError(f"looked in {root} (it {state}) for {folders}, holding {wanted}.\n{source}")
    return tree


def require_files(tree: MeshTree, names: Sequence[str], *, root: Path, source: str) -> list[ShapeFiles]:
    """The files of the named shapes.

    Raises MissingDataError listing the meshes and the ``.vts`` files that are not there.
    """
    lost = [f"{name}.off" for name in names if name not in tree.meshes]
    lost += [f"{name}.vts" for name in names if name in tree.meshes and tree.files(name).vts is None]
    if lost:
        raise MissingDataError(
            f"{root} lacks files of this split of {len(names)} shapes, {len(lost)} in all: {shorten(lost)}.\n{source}"
        )
    return [tree.files(name) for name in names]


def read_names(path: Path) -> list[str]:
    """A list of shape names, one a line; a mesh suffix may be given.

    Empty lines and lines that begin with # do not count.

    Raises MissingFileError and TextFileError, as ``read_lines``.
    """
    return [name for _, name in numbered_names(path)]


def numbered_names(path: Path) -> list[tuple[int, str]]:
    """As ``read_names``, with the line of each."""
    lines = (
        (number, line.strip().strip("\ufeff"))
        for number, line in enumerate(read_lines(path, what="list of names"), start=1)
    )
    names = [(number, line) for number, line in lines if line and not line.startswith("#")]
    return [
        (number, name.removesuffix(Path(name).name) + mesh_name(name) if is_mesh_file(name) else name)
        for number, name in names
    ]
