"""What a data set of photographs is: named pairs in subsets, as files, and the words that say which pairs they are."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import MissingDataError, shorten
from pullback.data.image.annotations import is_plain_name
from pullback.data.image.decoding import ImageError
from pullback.types import ImagePair

PCK_REFERENCES = ("image1", "image2", "both", "box1")


@dataclass(frozen=True)
class ImagePairFiles:
    """Where a pair comes from. Data sets add fields of their own."""

    name: str  # unique in its data set, and fit for a file name
    subset: str  # the part of the data set that it is averaged in


class ImageDataset(ABC):
    """Pairs of photographs. Subclasses say which files make a pair (``find``) and read them (``read``).

    Files are looked for when they are first needed, not in the constructor.
    """

    kind: ClassVar[str] = "image"
    # What may lie in a folder of research data, by what follows ``dataset=``: {"folder": its usual name} and options.
    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    name: str
    # whose longer side PCK is measured in: image1 | image2 | both | box1 (the object's box)
    pck_reference: str = "image1"
    crop: ClassVar[str] = "none"  # of both photographs, unless data.crop says otherwise: none | box | mask

    @property
    @abstractmethod
    def protocol(self) -> str:
        """A short line that says which pairs these are and what is asked of them: what a number must be read with."""

    @abstractmethod
    def find(self) -> Sequence[Any]:
        """The pairs (``ImagePairFiles``) in the order of the data set, without reading a photograph.

        Raises MissingDataError.
        """

    @abstractmethod
    def read(self, files: Any) -> ImagePair:
        """A pair from its files. Raises FileNotFoundError, and ImageError for what cannot be read."""

    @cached_property
    def pairs(self) -> list[Any]:
        """The pairs that ``find`` found.

        Raises ImageError when two have the same name, or one that no file can have.
        """
        found = list(self.find())
        unfit = [files.name for files in found if not is_plain_name(files.name)]
        if unfit:
            raise ImageError(f"{self.name}: {unfit[0][:80]!r} cannot be the name of a pair, whose results are files")
        names = [files.name for files in found]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ImageError(
                f"{self.name}: pairs must have names of their own, but {shorten(twice)} occur more than once"
            )
        return found

    @property
    def subsets(self) -> tuple[str, ...]:
        """The names of the subsets, in the order of their first pairs."""
        return tuple(dict.fromkeys(files.subset for files in self.pairs))

    def __len__(self) -> int:
        return len(self.pairs)

    def pair_name(self, i: int) -> str:
        return self.pairs[i].name

    def subset(self, i: int) -> str:
        """The subset of pair ``i``."""
        return self.pairs[i].subset

    def flow_places(self, i: int) -> Sequence[str]:
        """Where the flow 2 → 1 of pair ``i`` may lie in a folder that another program wrote."""
        return [f"{self.pair_name(i)}.flo"]

    def load(self, i: int) -> ImagePair:
        """Pair ``i``, read from its files."""
        return self.read(self.pairs[i])

    def check(self) -> str:
        """Looks whether the files are there, and says what was found. Raises MissingDataError."""
        counts = [sum(files.subset == subset for files in self.pairs) for subset in self.subsets]
        parts = [f"{count} {subset}" for count, subset in zip(counts, self.subsets, strict=True) if subset]
        return f"{self.name}: {len(self)} pairs" + (f" ({', '.join(parts)})" if parts else "")


def require_folder(folder: Path, *, wanted: str, source: str) -> Path:
    """The folder, or MissingDataError with what was ``wanted`` in it and the ``source`` to get it from."""
    if not folder.is_dir():
        raise MissingDataError(f"looked for the folder {folder} (it does not exist), holding {wanted}.\n{source}")
    return folder


def require_paths(paths: Sequence[Path], *, root: Path, source: str) -> None:
    """Raises MissingDataError naming the first few of the files that are not there."""
    lost = [path.relative_to(root).as_posix() for path in paths if not path.is_file()]
    if lost:
        raise MissingDataError(f"{root} lacks {len(lost)} of {len(paths)} files: {shorten(lost)}.\n{source}")


def chosen_categories(wanted: Sequence[str] | None, known: Iterable[str], *, dataset: str) -> list[str]:
    """The categories that are wanted, in this order; all of them in alphabetical order where nobody says.

    Raises ImageError for one that is not known.
    """
    unknown = sorted(set(wanted or ()) - set(known))
    if unknown:
        raise ImageError(f"dataset.{dataset}.categories: {shorten(unknown)} not among {', '.join(sorted(known))}")
    return list(wanted or sorted(known))


def keypoint_box(keypoints: Float[Tensor, "t 2"]) -> Float[Tensor, "4"]:
    """x0, y0, x1, y1 of the smallest box around the points."""
    return torch.cat([keypoints.amin(dim=0), keypoints.amax(dim=0)])


_WORDS = {
    "diningtable": "dining table",
    "pottedplant": "potted plant",
    "tvmonitor": "tv monitor",
    "winebottle": "wine bottle",
}


def in_words(category: str) -> str:
    """The name of a category as a prompt would say it: ``pottedplant`` → potted plant."""
    return _WORDS.get(category, category)


def known_reference(pck_reference: str, dataset: str) -> str:
    """``pck_reference``, or ValueError with the choices."""
    if pck_reference not in PCK_REFERENCES:
        raise ValueError(
            f"dataset.{dataset}.pck_reference={pck_reference} is unknown; use one of {', '.join(PCK_REFERENCES)}"
        )
    return pck_reference
