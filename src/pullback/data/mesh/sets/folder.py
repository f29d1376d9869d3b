"""Anybody's own meshes: a folder of mesh files, with or without ground truth."""

import hashlib
import logging
from pathlib import Path

from pullback.data.errors import ListError, MissingDataError, shorten
from pullback.data.mesh.dataset import (
    LAYOUTS,
    MeshDataset,
    MeshTree,
    ShapeFiles,
    Split,
    find_tree,
    numbered_names,
    split_trees,
)
from pullback.data.mesh.io import MESH_SUFFIXES
from pullback.ranges import at_least, within

log = logging.getLogger(__name__)


class Folder(MeshDataset):
    """The meshes in ``root``, in ``root/off`` (``root/shapes``), or in ``root/shapes_train`` and ``root/shapes_test``.

    Ground truth, if any, lies in ``root/corres`` (``root/correspondences``): ``NAME.vts`` for ``NAME.off``. Who belongs
    to which split say ``root/train.txt`` and ``root/test.txt`` (one name a line; with one of them, the other split is
    the rest), or the folders shapes_train and shapes_test; without any, ``test_share`` of the shapes are test shapes,
    chosen by a hash of ``seed`` and name.
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
        tree = find_tree(self.root) if self.root.is_dir() else None
        if tree is None and self.root.is_dir():
            truth = next((self.root / folder for _, folder in LAYOUTS if (self.root / folder).is_dir()), None)
            tree = MeshTree.of(self.root, truth)
        if tree is None or not tree.meshes:
            state = "has no such file" if self.root.is_dir() else "does not exist"
            where = " or ".join(f"{self.root / meshes}" for meshes, _ in LAYOUTS)
            raise MissingDataError(
                f"looked for meshes ({', '.join(MESH_SUFFIXES)}) in {self.root} ({state}) and in {where}. "
                "Give their folder: dataset.folder.root=DIR"
            )
        return tree

    def _split(self, names: list[str]) -> dict[str, list[str]]:
        lists = {
            split: self._listed(split, names) for split in ("train", "test") if (self.root / f"{split}.txt").is_file()
        }
        if not lists and (trees := split_trees(self.root)):
            lists = {split: list(tree.meshes) for split, tree in trees.items()}
        if not lists:
            ranked = sorted(names, key=lambda name: hashlib.sha256(f"{self.seed} {name}".encode()).digest())
            lists["test"] = sorted(ranked[: round(self.test_share * len(names))])
        for split, other in (("train", "test"), ("test", "train")):
            if split not in lists:
                taken = set(lists[other])
                lists[split] = [name for name in names if name not in taken]
        both = sorted(set(lists["train"]) & set(lists["test"]))
        if both:
            raise ListError(
                f"{self.root}: {len(both)} names are in both train.txt and "
                f"test.txt ({shorten(both)}): strike them from one"
            )
        return lists

    def _listed(self, split: str, names: list[str]) -> list[str]:
        path = self.root / f"{split}.txt"
        known, listed = set(names), numbered_names(path)
        unknown = {name: line for line, name in listed if name not in known}
        if unknown:
            what = f"{path} (line {min(unknown.values())}) names {len(unknown)} shapes without a mesh file"
            raise MissingDataError(f"{what}: {shorten(sorted(unknown))}. Correct it")
        return [name for _, name in listed]
