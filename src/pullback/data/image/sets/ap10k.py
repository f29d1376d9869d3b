"""AP-10K as a benchmark of correspondence: keypoints of animals (Yu et al. 2021; pairs of Zhang et al. 2024)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import MissingDataError
from pullback.data.image.annotations import box_of, check_box, check_keypoints, inside, is_number, require_keys
from pullback.data.image.dataset import (
    ImageDataset,
    ImagePairFiles,
    chosen_categories,
    known_reference,
    require_folder,
)
from pullback.data.image.decoding import ImageError
from pullback.data.image.io import read_image
from pullback.data.image.sets.spair71k import category_in, drawn, named
from pullback.files import read_json
from pullback.ranges import at_least
from pullback.types import Image, ImagePair

SETTINGS = {"intra_species": "", "cross_species": "_cross_species", "cross_family": "_cross_family"}
_SEED = 42  # of the sample in prior work
_KEYPOINTS = 17
_SOURCE = (
    "Get AP-10K from github.com/AlexTheBad/AP-10K and make its pairs with prepare_ap10k.ipynb of "
    "github.com/Junyi42/GeoAware-SC. Then give paths.data_dir= (or PULLBACK_DATA_DIR) the folder that holds ap-10k, or "
    "dataset.ap10k.root= ap-10k itself."
)


@dataclass(frozen=True)
class AnimalFiles(ImagePairFiles):
    annotation: Path


class AP10K(ImageDataset):
    """Pairs of a split: two animals of a species, of two species of a family, or of two families (``setting``).

    The keypoints of the source (image 2) that both photographs show are carried over to the target (image 1), whose box
    is the scale of PCK. ``sample`` pairs of each category are drawn as in prior work (see `SPair71k`); null takes all.
    A category is a species, with ``cross_species`` a family, with ``cross_family`` all animals.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ap10k": {"folder": "ap-10k"}}
    name = "ap10k"

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "test",
        setting: str = "intra_species",
        sample: int | None = None,
        categories: Sequence[str] | None = None,
        pck_reference: str = "box1",
    ):
        """``categories``: only these, in this order; null: all that there are, in alphabetical order."""
        if split not in ("trn", "val", "test"):
            raise ValueError(f"dataset.ap10k.split={split} is unknown; use trn, val or test")
        if setting not in SETTINGS:
            raise ValueError(f"dataset.ap10k.setting={setting} is unknown; use {', '.join(SETTINGS)}")
        at_least(1, sample=sample)
        self.root, self.split, self.setting, self.sample = Path(root), split, setting, sample
        self.pck_reference = known_reference(pck_reference, self.name)
        self.categories = None if categories is None else list(categories)

    @property
    def protocol(self) -> str:
        some = "" if self.categories is None else f", {len(self.categories)} categories"
        few = "all pairs" if self.sample is None else f"{self.sample} pairs a category (seed {_SEED}, with replacement)"
        return f"{self.split}, {self.setting.replace('_', ' ')}, {few}{some}, source to target"

    def find(self) -> list[AnimalFiles]:
        folder = self.root / "PairAnnotation" / f"{self.split}{SETTINGS[self.setting]}"
        require_folder(folder, wanted="SOURCE-TARGET:CATEGORY.json files", source=_SOURCE)
        for below in ("ImageAnnotation", "JPEGImages"):
            require_folder(self.root / below, wanted="a folder FAMILY/SPECIES for each species", source=_SOURCE)
        by_category: dict[str, list[Path]] = {}
        for path in sorted(folder.glob("*.json")):
            by_category.setdefault(category_in(path), []).append(path)
        if not by_category:
            raise MissingDataError(f"looked in {folder} for SOURCE-TARGET:CATEGORY.json files; it has none.\n{_SOURCE}")
        return [
            AnimalFiles(name, category, path)
            for category in chosen_categories(self.categories, by_category, dataset=self.name)
            for name, path in named(drawn(by_category[category], self.sample, seed=_SEED))
        ]

    def read(self, files: AnimalFiles) -> ImagePair:
        wanted = ("src_json_path", "trg_json_path")
        known = require_keys(read_json(files.annotation), wanted, str(files.annotation), "an annotation of a pair")
        (image1, points1, seen1), (image2, points2, seen2) = (
            self._animal(known[f"{side}_json_path"], f"{files.annotation}: {side}_json_path") for side in ("trg", "src")
        )
        both = seen1 & seen2
        if not both.any():
            raise ImageError(f"{files.annotation}: no keypoint is on both photographs. Remove the pair")
        return ImagePair(files.name, image1, image2, files.subset, keypoints1=points1[both], keypoints2=points2[both])

    def _animal(self, written: Any, where: str) -> tuple[Image, Float[Tensor, "17 2"], Tensor]:
        """A photograph, the places of its keypoints, and which of them are annotated (visible or hidden).

        A pair names the annotation with a path from wherever its writer stood: what follows ImageAnnotation counts.
        """
        inner = written.replace("\\", "/").rpartition("ImageAnnotation/")[2] if isinstance(written, str) else written
        path = inside(self.root / "ImageAnnotation", inner, where)
        if not path.is_file():
            raise MissingDataError(f"looked for {path}, which {where} names.\n{_SOURCE}")
        known = require_keys(read_json(path), ("bbox", "keypoints"), str(path), "an annotation of a photograph")
        points, seen = _keypoints(known["keypoints"], f"{path}: keypoints")
        relative = PurePosixPath(path.relative_to(self.root / "ImageAnnotation").as_posix())
        photo = (self.root / "JPEGImages" / relative).with_suffix(".jpg")
        if not photo.is_file():
            raise MissingDataError(f"looked for the photograph {photo} of {path}.\n{_SOURCE}")
        box = box_of(_corners(known["bbox"]), f"{path}: bbox")
        species = relative.parent.name
        image = read_image(photo, name=f"{species}-{photo.stem}", category=species, box=box)
        check_box(box, image.size, f"{path}: bbox")
        check_keypoints(points[seen], image.size, f"{path}: keypoints")
        return image, points, seen


def _corners(written: Any) -> Any:
    """x0, y0, x1, y1 of a box that COCO writes as left, top, width, height; anything else as it is, to be told."""
    if not isinstance(written, list) or len(written) != 4 or not all(map(is_number, written)):
        return written
    left, top, width, height = written
    return [left, top, left + width, top + height]


def _keypoints(written: Any, where: str) -> tuple[Float[Tensor, "17 2"], Tensor]:
    if not isinstance(written, list) or len(written) != 3 * _KEYPOINTS or not all(map(is_number, written)):
        raise ImageError(f"{where} should hold 17 times x, y and visibility, but holds {repr(written)[:80]}")
    rows = torch.tensor(written, dtype=torch.float32).reshape(_KEYPOINTS, 3)
    return rows[:, :2], rows[:, 2] > 0
