"""PF-PASCAL: keypoints on pairs of photographs of 20 categories (Ham et al., Proposal Flow, 2017)."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import MissingDataError
from pullback.data.image.annotations import check_keypoints, inside, is_number
from pullback.data.image.dataset import (
    ImageDataset,
    ImagePairFiles,
    in_words,
    keypoint_box,
    known_reference,
    require_folder,
    require_paths,
)
from pullback.data.image.decoding import ImageError
from pullback.data.image.io import read_image
from pullback.types import Image, ImagePair

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_COLUMNS = ("source_image", "target_image", "class", "XA", "YA", "XB", "YB")
_SOURCE = (
    "Get PF-dataset-PASCAL.zip from www.di.ens.fr/willow/research/proposalflow, and test_pairs.csv (299 pairs), "
    "which most later projects "
    "hand on, such as github.com/ignacio-rocco/ncnet in datasets/pf-pascal/image_pairs. Put the csv file beside "
    "JPEGImages. Then give "
    "paths.data_dir= (or PULLBACK_DATA_DIR) the folder that holds PF-dataset-PASCAL, or dataset.pf_pascal.root= "
    "PF-dataset-PASCAL itself."
)


@dataclass(frozen=True)
class PascalFiles(ImagePairFiles):
    source: Path  # its keypoints are carried over: image 2
    target: Path  # onto this photograph: image 1
    source_points: tuple[tuple[float, float], ...]
    target_points: tuple[tuple[float, float], ...]


class PFPascal(ImageDataset):
    """The pairs of a list: keypoints of the source (image 2, XA and YA) lead to the target (image 1, XB and YB).

    ``box`` is the bounding box of a photograph's keypoints. Most papers measure PCK against the size of the target's
    photograph, some against this box (``pck_reference="box1"``). Coordinates are taken as they are in the list, as
    prior work does.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"pf_pascal": {"folder": "PF-dataset-PASCAL"}}
    name = "pf_pascal"

    def __init__(self, root: str | Path, *, listing: str = "test_pairs.csv", pck_reference: str = "image1"):
        """``listing``: a csv file in ``root`` with the columns source_image, target_image, class, XA, YA, XB, YB."""
        self.root = Path(root)
        self.listing = listing
        self.pck_reference = known_reference(pck_reference, self.name)

    @property
    def protocol(self) -> str:
        return f"{self.listing}, source to target"

    def find(self) -> list[PascalFiles]:
        folder = require_folder(self.root / "JPEGImages", wanted="the photographs of the pairs", source=_SOURCE)
        listing = self.root / self.listing
        if not listing.is_file():
            raise MissingDataError(f"looked for {listing}, the list of pairs.\n{_SOURCE}")
        pairs = _listed(listing, folder)
        paths = sorted({path for pair in pairs for path in (pair.source, pair.target)})
        require_paths(paths, root=self.root, source=f"They are named in {listing}. {_SOURCE}")
        order = {name: rank for rank, name in enumerate(CLASSES)}
        return sorted(pairs, key=lambda pair: order[pair.subset])

    def read(self, files: PascalFiles) -> ImagePair:
        keypoints1, keypoints2 = torch.tensor(files.target_points), torch.tensor(files.source_points)
        where = f"{self.root / self.listing}: {files.name}"
        image1 = _photo(files.target, files.subset, keypoints1, f"{where}: XB, YB")
        image2 = _photo(files.source, files.subset, keypoints2, f"{where}: XA, YA")
        return ImagePair(files.name, image1, image2, files.subset, keypoints1=keypoints1, keypoints2=keypoints2)


def _photo(path: Path, category: str, keypoints: Float[Tensor, "t 2"], where: str) -> Image:
    photo = read_image(path, name=f"{category}-{path.stem}", category=in_words(category), box=keypoint_box(keypoints))
    check_keypoints(keypoints, photo.size, where)
    return photo


def _listed(listing: Path, folder: Path) -> list[PascalFiles]:
    """The pairs of a list, in its order. Raises ImageError with the line."""
    try:
        with open(listing, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise ImageError(
                    f"{listing}: lacks the columns {', '.join(missing)}. Is it a list of pairs of PF-PASCAL?"
                )
            pairs = [_pair(row, folder, f"{listing}, line {rows.line_num}") for row in rows]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ImageError(f"{listing}: not a csv file ({error}). Copy it again") from None
    if not pairs:
        raise ImageError(f"{listing}: has no line below its heading. Copy it again")
    return pairs


def _pair(row: dict[str, str], folder: Path, where: str) -> PascalFiles:
    """A row of the list. Images are named with a path from wherever their writer stood: only the file name counts."""
    try:
        number = int(float(row["class"]))
        source_points, target_points = (
            tuple(zip(*(_numbers(row[f"{axis}{side}"]) for axis in "XY"), strict=True)) for side in "AB"
        )
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ImageError(f"{where}: cannot be read ({error})") from None
    if not 1 <= number <= len(CLASSES) or len(source_points) != len(target_points) or not source_points:
        raise ImageError(
            f"{where}: class {number} with {len(source_points)} and {len(target_points)} keypoints makes no pair"
        )
    source, target = (
        inside(folder, _file_name(row[f"{side}_image"]), f"{where}: {side}_image") for side in ("source", "target")
    )
    name = CLASSES[number - 1]
    return PascalFiles(f"{name}-{source.stem}-{target.stem}", name, source, target, source_points, target_points)


def _numbers(text: str) -> list[float]:
    numbers = [float(word) for word in text.split(";") if word.strip()]
    wrong = [number for number in numbers if not is_number(number)]
    if wrong:
        raise ValueError(f"{wrong[0]} is no place on a photograph")
    return numbers


def _file_name(written: str | None) -> str:
    return (written or "").replace("\\", "/").rpartition("/")[2]
