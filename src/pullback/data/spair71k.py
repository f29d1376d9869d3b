"""SPair-71k: keypoints on photographs of 18 categories under large changes of view (Min et al. 2019)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pullback.data.dataset import MissingDataError, shortened
from pullback.data.image_dataset import ImageDataset, PairFiles, in_words, known_reference, require_folder
from pullback.data.image_io import ImageError, read_mask, read_photo
from pullback.types import ImagePair, Photo

_SEED = 42  # of the sample in prior work
_SOURCE = (
    "Get SPair-71k.tar.gz (about 230 MB) from cvlab.postech.ac.kr/research/SPair-71k. Then give paths.data_dir= (or PULLBACK_DATA_DIR) the "
    "folder that holds SPair-71k, or dataset.spair71k.root= SPair-71k itself."
)


@dataclass(frozen=True)
class SPairFiles(PairFiles):
    annotation: Path


class SPair71k(ImageDataset):
    """Pairs of a split by category: the keypoints of the source (image 2) are carried over to the target (image 1).

    The target's box is the scale of PCK. ``sample`` pairs of each category are drawn as in prior work: from the annotation files in
    sorted order, with numpy's legacy generator, seed 42, anew for each category and *with replacement*; a pair drawn again is one more
    pair, called ``NAME~2``. Null takes all pairs (12,234 of the test split).
    """

    name = "spair71k"

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
        if sample is not None and sample < 1:
            raise ValueError(f"dataset.spair71k.sample={sample} draws nothing; give 1 or more, or null for all pairs")
        self.root = Path(root)
        self.split = split
        self.sample = sample
        self.pck_reference = known_reference(pck_reference, self.name)
        self.categories = None if categories is None else list(categories)

    @property
    def protocol(self) -> str:
        some = "" if self.categories is None else f", {len(self.categories)} categories"
        drawn = "all pairs" if self.sample is None else f"{self.sample} pairs a category (seed {_SEED}, with replacement)"
        return f"{self.split}, {drawn}{some}, source to target"

    def find(self) -> list[SPairFiles]:
        folder = require_folder(self.root / "PairAnnotation" / self.split, wanted="ID-SOURCE-TARGET:CATEGORY.json files", source=_SOURCE)
        require_folder(self.root / "JPEGImages", wanted="a folder of photographs for each category", source=_SOURCE)
        by_category: dict[str, list[Path]] = {}
        for path in sorted(folder.glob("*.json")):
            by_category.setdefault(path.stem.rpartition(":")[2], []).append(path)
        if not by_category:
            raise MissingDataError(f"looked in {folder} for ID-SOURCE-TARGET:CATEGORY.json files; it has none.\n{_SOURCE}")
        unknown = sorted(set(self.categories or ()) - set(by_category))
        if unknown:
            raise ValueError(f"dataset.spair71k.categories: {shortened(unknown)} not among {', '.join(sorted(by_category))}")
        chosen = self.categories or sorted(by_category)
        return [files for category in chosen for files in _named(self._drawn(by_category[category]), category)]

    def read(self, files: SPairFiles) -> ImagePair:
        known = _annotation(files.annotation)
        source, target = (torch.tensor(known[f"{side}_kps"], dtype=torch.float32).reshape(-1, 2) for side in ("src", "trg"))
        if len(source) != len(target):
            raise ImageError(f"{files.annotation}: {len(source)} keypoints on the source and {len(target)} on the target. Copy it again")
        return ImagePair(
            files.name,
            self._photo(known, "trg"),
            self._photo(known, "src"),
            files.subset,
            keypoints1=target,
            keypoints2=source,
            mirrored=bool(known.get("mirror", 0)),
        )

    def _drawn(self, paths: list[Path]) -> list[Path]:
        if self.sample is None:
            return paths
        return [paths[i] for i in np.random.RandomState(_SEED).choice(len(paths), self.sample)]

    def _photo(self, known: dict[str, Any], side: str) -> Photo:
        category, file = known["category"], known[f"{side}_imname"]
        path = self.root / "JPEGImages" / category / file
        if not path.is_file():
            raise MissingDataError(f"looked for the photograph {path} of SPair-71k.\n{_SOURCE}")
        mask = self.root / "Segmentation" / category / f"{path.stem}.png"
        box = torch.tensor(known[f"{side}_bndbox"], dtype=torch.float32)
        return read_photo(path, name=f"{category}-{path.stem}", category=in_words(category), mask=_mask(mask), box=box)


def _mask(path: Path) -> torch.Tensor | None:
    return read_mask(path) if path.is_file() else None


def _named(paths: list[Path], category: str) -> list[SPairFiles]:
    """The pairs, named ID-SOURCE-TARGET_CATEGORY; a repetition is numbered."""
    times: dict[Path, int] = {}
    found = []
    for path in paths:
        times[path] = times.get(path, 0) + 1
        name = path.stem.replace(":", "_") + (f"~{times[path]}" if times[path] > 1 else "")
        found.append(SPairFiles(name, category, path))
    return found


def _annotation(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text())
    except ValueError as error:
        raise ImageError(f"{path}: not a JSON file ({error}). Copy it again") from None
    wanted = ["category", *(f"{side}_{what}" for side in ("src", "trg") for what in ("imname", "bndbox", "kps"))]
    missing = [key for key in wanted if key not in known]
    if missing:
        raise ImageError(f"{path}: has no {', '.join(missing)}. Is it an annotation of a pair?")
    return known
