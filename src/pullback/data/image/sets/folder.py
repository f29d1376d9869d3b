"""Anybody's own photographs: a folder of them, in pairs, without ground truth."""

import itertools
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import MissingDataError, shorten
from pullback.data.image.dataset import ImageDataset, ImagePairFiles
from pullback.data.image.decoding import ImageError
from pullback.data.image.heat_files import common_heats, heat_files, heats_alone, read_heat
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
    that of image 1 is carried to image 2, and measured where image 2 has heat of the same name. Files of these folders
    that belong to no photograph are told.
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
        self._tell_of_masks(photos.values())
        self._tell_of_heats([(photos[one].stem, photos[two].stem) for one, two in pairs])
        return [FolderFiles(f"{Path(one).stem}-{Path(two).stem}", "", photos[one], photos[two]) for one, two in pairs]

    def read(self, files: FolderFiles) -> ImagePair:
        image1, image2 = self._photo(files.first), self._photo(files.second)
        pair = ImagePair(files.name, image1, image2, files.subset)
        heats1, heats2 = self._heats_of(files.first, image1), self._heats_of(files.second, image2)
        where = f"{self.root / 'heats'}: {files.name}"
        if not heats1:
            return pair
        if not heats2:
            alone, names = heats_alone(heats1, where=where)
            return replace(pair, heats1=alone, heat_names=names)
        stacked1, stacked2, names = common_heats(heats1, heats2, where=where)
        return replace(pair, heats1=stacked1, heats2=stacked2, heat_names=names)

    @cached_property
    def _heat_files(self) -> tuple[dict[str, dict[str, Path]], list[Path]]:
        return heat_files(self.root / "heats", [path.stem for path in self._photos().values()])

    def _heats_of(self, path: Path, photo: Image) -> dict[str, Float[Tensor, "H W"]]:
        return {name: read_heat(file, photo) for name, file in self._heat_files[0][path.stem].items()}

    def _tell_of_masks(self, photos: Collection[Path]) -> None:
        masks = [self._mask_path(photo) for photo in photos]
        masked = sum(mask.is_file() for mask in masks)
        if 0 < masked < len(masks):
            log.warning("%s: %d of %d photographs have a mask in masks/", self.root, masked, len(masks))
        strays = [path.name for path in sorted((self.root / "masks").glob("[!.]*")) if path not in masks]
        if strays:
            told = "%s/masks: %s belong to no photograph: a mask is called as its photograph is, and ends in .png"
            log.warning(told, self.root, shorten(strays))

    def _tell_of_heats(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Heat that nothing is done with."""
        found, strays = self._heat_files
        if strays:
            told = "%s/heats: %s are no heat of a photograph: it is called STEM.png or STEM.NAME.png (or .npy …)"
            log.warning(told, self.root, shorten(path.name for path in strays))
        lost = [f"{one}-{two}" for one, two in pairs if found[two] and not found[one]]
        if lost:
            told = "%s/heats: of %s only image 2 has heat, and that of image 1 is carried; exchange them in pairs.txt"
            log.warning(told, self.root, shorten(lost))

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
