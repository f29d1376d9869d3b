"""TOSCA: animals and people in many poses (Bronstein et al. 2008), remeshed to about 5,000 vertices."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from pullback.data.errors import ListError, MissingDataError, shorten
from pullback.data.mesh.dataset import FOR_TESTS_ONLY, ShapePairFiles, Split
from pullback.data.mesh.pairs import all_pairs, pair_indices
from pullback.data.mesh.published import PublishedSet
from pullback.data.mesh.tree import place_where, require_tree
from pullback.files import read_lines

# How many poses each has. The four gorillas of the original are not part of the remeshed release.
POSES = MappingProxyType(
    {"cat": 11, "centaur": 6, "david": 7, "dog": 9, "horse": 8, "michael": 20, "victoria": 12, "wolf": 3}
)
# The shapes across which TOSCA_nonIsometric corresponds, by their kinds in the release and in the original.
_COUNTS = MappingProxyType({"gorillas": 5, "men": 7, "women": 12})
_BEINGS = MappingProxyType(
    {"gorilla": "gorillas", "woman": "women", "victoria": "women"} | dict.fromkeys(("man", "david", "michael"), "men")
)
PAIRINGS = ("classes", "listed")
_LISTED = "test_pairs.txt"


class Tosca(PublishedSet):
    """76 shapes of eight animals and people, for tests only.

    Landmark i is the same point within a class, and so are pairs.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tosca": {"folder": "TOSCA_Isometric"}}
    name = "tosca"
    advice_on_splits = FOR_TESTS_ONLY
    wanted = "cat0.off … wolf2.off (76 files) and cat0.vts …"
    source = (
        "The remeshed TOSCA is the folder TOSCA_Isometric of github.com/llorz/SGA18_orientation_BCICP_dataset (Ren "
        "et al. 2018). Then give "
        "paths.data_dir= (or PULLBACK_DATA_DIR) the folder that holds TOSCA_Isometric, or dataset.tosca.root= "
        "TOSCA_Isometric itself."
    )

    def __init__(
        self,
        root: str | Path,
        *,
        pairing: str = "classes",
        protocol: str = "unordered",
        lists: str | Path | None = None,
        allow_missing: bool = False,
    ):
        """``pairing``: all pairs within a class, or those ``listed`` in test_pairs.txt (shape 1, shape 2 in each line).

        ``protocol``: of the test pairs within a class, as data.protocol. The others: see PublishedSet.
        """
        if pairing not in PAIRINGS:
            raise ValueError(f"dataset.tosca.pairing={pairing} is unknown; use one of {', '.join(PAIRINGS)}")
        pair_indices(0, protocol)  # raises where there is no such protocol
        super().__init__(root, lists=lists, allow_missing=allow_missing)
        self.pairing = pairing
        self.protocol = protocol

    @property
    def pairs_rule(self) -> str:
        rule = f"all pairs within a class, {self.protocol}" if self.pairing == "classes" else f"those of {_LISTED}"
        return ", ".join(filter(None, [rule, _of_all(self, sum(POSES.values())), super().pairs_rule]))

    def published_split(self, split: Split) -> list[str]:
        if split == "train":
            return []
        meshes = require_tree(self.root, wanted=self.wanted, source=self.source).meshes
        poses = {name: sorted((mesh for mesh in meshes if class_of(mesh) == name), key=_number) for name in POSES}
        short = [f"{len(found)} of {POSES[name]} {name}" for name, found in poses.items() if len(found) != POSES[name]]
        if short and not self.allow_missing:
            raise MissingDataError(
                f"{self.root} does not hold the published numbers of poses: {shorten(short, most=8)}. "
                f"dataset.tosca.allow_missing=true makes do with what is there.\n{self.source}"
            )
        return [mesh for found in poses.values() for mesh in found]

    def pairs(self, split: Split) -> list[ShapePairFiles]:
        shapes = {files.name: files for files in self.shapes(split)}
        if self.pairing == "listed":
            return [ShapePairFiles(shapes[a], shapes[b]) for a, b in self._listed() if a in shapes and b in shapes]
        protocol = "unordered" if split == "train" else self.protocol
        classes = [[files for name, files in shapes.items() if class_of(name) == kind] for kind in POSES]
        return [pair for poses in classes for pair in all_pairs(poses, protocol)]

    def correspond(self, shape1: str, shape2: str) -> bool:
        return class_of(shape1) == class_of(shape2)

    def _listed(self) -> list[tuple[str, str]]:
        path = place_where(self.root, lambda place: (place / _LISTED).is_file()) / _LISTED
        if not path.is_file():
            without = "dataset.tosca.pairing=classes does without"
            raise MissingDataError(f"looked for {path}, the pairs of the release; {without}.\n{self.source}")
        pairs = []
        for number, line in enumerate(read_lines(path, what="list of pairs"), start=1):
            words = re.split(r"[\s,]+", line.strip())
            if len(words) == 2:
                pairs.append((words[0].removesuffix(".off"), words[1].removesuffix(".off")))
            elif words != [""]:
                raise ListError(
                    f"{path}, line {number}: a line names two shapes, but {line.strip()[:40]!r} does not. Copy it again"
                )
        known = set(self.names())
        lost = sorted({name for pair in pairs for name in pair} - known)
        if lost and not self.allow_missing:
            raise MissingDataError(
                f"{path} names {len(lost)} shapes of which there is no mesh: {shorten(lost)}.\n{self.source}"
            )
        return pairs


class ToscaNonIsometric(PublishedSet):
    """5 gorillas, 7 men and 12 women whose landmarks correspond, for tests only: each gorilla with each person.

    Shape 1 is the gorilla, as in test_pairs.txt of the release (95 pairs), and errors are measured on it. The names of
    the original TOSCA (gorilla5, david1, michael3, victoria12) are understood, too.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tosca_nonisometric": {"folder": "TOSCA_nonIsometric"}}
    name = "tosca_nonisometric"
    advice_on_splits = FOR_TESTS_ONLY
    wanted = "8_gorilla_01.off …, 8_man_01.off …, 8_woman_12.off (24 files) and 8_gorilla_01.vts …"
    source = (
        "It is the folder TOSCA_nonIsometric of github.com/llorz/SGA18_orientation_BCICP_dataset (Ren et al. 2018). "
        "Then give paths.data_dir= (or PULLBACK_DATA_DIR) the folder that holds TOSCA_nonIsometric, or "
        "dataset.tosca_nonisometric.root= TOSCA_nonIsometric itself."
    )

    def __init__(
        self,
        root: str | Path,
        *,
        protocol: str = "unordered",
        lists: str | Path | None = None,
        allow_missing: bool = False,
    ):
        """``protocol``: ``ordered`` also asks the other way round, errors on the person. The others: PublishedSet."""
        pair_indices(0, protocol)  # raises where there is no such protocol
        super().__init__(root, lists=lists, allow_missing=allow_missing)
        self.protocol = protocol

    @property
    def pairs_rule(self) -> str:
        rule = f"each gorilla with each person, {self.protocol}"
        return ", ".join(filter(None, [rule, _of_all(self, sum(_COUNTS.values())), super().pairs_rule]))

    def published_split(self, split: Split) -> list[str]:
        if split == "train":
            return []
        tree = require_tree(self.root, wanted=self.wanted, source=self.source)
        found = {kind: [name for name in tree.meshes if _BEINGS.get(class_of(name)) == kind] for kind in _COUNTS}
        short = [
            f"{len(names)} of {_COUNTS[kind]} {kind}" for kind, names in found.items() if len(names) < _COUNTS[kind]
        ]
        if short and not self.allow_missing:
            raise MissingDataError(
                f"{self.root} does not hold the published shapes: {shorten(short)}. "
                f"dataset.tosca_nonisometric.allow_missing=true makes do with what is there.\n{self.source}"
            )
        return sorted(
            (name for names in found.values() for name in names), key=lambda name: (class_of(name), _number(name))
        )

    def pairs(self, split: Split) -> list[ShapePairFiles]:
        shapes = self.shapes(split)
        gorillas, people = (
            [files for files in shapes if (_BEINGS.get(class_of(files.name)) == "gorillas") == is_gorilla]
            for is_gorilla in (True, False)
        )
        there = [ShapePairFiles(gorilla, person) for gorilla in gorillas for person in people]
        return there if self.protocol == "unordered" or split == "train" else there + [pair.swapped() for pair in there]


def _of_all(dataset: PublishedSet, published: int) -> str:
    """How many of the published test shapes there are, where some are missing; lists name their own."""
    there = len(dataset.shapes("test"))
    return f"{there} of the {published} test shapes" if dataset.lists is None and there < published else ""


def class_of(name: str) -> str:
    """``cat`` for ``cat10``, ``gorilla`` for ``8_gorilla_02``."""
    return re.sub(r"^\d+_|_?\d*$", "", name)


def _number(name: str) -> int:
    return int((re.search(r"\d*$", name) or [""])[0] or 0)
