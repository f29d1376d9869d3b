"""RGB-D Part Affordance: what can be done with the parts of tools (Myers et al., ICRA 2015)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import MissingDataError, shorten
from pullback.data.image.dataset import ImageDataset, ImagePairFiles, chosen_categories, require_folder
from pullback.data.image.decoding import ImageError
from pullback.data.image.heat_files import common_heats
from pullback.data.image.io import read_image
from pullback.data.image.truth import read_mat_labels
from pullback.ranges import at_least
from pullback.types import Image, ImagePair

AFFORDANCES = ("grasp", "cut", "scoop", "contain", "pound", "support", "wrap-grasp")
_SEED = 42
_SOURCE = (
    "Get part-affordance-dataset-tools.tar.gz from the University of Maryland (Part Affordance Dataset, Myers et al. "
    "2015) and call the folder that holds tools/ part-affordance-dataset. Then give paths.data_dir= (or "
    "PULLBACK_DATA_DIR) the folder that holds it, or dataset.affordances.root= part-affordance-dataset itself."
)


@dataclass(frozen=True)
class ToolFiles(ImagePairFiles):
    first: Path  # of the photographs, NAME_rgb.jpg
    second: Path


class Affordances(ImageDataset):
    """Pairs of different tools of a category: the affordances of image 1 are carried to image 2.

    One photograph of each tool, the middle one of its turn. The heat of an affordance is 1 / rank where a person ranked
    it (``label_rank.mat``), else 1 where it is the pixel's label (``label.mat``); what neither photograph or only one
    shows is left out. The labelled pixels are the object's mask.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"affordances": {"folder": "part-affordance-dataset"}}
    name = "affordances"

    def __init__(self, root: str | Path, *, sample: int | None = 20, categories: Sequence[str] | None = None):
        """``sample`` ordered pairs of each category, drawn with a fixed seed; null: all.

        ``categories``: only these, such as hammer, saw, scissors, shovel; null: all.
        """
        at_least(1, sample=sample)
        self.root = Path(root)
        self.sample = sample
        self.categories = None if categories is None else list(categories)

    @property
    def protocol(self) -> str:
        drawn = "all pairs" if self.sample is None else f"up to {self.sample} pairs"
        some = "" if self.categories is None else f", {len(self.categories)} categories"
        return f"{drawn} of different tools of a category (seed {_SEED}){some}, affordances of image 1 to image 2"

    def find(self) -> list[ToolFiles]:
        folder = require_folder(
            self.root / "tools", wanted="a folder TOOL_NN of each tool, with TOOL_NN_FRAME_rgb.jpg", source=_SOURCE
        )
        by_category: dict[str, list[Path]] = {}
        for tool in sorted(path for path in folder.iterdir() if path.is_dir()):
            frames = [path for path in sorted(tool.glob(f"{tool.name}_*_rgb.jpg")) if _labels_of(path)]
            if frames:
                by_category.setdefault(tool.name.rpartition("_")[0] or tool.name, []).append(frames[len(frames) // 2])
        if not by_category:
            raise MissingDataError(
                f"looked in {folder} for TOOL_NN/TOOL_NN_FRAME_rgb.jpg with …_label.mat or …_label_rank.mat beside "
                f"them; it has none.\n{_SOURCE}"
            )
        chosen = chosen_categories(self.categories, by_category, dataset=self.name)
        found = [files for category in chosen for files in self._drawn(category, by_category[category])]
        if not found:
            raise MissingDataError(f"{folder} has one tool of {shorten(chosen)} each, and a pair needs two.\n{_SOURCE}")
        return found

    def read(self, files: ToolFiles) -> ImagePair:
        (image1, heats1), (image2, heats2) = (_read(path, files.subset) for path in (files.first, files.second))
        stacked1, stacked2, names = common_heats(heats1, heats2, where=f"{files.first} and {files.second}")
        return ImagePair(files.name, image1, image2, files.subset, heats1=stacked1, heats2=stacked2, heat_names=names)

    def _drawn(self, category: str, photos: list[Path]) -> list[ToolFiles]:
        pairs = [(one, two) for one in photos for two in photos if one != two]
        if self.sample is not None and self.sample < len(pairs):
            some = np.random.default_rng(_SEED).choice(len(pairs), self.sample, replace=False)
            pairs = [pairs[i] for i in sorted(some.tolist())]
        return [ToolFiles(f"{one.parent.name}-{two.parent.name}", category, one, two) for one, two in pairs]


def _labels_of(photo: Path) -> list[Path]:
    """The label files of a photograph that are there, the better one first."""
    stem = photo.name.removesuffix("_rgb.jpg")
    return [path for end in ("label_rank", "label") if (path := photo.with_name(f"{stem}_{end}.mat")).is_file()]


def _read(path: Path, category: str) -> tuple[Image, dict[str, Float[Tensor, "H W"]]]:
    label = _labels_of(path)[0]
    numbers = read_mat_labels(label)
    photo = read_image(path, name=path.name.removesuffix("_rgb.jpg"), category=category)
    if tuple(numbers.shape[:2]) != photo.size:
        raise ImageError(
            f"{label}: has {tuple(numbers.shape[:2])} labels, but {path.name} {photo.size} pixels. Copy both again"
        )
    if numbers.ndim == 3:
        if numbers.shape[2] != len(AFFORDANCES):
            raise ImageError(f"{label}: ranks {numbers.shape[2]} affordances, not {len(AFFORDANCES)}. Copy it again")
        values = torch.where(numbers > 0, 1 / numbers.clamp_min(1).float(), 0.0)
    else:
        if numbers.max() > len(AFFORDANCES):
            raise ImageError(
                f"{label}: holds label {int(numbers.max())}, but there are {len(AFFORDANCES)}. Copy it again"
            )
        values = torch.stack([(numbers == i).float() for i in range(1, len(AFFORDANCES) + 1)], dim=-1)
    heats = dict(zip(AFFORDANCES, values.unbind(dim=-1), strict=True))
    mask = values.amax(dim=-1) > 0
    return replace(photo, mask=mask if mask.any() else None), heats
