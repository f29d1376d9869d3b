"""What a data set is: named shapes in a training and a test split, as files."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pullback.data.io import MESH_SUFFIXES

Split = Literal["train", "test"]

# The folder names in circulation: (meshes, ground truth).
LAYOUTS = (("off", "corres"), ("shapes", "correspondences"))


class MissingDataError(FileNotFoundError):
    """A data set, or a part of it, is not where it was looked for. The message says what was wanted and where to get it."""


@dataclass(frozen=True)
class ShapeFiles:
    """The files of one shape."""

    name: str
    mesh: Path
    vts: Path | None = None  # landmarks: line i is the vertex (1-based) of landmark i
    mirrored_vts: Path | None = None  # the same landmarks with left and right exchanged


class MeshDataset(ABC):
    """Shapes that correspond to each other. Subclasses say which files belong to which split."""

    name: str
    val_shapes: int | None = None  # how many of the last training shapes make a sensible validation set; None: a tenth

    advice_on_splits = "Is the data set complete?"

    @abstractmethod
    def shapes(self, split: Split) -> list[ShapeFiles]:
        """The shapes of a split in the order of the data set. Raises MissingDataError."""


@dataclass(frozen=True)
class MeshTree:
    """A folder of meshes and, perhaps, one of ground truth."""

    meshes: dict[str, Path]  # by name, in alphanumeric order
    truth: Path | None

    @classmethod
    def of(cls, meshes: Path, truth: Path | None) -> "MeshTree":
        """What is in the folders. Raises ValueError where two files would have the same name."""
        found: dict[str, Path] = {}
        for path in sorted(meshes.iterdir()):
            if path.suffix.lower() not in MESH_SUFFIXES or path.name.startswith("."):
                continue
            if path.stem in found:
                raise ValueError(f"{found[path.stem]} and {path.name} would both be called {path.stem}: remove or rename one")
            found[path.stem] = path
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
    return None


def require_tree(root: Path, *, wanted: str, source: str) -> MeshTree:
    """``find_tree`` for a published data set: raises MissingDataError with what was ``wanted`` and the ``source`` to get it from."""
    tree = find_tree(root)
    if tree is None:
        folders = " or ".join(f"{meshes}/ with {truth}/" for meshes, truth in LAYOUTS)
        state = "exists, but has neither of them" if root.is_dir() else "does not exist"
        raise MissingDataError(f"looked in {root} (it {state}) for {folders}, holding {wanted}.\n{source}")
    return tree


def require_files(tree: MeshTree, names: Sequence[str], *, root: Path, source: str) -> list[ShapeFiles]:
    """The files of the named shapes. Raises MissingDataError listing the meshes and the ``.vts`` files that are not there."""
    lost = [f"{name}.off" for name in names if name not in tree.meshes]
    lost += [f"{name}.vts" for name in names if name in tree.meshes and tree.files(name).vts is None]
    if lost:
        raise MissingDataError(f"{root} lacks files of this split of {len(names)} shapes, {len(lost)} in all: {shortened(lost)}.\n{source}")
    return [tree.files(name) for name in names]


def read_names(path: Path) -> list[str]:
    """A list of shape names, one a line; a mesh suffix may be given. Empty lines and lines that begin with # do not count."""
    lines = (line.strip() for line in path.read_text().splitlines())
    names = [line for line in lines if line and not line.startswith("#")]
    return [name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in MESH_SUFFIXES else name for name in names]


def shortened(items: Iterable[str], most: int = 5) -> str:
    """The first few of the items, and how many more there are."""
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
