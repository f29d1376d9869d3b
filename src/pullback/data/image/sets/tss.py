"""TSS: dense correspondence and masks of objects of one category (Taniai, Sinha and Sato, CVPR 2016)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pullback.data.errors import MissingDataError
from pullback.data.image.dataset import ImageDataset, ImagePairFiles, known_reference, require_folder, require_paths
from pullback.data.image.decoding import ImageError
from pullback.data.image.io import read_image, read_mask
from pullback.data.image.truth import is_known_flow, read_flo
from pullback.types import Image, ImagePair

PAIRS = {"FG3DCar": 195, "JODS": 81, "PASCAL": 124}  # of each subset of the complete data set
# prefixes of folders that are no plain words
_CATEGORIES = {"busd": "bus", "bike": "bicycle", "plane": "aeroplane", "suv": "car"}
_FILES = ("image1.png", "image2.png", "flow1.flo", "flow2.flo", "mask1.png", "mask2.png", "flip_gt.txt")
_SOURCE = (
    "TSS is for research: get TSS_CVPR2016.zip from the authors' page, taniai.space/projects/cvpr16_dccs. Then "
    "give paths.data_dir= (or "
    "PULLBACK_DATA_DIR) the folder that holds TSS_CVPR2016, or dataset.tss.root= TSS_CVPR2016 itself. "
    "dataset.tss.allow_missing=true makes do with the pairs that are there, such as the authors' sample of 7."
)


@dataclass(frozen=True)
class TSSFiles(ImagePairFiles):
    folder: Path
    target: int  # 1 or 2: the photograph whose flow and mask are the questions
    mirrored: bool


@dataclass(frozen=True)
class Excluded:
    """How many pixels of the masks have no known flow, so that they do not count."""

    pixels: int
    of: int  # all pixels of the masks

    def __str__(self) -> str:
        return f"{self.pixels:,} of {self.of:,} mask pixels without known flow do not count"


class TSS(ImageDataset):
    """400 pairs: cars (FG3DCar, 195), and objects of several categories (JODS, 81; PASCAL, 124).

    The target is photograph 2 of the pair: ``flow2.flo`` on the pixels of ``mask2.png`` (``> 0``) points into
    photograph 1, which is the source. With ``directions="both"`` each pair is also asked the other way, as a pair of
    its own in which 1 and 2 are exchanged.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tss": {"folder": "TSS_CVPR2016"}}
    name = "tss"

    def __init__(
        self,
        root: str | Path,
        *,
        directions: str = "one",
        mirrored: str = "keep",
        pck_reference: str = "image1",
        allow_missing: bool = False,
    ):
        """``mirrored="drop"`` leaves out the pairs whose objects face opposite sides.

        ``allow_missing``: make do with what is there.
        """
        if directions not in ("one", "both"):
            raise ValueError(f"dataset.tss.directions={directions} is unknown; use one or both")
        if mirrored not in ("keep", "drop"):
            raise ValueError(f"dataset.tss.mirrored={mirrored} is unknown; use keep or drop")
        self.root = Path(root)
        self.directions = directions
        self.mirrored = mirrored
        self.pck_reference = known_reference(pck_reference, self.name)
        self.allow_missing = allow_missing

    @property
    def protocol(self) -> str:
        ways = "image 2 to image 1" if self.directions == "one" else "both directions"
        incomplete = (
            ""
            if len(self._folders) == sum(PAIRS.values())
            else f", {len(self._folders)} of {sum(PAIRS.values())} image pairs"
        )
        return (
            f"{ways}, mirrored objects {'kept' if self.mirrored == 'keep' else 'left out'}{incomplete}, {self.excluded}"
        )

    @cached_property
    def excluded(self) -> Excluded:
        """The pixels of all masks whose flow is unknown. Reads every flow and mask when first asked."""
        counts = [self._excluded(files) for files in self.pairs]
        return Excluded(sum(count.pixels for count in counts), sum(count.of for count in counts))

    def find(self) -> list[TSSFiles]:
        found = []
        for folder in self._folders:
            require_paths([folder / file for file in _FILES], root=self.root, source=_SOURCE)
            mirrored = _is_mirrored(folder / "flip_gt.txt")
            if mirrored and self.mirrored == "drop":
                continue
            name = f"{folder.parent.name}-{folder.name}"
            found.append(TSSFiles(name, folder.parent.name, folder, 2, mirrored))
            if self.directions == "both":
                found.append(TSSFiles(f"{name}~reversed", folder.parent.name, folder, 1, mirrored))
        return found

    def read(self, files: TSSFiles) -> ImagePair:
        target, source = files.target, 3 - files.target
        flow, mask2 = self._truth(files)
        known2 = mask2 & is_known_flow(flow)
        if not known2.any():
            what = (
                "marks no pixel of the object"
                if not mask2.any()
                else f"marks no pixel whose flow is known in flow{target}.flo"
            )
            raise ImageError(
                f"{files.folder / f'mask{target}.png'} {what}: there is nothing to measure. Copy both again"
            )
        return ImagePair(
            files.name,
            self._photo(files, source, read_mask(files.folder / f"mask{source}.png")),
            self._photo(files, target, mask2),
            files.subset,
            flow21=torch.where(known2, flow, 0.0),  # a finite number everywhere, so that sums over a mask stay numbers
            known2=known2,
            mirrored=files.mirrored,
        )

    def flow_places(self, i: int) -> list[str]:
        """The layout of the data set itself, ``JODS/car_03_04/flow2.flo``, or ``JODS-car_03_04.flo``."""
        files = self.pairs[i]
        return [f"{files.subset}/{files.folder.name}/flow{files.target}.flo", *super().flow_places(i)]

    def check(self) -> str:
        return f"{super().check()}, {self.excluded}"

    @cached_property
    def _folders(self) -> list[Path]:
        """The folders of the pairs, by subset and name.

        Raises MissingDataError unless they are complete, or may be incomplete.
        """
        require_folder(self.root, wanted=f"{', '.join(PAIRS)} with a folder for each pair", source=_SOURCE)
        found = {subset: _subfolders(self.root / subset) for subset in PAIRS}
        counts = ", ".join(f"{len(found[subset])} of {PAIRS[subset]} {subset}" for subset in PAIRS)
        if not any(found.values()) or (
            not self.allow_missing and {subset: len(found[subset]) for subset in PAIRS} != PAIRS
        ):
            raise MissingDataError(f"looked in {self.root} for the pairs of TSS and found {counts}.\n{_SOURCE}")
        return [folder for folders in found.values() for folder in folders]

    def _photo(self, files: TSSFiles, number: int, mask: Bool[Tensor, "H W"]) -> Image:
        name = f"{files.folder.parent.name}-{files.folder.name}-{number}"
        return read_image(files.folder / f"image{number}.png", name=name, category=category_of(files.folder), mask=mask)

    def _truth(self, files: TSSFiles) -> tuple[Float[Tensor, "2 H W"], Bool[Tensor, "H W"]]:
        path = files.folder / f"flow{files.target}.flo"
        flow, mask = read_flo(path), read_mask(files.folder / f"mask{files.target}.png")
        if flow.shape[1:] != mask.shape:
            sizes = (
                f"{flow.shape[2]} × {flow.shape[1]} pixels, but mask{files.target}.png {mask.shape[1]} × "
                f"{mask.shape[0]}"
            )
            raise ImageError(f"{path} has {sizes}: copy both again")
        return flow, mask

    def _excluded(self, files: TSSFiles) -> Excluded:
        flow, mask = self._truth(files)
        return Excluded(int((mask & ~is_known_flow(flow)).sum()), int(mask.sum()))


def category_of(folder: Path) -> str:
    """What is on the photographs of a pair, in a word: ``PASCAL/bike_01_02`` → bicycle."""
    if folder.parent.name == "FG3DCar":
        return "car"
    prefix = folder.name.split("_")[0].lower()
    return _CATEGORIES.get(prefix, prefix)


def _subfolders(folder: Path) -> list[Path]:
    return (
        sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        if folder.is_dir()
        else []
    )


def _is_mirrored(path: Path) -> bool:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        text = file.read(64).strip()
    if text not in ("0", "1"):
        raise ImageError(
            f"{path}: should hold 0 or 1 (is the object mirrored?), but holds {text[:20]!r}. Copy it again"
        )
    return text == "1"
