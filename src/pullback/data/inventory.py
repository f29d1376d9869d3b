"""What a folder of research data holds: which data sets are there, whole, incomplete or damaged."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from numpy import ndarray

from pullback.data.errors import shorten
from pullback.data.image.dataset import ImageDataset
from pullback.data.known_sets import ABSENT, COMPLETE, DAMAGED, EDITIONS, INCOMPLETE
from pullback.data.mesh.dataset import MeshDataset, ShapeFiles, ShapePairFiles, Split
from pullback.data.mesh.formats import count_vertices
from pullback.data.mesh.io import read_mesh, read_mesh_file, read_vts
from pullback.data.mesh.placing import estimated_misalignment, misalignment, misalignment_of_pairs
from pullback.data.mesh.selection import REFERENCES, take_evenly
from pullback.geometry.cleaning import clean_mesh

# Up to so many listed pairs, the ground truth of each is read: it may be a file of its own.
_MANY_PAIRS = 1000
SPLITS: tuple[Split, ...] = ("train", "test")
_SOME = 20  # shapes of a set that are looked at for how they lie


@dataclass(frozen=True)
class Known:
    """A data set that a folder of research data may hold."""

    kind: type[MeshDataset] | type[ImageDataset]
    folder: str  # its usual name, below the data folder
    options: Mapping[str, Any] = field(default_factory=dict)

    def at(self, root: Path, *, lenient: bool = False) -> Any:
        """The data set; ``lenient``: one that makes do with the files that are there, where it knows how."""
        takes = "allow_missing" in inspect.signature(self.kind).parameters
        make: Callable[..., Any] = self.kind
        return make(root, **{**self.options, **({"allow_missing": True} if lenient and takes else {})})


def _known(target: str, folder: str, options: Mapping[str, Any]) -> Known:
    module, name = target.rsplit(".", 1)
    return Known(getattr(import_module(module), name), folder, options)


# By what follows dataset= on the command line.
KNOWN: dict[str, Known] = {key: _known(*edition) for key, edition in EDITIONS.items()}


@dataclass(frozen=True)
class Finding:
    """What is known of one data set after a look at its files."""

    key: str
    root: Path
    state: str  # absent | complete | incomplete | damaged
    shapes: str = ""  # how many there are for training and for tests
    pairs: str = ""
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # what the program copes with
    source: str = ""  # where to get what is missing


def examine(key: str, folder: Path, *, deep: bool = False) -> Finding:
    """Looks at the data set called ``key`` below ``folder``.

    Meshes are counted by their headers and lines, ground truth is read and held against them. ``deep``: every mesh and
    every photograph is read, and the meshes are looked over for what has to be cleaned.
    """
    known = KNOWN[key]
    root = folder / known.folder
    lost, source, found = _look(known, root)
    if not root.is_dir():
        return Finding(key, root, ABSENT, source=source)
    if not lost and found.photographs is None and not any(found.shapes.values()):
        lost = ["none of its shapes was found"]
    problems = list(_problems(found, deep=deep))
    state = DAMAGED if problems else INCOMPLETE if lost else COMPLETE
    remarks = () if problems else (*_lying(key, found, deep=deep), *(_remarks(found) if deep else ()))
    return Finding(key, root, state, found.shape_counts(), found.pair_counts(), tuple(lost + problems), remarks, source)


@dataclass(frozen=True)
class _Found:
    """The files of a data set."""

    shapes: Mapping[str, Sequence[ShapeFiles]] = field(default_factory=dict)  # by split
    pairs: Mapping[str, Sequence[ShapePairFiles]] = field(default_factory=dict)  # by split, where they are listed
    photographs: ImageDataset | None = None
    vts_rows: int | None = None  # of every .vts file of the published set

    def shape_counts(self) -> str:
        return _sum({split: len(shapes) for split, shapes in self.shapes.items()})

    def pair_counts(self) -> str:
        if self.photographs is not None:
            return f"{len(self.photographs):,}"
        possible = {split: len(shapes) * (len(shapes) - 1) // 2 for split, shapes in self.shapes.items()}
        return _sum(possible | {split: len(pairs) for split, pairs in self.pairs.items()})


def _sum(counts: Mapping[str, int]) -> str:
    """``80 + 20`` for training and tests."""
    return " + ".join(f"{counts[split]:,}" for split in SPLITS) if counts else ""


def _look(known: Known, root: Path) -> tuple[list[str], str, _Found]:
    """What is said to be missing, where to get it, and what is there."""
    try:
        return [], "", _found(known.at(root))
    except FileNotFoundError as error:
        lost, _, source = str(error).partition("\n")
    except ValueError as error:
        return [str(error)], "", _Found()
    try:
        return [lost], source, _found(known.at(root, lenient=True))
    except (ValueError, FileNotFoundError):
        return [lost], source, _Found()


def _found(dataset: Any) -> _Found:
    if isinstance(dataset, ImageDataset):
        len(dataset)  # looks for the files
        return _Found(photographs=dataset)
    shapes: dict[str, Any] = {split: dataset.shapes(split) for split in SPLITS}
    pairs: dict[str, Any] = {split: dataset.pairs(split) for split in SPLITS if shapes[split]}
    listed = {split: found for split, found in pairs.items() if found is not None}
    return _Found(shapes, listed, vts_rows=getattr(dataset, "vts_rows", None))


def _problems(found: _Found, *, deep: bool) -> Iterator[str]:
    """What cannot be read, or does not fit together."""
    counts: dict[ShapeFiles, int] = {}
    rows: Counter[int] = Counter()
    for files in (files for shapes in found.shapes.values() for files in shapes):
        try:
            counts[files] = n = len(read_mesh(files.mesh)[0]) if deep else count_vertices(files.mesh)
            for path in (files.vts, files.mirrored_vts):
                if path is not None:
                    rows[len(read_vts(path, n_vertices=n))] += 1
        except (ValueError, OSError) as error:
            yield str(error)
    if found.vts_rows is not None and set(rows) - {found.vts_rows}:
        yield f"the .vts files have {', '.join(map(str, sorted(rows)))} rows, but the published ones {found.vts_rows}"
    for pairs in found.pairs.values():
        for pair in pairs if deep or len(pairs) <= _MANY_PAIRS else _covering(pairs):
            yield from _truth_problems(pair, counts)
    if found.photographs is not None and deep:
        yield from _image_problems(found.photographs)


def _covering(pairs: Sequence[ShapePairFiles]) -> Iterator[ShapePairFiles]:
    """Some of the pairs, in which every shape stands on each side on which it stands at all."""
    seen: set[tuple[int, ShapeFiles]] = set()
    for pair in pairs:
        sides = {(1, pair.shape1), (2, pair.shape2)}
        if sides - seen:
            yield pair
        seen |= sides


def _truth_problems(pair: ShapePairFiles, counts: Mapping[ShapeFiles, int]) -> Iterator[str]:
    if pair.truth is None or pair.shape1 not in counts or pair.shape2 not in counts:
        return
    try:
        n1, n2 = len(pair.truth.first(n1=counts[pair.shape1])), len(pair.truth.second(n2=counts[pair.shape2]))
    except (ValueError, OSError) as error:
        yield str(error)
        return
    if n1 != n2:
        yield f"{pair.name}: the ground truth has {n1} rows on the first shape and {n2} on the second"


def _image_problems(dataset: ImageDataset) -> Iterator[str]:
    for i in range(len(dataset)):
        try:
            dataset.load(i)
        except (ValueError, OSError) as error:
            yield str(error)


def _lying(key: str, found: _Found, *, deep: bool) -> Iterator[str]:
    """Told where the shapes do not lie alike.

    By the ground truth of some pairs where it belongs to pairs, or landmarks that all have in common; without any it
    is estimated, which takes a minute, if ``deep``.
    """
    shapes = take_evenly(list(dict.fromkeys(files for some in found.shapes.values() for files in some)), _SOME)
    pairs = [pair for some in found.pairs.values() for pair in some if pair.truth is not None]
    if len(shapes) < 2:
        return
    if pairs:
        lying = misalignment_of_pairs([_corresponding(pair) for pair in take_evenly(pairs, _SOME)])
    elif all(files.vts is not None for files in shapes):
        places = [_landmarks(files) for files in shapes]
        if len({len(each) for each in places}) > 1:
            return
        lying = misalignment(places)
    elif deep:
        lying = estimated_misalignment(
            [files.mesh for files in shapes], [files.mesh for files in take_evenly(shapes, REFERENCES)]
        )
    else:
        return
    if lying.is_large:
        yield (
            f"{lying}: for coordinates as input (backbone=diffusion_net_xyz) align it: dataset={key} data.align=own, "
            "and see what the run says is left"
        )


def _corresponding(pair: ShapePairFiles) -> tuple[ndarray, ndarray]:
    """Positions of some of the points whose correspondence the ground truth of a pair knows."""
    assert pair.truth is not None
    verts1, verts2 = read_mesh(pair.shape1.mesh)[0], read_mesh(pair.shape2.mesh)[0]
    ids1, ids2 = pair.truth.first(n1=len(verts1)), pair.truth.second(n2=len(verts2))
    some = slice(None, None, max(1, len(ids1) // 200))
    return verts1[ids1[some]], verts2[ids2[some]]


def _landmarks(files: ShapeFiles) -> ndarray:
    """Positions of some of the landmarks of a shape."""
    verts = read_mesh(files.mesh)[0]
    assert files.vts is not None
    ids = read_vts(files.vts, n_vertices=len(verts))
    return verts[ids[:: max(1, len(ids) // 200)]]


def _remarks(found: _Found) -> Iterator[str]:
    """What cleaning has to do, or cannot."""
    noted = {}
    shapes = dict.fromkeys(files for shapes in found.shapes.values() for files in shapes)
    for files in shapes:
        try:
            mesh = read_mesh_file(files.mesh)
            notes = mesh.notes + clean_mesh(mesh.verts, mesh.faces, name=files.name).notes
        except ValueError as error:
            notes = (str(error),)
        if notes:
            noted[files.name] = notes
    if noted:
        first = next(iter(noted))
        what = f"{len(noted)} of {len(shapes)} meshes are cleaned when they are loaded ({shorten(noted)})"
        yield f"{what}; {first}: {'; '.join(noted[first])}"
