"""SPair-71k: keypoints on photographs of 18 categories under large changes of view (Min et al. 2019)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import MissingDataError
from pullback.data.image.annotations import (
    box_of,
    check_box,
    check_keypoints,
    check_same_count,
    inside,
    is_plain_name,
    keypoints_of,
    require_keys,
)
from pullback.data.image.dataset import (
    ImageDataset,
    ImagePairFiles,
    chosen_categories,
    in_words,
    known_reference,
    require_folder,
)
from pullback.data.image.decoding import ImageError
from pullback.data.image.io import read_image, read_mask
from pullback.files import read_json
from pullback.ranges import at_least
from pullback.types import Image, ImagePair

_SEED = 42  # of the sample in prior work
_SOURCE = (
    "Get SPair-71k.tar.gz (about 230 MB) from cvlab.postech.ac.kr/research/SPair-71k. Then give paths.data_dir= "
    "(or PULLBACK_DATA_DIR) the "
    "folder that holds SPair-71k, or dataset.spair71k.root= SPair-71k itself."
)


@dataclass(frozen=True)
class SPairFiles(ImagePairFiles):
    annotation: Path


class SPair71k(ImageDataset):
    """Pairs of a split by category: the keypoints of the source (image 2) are carried over to the target (image 1).

    The target's box is the scale of PCK. ``sample`` pairs of each category are drawn as in prior work: from the
    annotation files in sorted order, with numpy's legacy generator, seed 42, anew for each category and *with
    replacement*; a pair drawn again is one more pair, called ``NAME~2``. Null takes all pairs (12,234 of the test
    split).
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"spair71k": {"folder": "SPair-71k"}}
    name = "spair71k"
    crop = "box"  # as Cheng et al. (2024) do it, by their supplement

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "test",
        sample: int | None = 20,
        categories: Sequence[str] | None = None,
        pck_reference: str = "box1",
    ):
        """``categories``: only these, in this order; null: all that the split has, in alphabetical order."""
        if split not in ("trn", "val", "test"):
            raise ValueError(f"dataset.spair71k.split={split} is unknown; use trn, val or test")
        at_least(1, sample=sample)
        self.root = Path(root)
        self.split = split
        self.sample = sample
        self.pck_reference = known_reference(pck_reference, self.name)
        self.categories = None if categories is None else list(categories)

    @property
    def protocol(self) -> str:
        some = "" if self.categories is None else f", {len(self.categories)} categories"
        drawn = (
            "all pairs" if self.sample is None else f"{self.sample} pairs a category (seed {_SEED}, with replacement)"
        )
        return f"{self.split}, {drawn}{some}, source to target"

    def find(self) -> list[SPairFiles]:
        folder = require_folder(
            self.root / "PairAnnotation" / self.split, wanted="ID-SOURCE-TARGET:CATEGORY.json files", source=_SOURCE
        )
        require_folder(self.root / "JPEGImages", wanted="a folder of photographs for each category", source=_SOURCE)
        by_category: dict[str, list[Path]] = {}
        for path in sorted(folder.glob("*.json")):
            by_category.setdefault(category_in(path), []).append(path)
        if not by_category:
            raise MissingDataError(
                f"looked in {folder} for ID-SOURCE-TARGET:CATEGORY.json files; it has none.\n{_SOURCE}"
            )
        chosen = chosen_categories(self.categories, by_category, dataset=self.name)
        return [
            SPairFiles(name, category, path)
            for category in chosen
            for name, path in named(drawn(by_category[category], self.sample, seed=_SEED))
        ]

    def read(self, files: SPairFiles) -> ImagePair:
        known = _annotation(files.annotation, files.subset)
        source, target = (
            keypoints_of(known[f"{side}_kps"], f"{files.annotation}: {side}_kps") for side in ("src", "trg")
        )
        check_same_count(len(source), len(target), str(files.annotation))
        image1 = self._photo(known, "trg", target, files.annotation)
        image2 = self._photo(known, "src", source, files.annotation)
        mirrored = bool(known.get("mirror", 0))
        return ImagePair(
            files.name, image1, image2, files.subset, keypoints1=target, keypoints2=source, mirrored=mirrored
        )

    def _photo(self, known: Mapping[str, Any], side: str, keypoints: Float[Tensor, "t 2"], annotation: Path) -> Image:
        category = known["category"]
        path = inside(self.root / "JPEGImages" / category, known[f"{side}_imname"], f"{annotation}: {side}_imname")
        if not path.is_file():
            raise MissingDataError(f"looked for the photograph {path}, which {annotation} names.\n{_SOURCE}")
        mask = self.root / "Segmentation" / category / f"{path.stem}.png"
        box = box_of(known[f"{side}_bndbox"], f"{annotation}: {side}_bndbox")
        photo = read_image(path, name=f"{category}-{path.stem}", category=in_words(category), mask=_mask(mask), box=box)
        check_box(box, photo.size, f"{annotation}: {side}_bndbox")
        check_keypoints(keypoints, photo.size, f"{annotation}: {side}_kps")
        return photo


def _mask(path: Path) -> torch.Tensor | None:
    return read_mask(path) if path.is_file() else None


def category_in(annotation: Path) -> str:
    """The category that the name of an annotation ends in, after a colon; programs that unpack write it as ``_``."""
    return annotation.stem.rpartition(":" if ":" in annotation.stem else "_")[2]


def drawn(paths: list[Path], sample: int | None, *, seed: int) -> list[Path]:
    """As prior work draws: with numpy's legacy generator and replacement; None takes all."""
    return paths if sample is None else [paths[i] for i in np.random.RandomState(seed).choice(len(paths), sample)]


def named(paths: list[Path]) -> list[tuple[str, Path]]:
    """The pairs, named ID-SOURCE-TARGET_CATEGORY; a repetition is numbered."""
    times: dict[Path, int] = {}
    found = []
    for path in paths:
        times[path] = times.get(path, 0) + 1
        found.append((path.stem.replace(":", "_") + (f"~{times[path]}" if times[path] > 1 else ""), path))
    return found


def _annotation(path: Path, category: str) -> Mapping[str, Any]:
    """The content of an annotation, with all that is needed. Raises ImageError."""
    wanted = ("category", *(f"{side}_{what}" for side in ("src", "trg") for what in ("imname", "bndbox", "kps")))
    known = require_keys(read_json(path), wanted, str(path), "an annotation of a pair")
    if not is_plain_name(known["category"]) or known["category"] != category:
        raise ImageError(
            f"{path}: its category is {str(known['category'])[:80]!r}, but its name says {category!r}. Copy it again"
        )
    return known
