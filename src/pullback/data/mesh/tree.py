"""Folders of meshes with ground truth, as they are laid out in the copies that circulate."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pullback.data.errors import MissingDataError, shorten
from pullback.data.mesh.dataset import ShapeFiles
from pullback.data.mesh.io import is_mesh_file, mesh_name
from pullback.data.mesh.readers.source import inner_suffix
from pullback.geometry.cleaning import MeshError

log = logging.getLogger(__name__)

# The usual names, in any case: of folders of meshes (or they lie in the data set's folder itself), of ground truth
# (beside these or within them, or it lies beside each mesh), of training and test meshes (DUO-FM, ConsistentFMaps).
MESHES = ("off", "shapes", "vtx_5k", "meshes", "obj", "ply")
TRUTHS = ("corres", "correspondences")
SPLIT_FOLDERS = {"train": "shapes_train", "test": "shapes_test"}
_MAIN = ".off"  # of two files of one name, the one that the published sets and their ground truth are made of
_PACKING = ("__MACOSX",)  # what an archive leaves beside the data


@dataclass(frozen=True)
class MeshTree:
    """A folder of meshes and, perhaps, their ground truth."""

    meshes: dict[str, Path]  # by name, in alphanumeric order
    truths: Mapping[str, Path] = field(default_factory=dict)  # by file name, its ending in small letters

    @classmethod
    def of(cls, meshes: Path, *truths: Path) -> "MeshTree":
        """What is in the folders: of the ground truth, the first that holds any; else what lies beside the meshes.

        Of two files of one name the .off is taken, with a warning; raises MeshError where that does not decide.
        """
        found: dict[str, Path] = {}
        passed_over = []
        for path in sorted(meshes.iterdir()):
            if not is_mesh_file(path) or path.name.startswith(".") or not path.is_file():
                continue
            name = mesh_name(path)
            if name in found:
                found[name], other = _of_two(found[name], path, name)
                passed_over.append(other.name)
            else:
                found[name] = path
        if passed_over:
            log.warning("%s: there is an .off of each of them, which is taken: %s", meshes, shorten(passed_over))
        truth = next((files for folder in (*truths, meshes) if folder.is_dir() and (files := _by_name(folder))), {})
        return cls(dict(sorted(found.items())), truth)

    def files(self, name: str) -> ShapeFiles:
        """The files of a shape. Ground truth that does not exist is None."""
        vts, mirrored = (self.truths.get(f"{name}{ending}") for ending in (".vts", ".sym.vts"))
        return ShapeFiles(name, self.meshes[name], vts, mirrored)


def find_tree(root: Path) -> MeshTree | None:
    """The meshes and the ground truth below ``root``, in whichever layout; None where there is neither.

    An archive that was unpacked into a folder of its own name is looked into.
    """
    for place in _places(root):
        for meshes in _folders(place, MESHES):
            return MeshTree.of(meshes, *_folders(place, TRUTHS), *_folders(meshes, TRUTHS))
        if split := _split_trees(place):
            return _joined(place, split)
        if any(is_mesh_file(path) and path.is_file() for path in place.iterdir()):
            return MeshTree.of(place, *_folders(place, TRUTHS))
    return None


def split_trees(root: Path) -> dict[str, MeshTree]:
    """The meshes of ``shapes_train`` and of ``shapes_test``, by split; nothing where neither folder is there."""
    return next((split for place in _places(root) if (split := _split_trees(place))), {})


def place_where(root: Path, holds: Callable[[Path], bool]) -> Path:
    """The folder in which something lies: ``root``, or the one that an archive has put into it; else ``root``."""
    return next((place for place in _places(root) if holds(place)), root)


def require_tree(root: Path, *, wanted: str, source: str) -> MeshTree:
    """``find_tree`` for a published set; raises MissingDataError with what was ``wanted`` and its ``source``."""
    tree = find_tree(root)
    if tree is None:
        folders = "off/ (shapes/, vtx_5k/) with corres/ (correspondences/)"
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


def _of_two(first: Path, second: Path, name: str) -> tuple[Path, Path]:
    """The file to take, and the other."""
    main = [inner_suffix(path) == _MAIN for path in (first, second)]
    if sum(main) != 1:
        raise MeshError(f"{first} and {second.name} would both be called {name}: remove or rename one")
    return (first, second) if main[0] else (second, first)


def _by_name(folder: Path) -> dict[str, Path]:
    """The files of a folder that are no meshes, without hidden ones."""
    files = (path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and not is_mesh_file(path))
    return {path.stem + path.suffix.lower(): path for path in files}


def _places(root: Path) -> Iterator[Path]:
    """The folder, and the one that an archive has put into it."""
    if not root.is_dir():
        return
    yield root
    inside = [path for path in _subfolders(root) if path.name not in _PACKING]
    same = [path for path in inside if path.name.lower() == root.resolve().name.lower()]
    yield from same or (inside if len(inside) == 1 else [])


def _subfolders(root: Path) -> list[Path]:
    return [path for path in sorted(root.iterdir()) if not path.name.startswith(".") and path.is_dir()]


def _folders(place: Path, names: Sequence[str]) -> list[Path]:
    """The folders of these names, in any case, in the order of the names."""
    found = {path.name.lower(): path for path in reversed(_subfolders(place))}
    return [found[name] for name in names if name in found]


def _split_trees(place: Path) -> dict[str, MeshTree]:
    found = {split: _folders(place, [folder]) for split, folder in SPLIT_FOLDERS.items()}
    if not any(found.values()):
        return {}
    truths = _folders(place, TRUTHS)
    return {
        split: MeshTree.of(folders[0], *truths, *_folders(folders[0], TRUTHS)) if folders else MeshTree({})
        for split, folders in found.items()
    }


def _joined(place: Path, split: Mapping[str, MeshTree]) -> MeshTree:
    both = [name for name in split["train"].meshes if name in split["test"].meshes]
    if both:
        raise MeshError(f"{place}: {both[0]} lies in shapes_train and in shapes_test: remove one of the two")
    meshes = {**split["train"].meshes, **split["test"].meshes}
    return MeshTree(dict(sorted(meshes.items())), {**split["train"].truths, **split["test"].truths})
