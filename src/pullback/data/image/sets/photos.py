"""photos: the embedded stereo pair and warped photographs, with exact truth (``data/photos/README.md``)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pullback.data.errors import MissingDataError, shorten
from pullback.data.image.annotations import box_of, inside, is_plain_name, keypoints_of, require_keys
from pullback.data.image.cropping import mask_box
from pullback.data.image.dataset import ImageDataset, ImagePairFiles, known_reference, require_paths
from pullback.data.image.decoding import ImageError
from pullback.data.image.io import read_disparity, read_image, read_mask
from pullback.data.image.warps import Warp
from pullback.files import read_json
from pullback.plain_data import printable
from pullback.types import ImagePair

_FILES = ("image1", "image2", "mask1", "disparity")
_WANTED = ("name", "subset", "category", "image1", "image2", "keypoints2")
_SOURCE = (
    "The data set is part of the repository: restore it with `git checkout -- data/photos`, or make it anew with "
    "`python experiments/makers/make_photos.py` (needs scikit-image)."
)


@dataclass(frozen=True)
class PhotoPairFiles(ImagePairFiles):
    written: dict[str, Any]  # the pair's entry in pairs.json


class Photos(ImageDataset):
    """Eight pairs in two subsets.

    ``stereo`` is a scene from two places with measured depth, ``warp`` has photographs against warped, relit, noisy
    copies.

    The ground truth is dense. It counts on the object where there is a mask (``warp``), else wherever depth was
    measured and the point is seen on both photographs (``stereo``). Ten keypoints a pair lie on the object; ``box`` is
    around the object.
    """

    name = "photos"

    def __init__(self, root: str | Path, *, pck_reference: str = "image1"):
        self.root = Path(root)
        self.pck_reference = known_reference(pck_reference, self.name)

    @property
    def protocol(self) -> str:
        return "image 2 to image 1"

    def find(self) -> list[PhotoPairFiles]:
        listing = self.root / "pairs.json"
        if not listing.is_file():
            raise MissingDataError(f"looked for {listing}, the list of pairs.\n{_SOURCE}")
        pairs = _entries(listing)
        named = {
            inside(self.root, pair[key], f"{listing}: {key}")
            for pair in pairs
            for key in _FILES
            if pair.get(key) is not None
        }
        require_paths(sorted(named), root=self.root, source=f"They are named in {listing}. {_SOURCE}")
        return [PhotoPairFiles(pair["name"], pair["subset"], pair) for pair in pairs]

    def read(self, files: PhotoPairFiles) -> ImagePair:
        written, where = files.written, f"{self.root / 'pairs.json'}: {files.name}"
        mask1 = read_mask(self.root / written["mask1"]) if "warp" in written else None
        image1 = read_image(self.root / written["image1"], category=written["category"], mask=mask1)
        image2 = read_image(self.root / written["image2"], category=written["category"])
        keypoints2 = _on_image(
            keypoints_of(written["keypoints2"], f"{where}: keypoints2"), image2.size, f"{where}: keypoints2"
        )
        mask2 = None
        if mask1 is None:
            flow21, known2 = self._stereo(written, image2.size)
            keypoints1 = keypoints2 + flow_at(flow21, keypoints2)
        else:
            warp = Warp.of(written["warp"], image2.size, where=where)
            flow21 = warp.flow21()
            known2 = mask2 = carried_mask(mask1, flow21)
            keypoints1 = warp.xy21(keypoints2.double()).float()
        if not known2.any():
            raise ImageError(
                f"{where}: its mask or disparity knows no pixel of image 2: there is nothing to measure. {_SOURCE}"
            )
        image1 = replace(image1, box=_box(written.get("box1"), mask1, f"{where}: box1"))
        image2 = replace(image2, mask=mask2, box=_box(written.get("box2"), mask2, f"{where}: box2"))
        return ImagePair(files.name, image1, image2, files.subset, keypoints1, keypoints2, flow21, known2)

    def _stereo(
        self, written: dict[str, Any], size2: tuple[int, int]
    ) -> tuple[Float[Tensor, "2 H W"], Bool[Tensor, "H W"]]:
        """The left photograph is image 2: its pixel (x, y) is seen at (x - disparity, y) on the right one.

        0 where unknown.
        """
        path = self.root / written["disparity"]
        disparity = read_disparity(path)
        if tuple(disparity.shape) != size2:
            sizes = f"{disparity.shape[1]} × {disparity.shape[0]} pixels, {written['image2']} {size2[1]} × {size2[0]}"
            raise ImageError(f"{path} has {sizes}: copy both again. {_SOURCE}")
        return torch.stack([-disparity.nan_to_num(0.0), torch.zeros_like(disparity)]), disparity.isfinite()


def carried_mask(mask1: Bool[Tensor, "H1 W1"], flow21: Float[Tensor, "2 H2 W2"]) -> Bool[Tensor, "H2 W2"]:
    """A mask of image 1 on image 2: the pixels whose match, rounded, lies on the mask.

    What lies outside of image 1 is not masked.
    """
    _, height, width = flow21.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = (columns + flow21[0]).round().long(), (rows + flow21[1]).round().long()
    inside = (x >= 0) & (x < mask1.shape[1]) & (y >= 0) & (y < mask1.shape[0])
    return inside & mask1[y.clamp(0, mask1.shape[0] - 1), x.clamp(0, mask1.shape[1] - 1)]


def flow_at(flow: Float[Tensor, "2 H W"], xy: Float[Tensor, "t 2"]) -> Float[Tensor, "t 2"]:
    """The flow at the nearest pixels."""
    columns, rows = xy.round().long().unbind(dim=1)
    return flow[:, rows, columns].T


def _box(written: Any, mask: Bool[Tensor, "H W"] | None, where: str) -> Float[Tensor, "4"]:
    if written is not None or mask is None:
        return box_of(written, where)
    return torch.tensor(mask_box(mask), dtype=torch.float32)


def _on_image(points: Float[Tensor, "t 2"], size: tuple[int, int], where: str) -> Float[Tensor, "t 2"]:
    """The points. Raises ImageError unless all of them have a nearest pixel, whose flow is theirs."""
    limits = points.new_tensor([size[1], size[0]])
    outside = ((points.round() < 0) | (points.round() >= limits)).any(dim=1)
    if outside.any():
        raise ImageError(
            f"{where}: {points[outside][0].tolist()} lies outside of the photograph of {size[1]} × {size[0]} pixels"
        )
    return points


def _entries(listing: Path) -> list[dict[str, Any]]:
    """The entries of ``pairs.json``. Raises ImageError for one that is none."""
    pairs = read_json(listing)
    if not isinstance(pairs, list) or not pairs:
        raise ImageError(f"{listing}: should hold a list of pairs, at least one. {_SOURCE}")
    for i, pair in enumerate(pairs):
        where = f"{listing}: pair {i + 1}"
        require_keys(pair, _WANTED, where, "a pair of photographs")
        if not is_plain_name(pair["name"]):
            raise ImageError(
                f"{where}: {str(pair['name'])[:80]!r} cannot be the name of a pair, whose results are files"
            )
        words = [
            key for key in ("subset", "category") if not isinstance(pair[key], str) or printable(pair[key]) != pair[key]
        ]
        if words:
            raise ImageError(f"{where}: {words[0]} should be a word, but is {pair[words[0]]!r:.80}")
        require_keys(
            pair,
            ("warp", "mask1") if "warp" in pair else ("disparity", "box1", "box2"),
            where,
            "a pair with ground truth",
        )
    names = [pair["name"] for pair in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ImageError(f"{listing}: pairs must have names of their own, but {shorten(twice)} occur more than once")
    return pairs
