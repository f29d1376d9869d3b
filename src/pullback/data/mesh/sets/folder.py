"""Anybody's own meshes: a folder of mesh files, with or without ground truth."""

import hashlib
import logging
from pathlib import Path

from pullback.data.errors import MissingDataError, shorten
from pullback.data.mesh.dataset import MeshDataset, ShapeFiles, Split
from pullback.data.mesh.io import MESH_SUFFIXES
from pullback.data.mesh.lists import has_lists, listed_splits
from pullback.data.mesh.tree import MESHES, MeshTree, find_tree, place_where, split_trees
from pullback.ranges import at_least, within

log = logging.getLogger(__name__)


class Folder(MeshDataset):
    """The meshes in ``root``, in ``root/off`` (``root/shapes``), or in ``root/shapes_train`` and ``root/shapes_test``.

    Ground truth, if any, lies in ``root/corres`` or beside the meshes: ``NAME.vts`` for ``NAME.off``. Who belongs
    to which split say ``root/train.txt`` and ``root/test.txt`` (one name a line; with one of them, the other split is
    the rest), or the folders shapes_train and shapes_test; without any, ``test_share`` of the shapes are test shapes,
    two at least of four or more, chosen by a hash of ``seed`` and name.
    """

    advice_on_splits = (
        "Give another dataset.folder.test_share=, lists train.txt and test.txt in the folder, or more meshes"
    )

    def __init__(self, root: str | Path, *, name: str = "folder", test_share: float = 0.2, seed: int = 0):
        within(0, 1, test_share=test_share)  # train on all shapes, or test on all
        at_least(0, seed=seed)
        self.root = Path(root)
        self.name = name
        self.test_share = test_share
        self.seed = seed

    def shapes(self, split: Split) -> list[ShapeFiles]:
        tree = self._tree()
        names = self._split(list(tree.meshes))[split]
        files = [tree.files(name) for name in names]
        without = [shape.name for shape in files if shape.vts is None]
        if without and len(without) < len(files):
            log.warning(
                "%s: %d of %d shapes have no .vts file, so no scores: %s",
                self.root,
                len(without),
                len(files),
                shorten(without),
            )
        return files

    def _tree(self) -> MeshTree:
        tree = find_tree(self.root)
        if tree is None or not tree.meshes:
            state = "has no such file" if self.root.is_dir() else "does not exist"
            below = sorted(path.name for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []
            found = f". It has the folders {shorten(below)}" if below else ""
            raise MissingDataError(
                f"looked for meshes ({', '.join(MESH_SUFFIXES)}) in {self.root} ({state}) and in its folders "
                f"{', '.join(MESHES)}{found}. Give their folder: dataset.folder.root=DIR"
            )
        return tree

    def _split(self, names: list[str]) -> dict[str, list[str]]:
        place = place_where(self.root, has_lists)
        if has_lists(place):
            return listed_splits(place, names)
        if trees := split_trees(self.root):
            return {split: list(tree.meshes) for split, tree in trees.items()}
        ranked = sorted(names, key=lambda name: hashlib.sha256(f"{self.seed} {name}".encode()).digest())
        count = round(self.test_share * len(names))
        test = set(ranked[: 2 if count == 1 and len(names) > 3 else count])  # a pair needs two
        return {"train": [name for name in names if name not in test], "test": sorted(test)}
