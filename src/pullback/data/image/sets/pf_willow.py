"""PF-WILLOW: ten keypoints on each of 100 photographs of ten classes (Ham et al., Proposal Flow, 2016)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import MissingDataError, shorten
from pullback.data.image.annotations import check_keypoints, check_same_count
from pullback.data.image.dataset import (
    ImageDataset,
    ImagePairFiles,
    in_words,
    keypoint_box,
    known_reference,
    require_folder,
)
from pullback.data.image.decoding import ImageError
from pullback.data.image.io import read_image
from pullback.data.image.truth import read_mat_keypoints
from pullback.types import Image, ImagePair

CLASSES = (
    *("car(G)", "car(M)", "car(S)", "duck(S)", "motorbike(G)", "motorbike(M)", "motorbike(S)"),
    *("winebottle(M)", "winebottle(wC)", "winebottle(woC)"),
)
KINDS = ("car", "duck", "motorbike", "winebottle")  # of object
_PHOTOS = 10  # of each class
_SOURCE = (
    "Get PF-dataset.zip from www.di.ens.fr/willow/research/proposalflow and call its folder PF-dataset-WILLOW. "
    "Then give paths.data_dir= "
    "(or PULLBACK_DATA_DIR) the folder that holds it, or dataset.pf_willow.root= PF-dataset-WILLOW itself."
)


@dataclass(frozen=True)
class WillowFiles(ImagePairFiles):
    source: Path  # its keypoints are carried over: image 2
    target: Path  # onto this photograph: image 1


class PFWillow(ImageDataset):
    """All 900 ordered pairs of two photographs of a class: source (image 2), target (image 1).

    ``box`` is the bounding box of a photograph's keypoints; that of the target is the scale of PCK. Averages are over
    the 90 pairs of a class, then over classes.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"pf_willow": {"folder": "PF-dataset-WILLOW"}}
    name = "pf_willow"

    def __init__(
        self,
        root: str | Path,
        *,
        categories: Sequence[str] | None = None,
        pck_reference: str = "box1",
        allow_missing: bool = False,
    ):
        """``allow_missing``: make do with the photographs that are there, instead of raising MissingDataError.

        ``categories``: only the classes of these kinds of object (car, duck, motorbike, winebottle); null: all.
        """
        self.root = Path(root)
        self.categories = None if categories is None else list(categories)
        unknown = sorted(set(self.categories or ()) - set(KINDS))
        if unknown or self.categories == []:
            named = shorten(unknown) or "an empty list"
            raise ValueError(f"dataset.pf_willow.categories: {named} is not among {', '.join(KINDS)}")
        self.pck_reference = known_reference(pck_reference, self.name)
        self.allow_missing = allow_missing

    @property
    def protocol(self) -> str:
        some = "" if self.categories is None else f" of {', '.join(self.categories)}"
        return f"all ordered pairs of a class{some}, source to target, box of the target's keypoints"

    def find(self) -> list[WillowFiles]:
        require_folder(self.root, wanted=f"{CLASSES[0]} … {CLASSES[-1]} with NAME.png and NAME.mat", source=_SOURCE)
        wanted = [name for name in CLASSES if self.categories is None or _kind(name) in self.categories]
        found = {name: self._photographs(name) for name in wanted}
        short = [f"{name} ({len(paths)} of {_PHOTOS})" for name, paths in found.items() if len(paths) != _PHOTOS]
        if not any(found.values()) or (short and not self.allow_missing):
            what = f"{_PHOTOS} photographs (NAME.png with NAME.mat) of each class"
            raise MissingDataError(f"looked in {self.root} for {what}; incomplete are {', '.join(short)}.\n{_SOURCE}")
        return [
            WillowFiles(f"{name}-{source.stem}-{target.stem}", name, source, target)
            for name, paths in found.items()
            for source in paths
            for target in paths
            if source != target
        ]

    def read(self, files: WillowFiles) -> ImagePair:
        image1, keypoints1 = _read(files.target)
        image2, keypoints2 = _read(files.source)
        check_same_count(
            len(keypoints2), len(keypoints1), f"{files.source.with_suffix('.mat')} with {files.target.stem}.mat"
        )
        return ImagePair(files.name, image1, image2, files.subset, keypoints1=keypoints1, keypoints2=keypoints2)

    def _photographs(self, name: str) -> list[Path]:
        folder = self.root / name
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".png") if folder.is_dir() else []
        return [path for path in paths if path.with_suffix(".mat").is_file()]


def _read(path: Path) -> tuple[Image, Float[Tensor, "t 2"]]:
    keypoints = read_mat_keypoints(path.with_suffix(".mat"))
    category = in_words(_kind(path.parent.name))
    if not len(keypoints):
        raise ImageError(f"{path.with_suffix('.mat')}: has no keypoints, so there is nothing to measure. Copy it again")
    photo = read_image(path, name=f"{path.parent.name}-{path.stem}", category=category, box=keypoint_box(keypoints))
    check_keypoints(keypoints, photo.size, f"{path.with_suffix('.mat')}: pts_coord")
    return photo, keypoints


def _kind(name: str) -> str:
    """The kind of object of a class: ``car(G)`` → car."""
    return name.split("(")[0]
