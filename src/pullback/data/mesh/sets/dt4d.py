"""DT4D-H: remeshed characters of DeformingThings4D, with correspondences within and across classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from pullback.data.errors import MissingDataError, shorten
from pullback.data.mesh.dataset import MeshDataset, ShapeFiles, ShapePairFiles, Split
from pullback.data.mesh.io import read_vts
from pullback.data.mesh.lists import check_apart, read_names
from pullback.data.mesh.pairs import pair_indices
from pullback.data.mesh.tree import MeshTree, place_where
from pullback.geometry.cleaning import MeshError

PAIRINGS = ("intra", "inter")
CLASSES = ("crypto", "drake", "mannequin", "mousey", "ninja", "ortiz", "prisoner", "skeletonzombie", "zlorp")
_EXCLUDED = "pumpkinhulk"  # every published code leaves the class out
_CROSS = "cross_category_corres"
_SOURCE = (
    "DT4D-H is derived from DeformingThings4D, for research use only (its terms of use must be signed). The "
    "remeshed shapes are published "
    "as github.com/llorz/3DV22_DeformingThings4DMatching_dataset and, with train.txt and test.txt (class/name a "
    "line), as DT4D_r with the "
    "data of github.com/dongliangcao/Unsupervised-Learning-of-Robust-Spectral-Shape-Matching. Then give "
    "paths.data_dir= (or "
    "PULLBACK_DATA_DIR) the folder that holds DT4D_r, or dataset.dt4d_intra.root= (dataset.dt4d_inter.root=) "
    "DT4D_r itself, and .lists= "
    "the folder of the lists if they lie elsewhere."
)


@dataclass(frozen=True)
class TemplateRows:
    """The vertices of a shape for the points of a template."""

    vts: Path | None  # row t: the vertex of point t of the class's template; None: the shape is the template itself
    cross: Path | None = None  # row t: the row of ``vts`` for point t of the template of another class

    def read(self, n: int) -> Int[ndarray, " t"]:
        """Vertices of the shape's file, which has ``n``. Raises MeshError, FileNotFoundError."""
        ids = np.arange(n) if self.vts is None else read_vts(self.vts, n_vertices=n)
        if self.cross is None:
            return ids
        try:
            return ids[read_vts(self.cross, n_vertices=len(ids))]
        except MeshError as error:
            raise MeshError(
                f"{self.cross} names rows of {self.vts or 'the template'}, which has {len(ids)}: {error}"
            ) from None


@dataclass(frozen=True)
class TemplateTruth:
    """Ground truth by way of the template of the class of shape 1."""

    rows1: TemplateRows
    rows2: TemplateRows

    def first(self, *, n1: int) -> Int[ndarray, " t"]:
        return self.rows1.read(n1)

    def second(self, *, n2: int) -> Int[ndarray, " t"]:
        return self.rows2.read(n2)


@dataclass(frozen=True)
class _Folders:
    """Where a release keeps its files: ``{}`` stands for the class."""

    meshes: str
    truth: str
    cross: str

    def are_in(self, place: Path) -> bool:
        return any((place / self.meshes.format(name)).is_dir() for name in CLASSES)


_LAYOUTS = (
    *(
        _Folders(f"{meshes}/{{}}", f"{truth}/{{}}", f"{truth}/{_CROSS}")
        for meshes, truth in (("off", "corres"), ("shapes", "correspondences"))
    ),
    _Folders("{}", "{}/corres", _CROSS),  # DeformingThings4DMatching
)


class Dt4d(MeshDataset):
    """Nine classes of characters in many poses, about 8,000 vertices each; shapes are called class/name.

    ``intra``: the pairs within each class. ``inter``: for every file A_B.vts of ``cross_category_corres``, each shape
    of class A as shape 1 with each shape of class B as shape 2, errors on A. How many those are depends on which files
    a copy has: crypto_B for five classes B and, in some copies, also B_crypto. The split is that of train.txt and
    test.txt; both leave pumpkinhulk out.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "dt4d_intra": {"folder": "DT4D_r", "pairing": "intra"},
        "dt4d_inter": {"folder": "DT4D_r", "pairing": "inter"},
    }
    advice_on_splits = "Are its train.txt and test.txt complete?"

    def __init__(
        self,
        root: str | Path,
        *,
        pairing: str = "intra",
        protocol: str = "unordered",
        lists: str | Path | None = None,
        allow_missing: bool = False,
    ):
        """The pairs of one kind, ``intra`` or ``inter``.

        ``protocol``: of the test pairs within a class, as data.protocol. ``lists``: the folder with train.txt and
        test.txt, by default ``root``. ``allow_missing``: make do with the shapes that are there, instead of raising
        MissingDataError.
        """
        if pairing not in PAIRINGS:
            raise ValueError(
                f"pairing={pairing} is unknown; use one of {', '.join(PAIRINGS)}, as dataset=dt4d_intra or "
                "dataset=dt4d_inter"
            )
        pair_indices(0, protocol)  # raises where there is no such protocol
        self.root = Path(root)
        self.name = f"dt4d_{pairing}"
        self.pairing = pairing
        self.protocol = protocol
        self.lists = None if lists is None else Path(lists)
        self.allow_missing = allow_missing

    @property
    def pairs_rule(self) -> str:
        """For pairs across classes, with the files that there are: copies of the data set differ."""
        there, named = len(self.shapes("test")), len(self._wanted("test"))
        short = f", {there} of the {named} test shapes" if there < named else ""
        if self.pairing == "intra":
            return f"all pairs within a class, {self.protocol}, without {_EXCLUDED}{short}"
        files = ", ".join(f"{a}_{b}" for a, b in self._cross_files())
        return f"A_B.vts as all shapes of A with all of B, errors on A, without {_EXCLUDED} ({files}){short}"

    def shapes(self, split: Split) -> list[ShapeFiles]:
        present = self._present()
        names = self._wanted(split)
        lost = [name for name in names if name not in present]
        if lost and not self.allow_missing:
            raise MissingDataError(
                f"{self.root} lacks {len(lost)} of the {len(names)} {split} shapes: {shorten(lost)}.\n{_SOURCE}"
            )
        return [present[name] for name in names if name in present]

    def pairs(self, split: Split) -> list[ShapePairFiles]:
        by_class: dict[str, list[ShapeFiles]] = {}
        for files in self.shapes(split):
            by_class.setdefault(_class_of(files.name), []).append(files)
        pairs = list(self._within(by_class, split) if self.pairing == "intra" else self._across(by_class))
        if not pairs:
            wanted = (
                "two shapes of one class"
                if self.pairing == "intra"
                else f"shapes of two classes A and B with a file {_CROSS}/A_B.vts"
            )
            raise MissingDataError(f"{self.root}: the {split} split has no {wanted}.\n{_SOURCE}")
        return pairs

    def correspond(self, shape1: str, shape2: str) -> bool:
        """Within a class or, of pairs across classes, those that a file joins."""
        one, other = _class_of(shape1), _class_of(shape2)
        if self.pairing == "intra":
            return one == other
        return not {(one, other), (other, one)}.isdisjoint(self._joined_classes)

    @cached_property
    def _joined_classes(self) -> frozenset[tuple[str, str]]:
        return frozenset(self._cross_files())

    def held_out(self, shapes: Sequence[ShapeFiles], count: int) -> list[ShapeFiles]:
        """The last shapes of each class, as evenly as the classes allow: a pair needs two."""
        ranked: list[tuple[int, int]] = []  # rank from the end of its class, place
        for name in {_class_of(files.name) for files in shapes}:
            places = [i for i, files in enumerate(shapes) if _class_of(files.name) == name]
            ranked += [(rank, place) for rank, place in enumerate(reversed(places))]
        return [shapes[place] for place in sorted(place for _, place in sorted(ranked)[:count])]

    def _within(self, by_class: dict[str, list[ShapeFiles]], split: Split) -> Iterator[ShapePairFiles]:
        protocol = self.protocol if split == "test" else "unordered"
        for shapes in by_class.values():
            for i, j in pair_indices(len(shapes), protocol):
                yield ShapePairFiles(
                    shapes[i], shapes[j], TemplateTruth(TemplateRows(shapes[i].vts), TemplateRows(shapes[j].vts))
                )

    def _across(self, by_class: dict[str, list[ShapeFiles]]) -> Iterator[ShapePairFiles]:
        for (a, b), cross in self._cross_files().items():
            for one in by_class.get(a, ()):
                for other in by_class.get(b, ()):
                    yield ShapePairFiles(
                        one, other, TemplateTruth(TemplateRows(one.vts), TemplateRows(other.vts, cross))
                    )

    def _cross_files(self) -> dict[tuple[str, str], Path]:
        place, folders = self._folders()
        folder = place / folders.cross
        paths = {(a, b): folder / f"{a}_{b}.vts" for a in CLASSES for b in CLASSES}
        return {classes: path for classes, path in paths.items() if path.is_file()}

    def _listed(self, split: Split) -> list[str]:
        folder = self._folders()[0] if self.lists is None else self.lists
        paths = {split: folder / f"{split}.txt" for split in ("train", "test")}
        if not paths[split].is_file():
            raise MissingDataError(
                f"looked for {paths[split]}, the {split} shapes as class/name a line. Where your copy has no lists, "
                f"write it: crypto/Pose000, one a line.\n{_SOURCE}"
            )
        lists = {
            name: [_class_and_name(each) for each in read_names(path)] for name, path in paths.items() if path.is_file()
        }
        check_apart(folder, lists)
        return lists[split]

    def _wanted(self, split: Split) -> list[str]:
        return [name for name in self._listed(split) if _class_of(name) != _EXCLUDED]

    def _present(self) -> dict[str, ShapeFiles]:
        """The shapes that are there.

        The first of each class may lack a ``.vts`` file: it is the template that the others point to.
        """
        place, folders = self._folders()
        found: dict[str, ShapeFiles] = {}
        for name in CLASSES:
            meshes = place / folders.meshes.format(name)
            if not meshes.is_dir():
                continue
            truth = place / folders.truth.format(name)
            tree = MeshTree.of(meshes, truth)
            shapes = [tree.files(stem) for stem in tree.meshes]
            without = [files.name for files in shapes[1:] if files.vts is None]
            if without and not self.allow_missing:
                raise MissingDataError(
                    f"{meshes}: {len(without)} shapes have no .vts file in {truth} ({shorten(without)}), but "
                    "only the first "
                    f"of a class, its template, can do without.\n{_SOURCE}"
                )
            found |= {
                f"{name}/{files.name}": ShapeFiles(f"{name}/{files.name}", files.mesh, files.vts)
                for files in shapes
                if files.name not in without
            }
        return found

    def _folders(self) -> tuple[Path, _Folders]:
        """The folder in which a release lies, and how."""
        for folders in _LAYOUTS:
            place = place_where(self.root, folders.are_in)
            if folders.are_in(place):
                return place, folders
        state = "exists, but has neither of them" if self.root.is_dir() else "does not exist"
        raise MissingDataError(
            f"looked in {self.root} (it {state}) for off/crypto/ … with corres/crypto/ …, or crypto/ … .\n{_SOURCE}"
        )


def _class_and_name(written: str) -> str:
    """``crypto/Pose000`` for a line of a list that may put further folders in front of it."""
    return "/".join(written.replace("\\", "/").split("/")[-2:])


def _class_of(name: str) -> str:
    return name.split("/")[0]
