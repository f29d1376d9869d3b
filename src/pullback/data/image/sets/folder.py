"""Anybody's own photographs: a folder of them, in pairs, without ground truth."""

import itertools
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import MissingDataError, shorten
from pullback.data.image.dataset import ImageDataset, ImagePairFiles
from pullback.data.image.decoding import ImageError
from pullback.data.image.heat_files import common_heats, heat_files_of, read_heat
from pullback.data.image.io import read_image, read_mask
from pullback.data.kinds import FOREIGN, IMAGE_ENDINGS, kind_of_file
from pullback.files import read_lines
from pullback.types import Image, ImagePair

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderFiles(ImagePairFiles):
    first: Path
    second: Path


class ImageFolder(ImageDataset):
    """The photographs in ``root``, by their endings or their first bytes.

    ``root/pairs.txt`` says which two make a pair, two file names a line: image 1, on which answers are looked for, and
    image 2. Without it, each photograph is paired with the next one in alphanumeric order. ``root/masks/STEM.png``,
    where it exists, marks the object. ``root/heats/STEM.png`` or ``.npy`` (``STEM.NAME.png`` of several) is heat on it:
    that of image 1 is carried to image 2, and measured where image 2 has heat of the same name.
    """

    def __init__(self, root: str | Path, *, name: str = "image_folder", category: str = ""):
        """``category``: what is on the photographs, in words, for networks with a prompt."""
        self.root = Path(root)
        self.name = name
        self.category = category

    @property
    def protocol(self) -> str:
        return "pairs.txt" if (self.root / "pairs.txt").is_file() else "consecutive photographs"

    def find(self) -> list[FolderFiles]:
        photos = self._photos()
        listing = self.root / "pairs.txt"
        pairs = self._listed(listing, photos) if listing.is_file() else list(itertools.pairwise(sorted(photos)))
        if not pairs:
            raise MissingDataError(
                f"{self.root} has {shorten(sorted(photos))} and no more, and a pair needs two photographs"
            )
        masked = sum(self._mask_path(photos[name]).is_file() for name in photos)
        if 0 < masked < len(photos):
            log.warning("%s: %d of %d photographs have a mask in masks/", self.root, masked, len(photos))
        return [FolderFiles(f"{Path(one).stem}-{Path(two).stem}", "", photos[one], photos[two]) for one, two in pairs]

    def read(self, files: FolderFiles) -> ImagePair:
        image1, image2 = self._photo(files.first), self._photo(files.second)
        pair = ImagePair(files.name, image1, image2, files.subset)
        heats1, heats2 = self._heats(files.first, image1), self._heats(files.second, image2)
        if not heats1:
            return pair
        if not heats2:
            return replace(pair, heats1=torch.stack(list(heats1.values())), heat_names=tuple(heats1))
        stacked1, stacked2, names = common_heats(heats1, heats2, where=f"{self.root / 'heats'}: {files.name}")
        return replace(pair, heats1=stacked1, heats2=stacked2, heat_names=names)

    def _heats(self, path: Path, photo: Image) -> dict[str, Float[Tensor, "H W"]]:
        files = heat_files_of(self.root / "heats", path.stem)
        return {name: read_heat(file, photo) for name, file in files.items()}

    def _photos(self) -> dict[str, Path]:
        if not self.root.is_dir():
            raise MissingDataError(
                f"looked for photographs (JPEG, PNG, WebP …) in {self.root} (it does not exist). "
                "Give their folder: dataset.image_folder.root=DIR"
            )
        paths = sorted(self.root.iterdir())
        photos = {
            path.name: path for path in paths if not path.name.startswith(".") and path.is_file() and _is_image(path)
        }
        if not photos:
            raise MissingDataError(
                f"looked for photographs (JPEG, PNG, WebP …) in {self.root} (it has none). "
                "Give their folder: dataset.image_folder.root=DIR"
            )
        stems = [Path(name).stem for name in photos]
        if len(set(stems)) < len(stems):
            twice = sorted({name for name in photos if stems.count(Path(name).stem) > 1})
            raise ImageError(
                f"{self.root}: {shorten(twice)} differ only in their suffix: rename all but one, or remove them"
            )
        return photos

    def _listed(self, listing: Path, photos: dict[str, Path]) -> list[tuple[str, str]]:
        pairs = []
        for number, line in enumerate(read_lines(listing, what="list of pairs"), start=1):
            words = line.split("\t") if "\t" in line else line.split()
            names = [word.strip() for word in words]
            if not line.strip() or line.startswith("#"):
                continue
            if len(names) != 2:
                raise ImageError(
                    f"{listing}, line {number}: {line!r} should be two file "
                    "names, with a tab between if they hold spaces"
                )
            lost = [name for name in names if name not in photos]
            if lost:
                raise MissingDataError(
                    f"{listing}, line {number}: there is no photograph {' and no '.join(lost)} in {self.root}"
                )
            pairs.append((names[0], names[1]))
        return list(dict.fromkeys(pairs))

    def _photo(self, path: Path) -> Image:
        mask = self._mask_path(path)
        return read_image(path, category=self.category, mask=read_mask(mask) if mask.is_file() else None)

    def _mask_path(self, path: Path) -> Path:
        return self.root / "masks" / f"{path.stem}.png"


def _is_image(path: Path) -> bool:
    """By its ending (whatever it holds: a broken one is to be named), else by its first bytes."""
    return path.suffix.lower() in IMAGE_ENDINGS or kind_of_file(path) not in (None, *FOREIGN)
