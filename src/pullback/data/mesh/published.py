"""Published data sets of one folder of meshes, whose names and split are known."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from pullback.data.mesh.dataset import MeshDataset, ShapeFiles, Split
from pullback.data.mesh.lists import listed_splits
from pullback.data.mesh.tree import require_files, require_tree


class PublishedSet(MeshDataset):
    """Meshes with a ``.vts`` file each and a split that is part of the code; subclasses name the shapes.

    Landmark i is the same point on all shapes.
    """

    wanted: ClassVar[str]  # the files, in words, for messages
    source: ClassVar[str]  # where to get them, and which key then says where they are
    vts_rows: ClassVar[int | None] = None  # rows of every ``.vts`` file, where that is known

    def __init__(self, root: str | Path, *, lists: str | Path | None = None, allow_missing: bool = False):
        """Takes the published split, unless ``lists`` names another.

        ``lists``: a folder with train.txt and test.txt (one of them: the other split is the rest).
        ``allow_missing``: make do with the shapes that are there, instead of raising MissingDataError.
        """
        self.root = Path(root)
        self.lists = None if lists is None else Path(lists)
        self.allow_missing = allow_missing

    @abstractmethod
    def published_split(self, split: Split) -> list[str]:
        """The names of the shapes of a split, complete; none for the training split of a test set.

        May read lists in ``root``.
        """

    def shapes(self, split: Split) -> list[ShapeFiles]:
        names = self.split_names(split)
        if not names:
            return []
        tree = require_tree(self.root, wanted=self.wanted, source=self.source)
        if self.allow_missing:
            return [tree.files(name) for name in names if name in tree.meshes]
        advice = f"dataset.{self.name}.allow_missing=true makes do with what is there"
        return require_files(tree, names, root=self.root, source=f"{advice}. {self.source}")

    @property
    def pairs_rule(self) -> str:
        """What sets the test shapes apart from the published ones."""
        named, there = self.split_names("test"), self.shapes("test")
        without = sum(files.vts is None for files in there)
        rules = [f"the split of {self.lists.name}/"] if self.lists is not None else []
        rules += [f"{len(there)} of the {len(named)} test shapes"] if len(there) < len(named) else []
        rules += [f"{without} of them without ground truth"] if without else []
        return ", ".join(rules)

    def split_names(self, split: Split) -> list[str]:
        """The names of the shapes of a split: those of ``lists`` where given, else the published ones."""
        if self.lists is None:
            return self.published_split(split)
        return listed_splits(self.lists, self.names())[split]

    def names(self) -> list[str]:
        """The names of all shapes."""
        return [*self.published_split("train"), *self.published_split("test")]
