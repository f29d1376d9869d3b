"""photos: the embedded data set, a stereo pair and warped photographs with exact ground truth (``data/photos/README.md``)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pullback.data.dataset import MissingDataError
from pullback.data.image_cropping import mask_box
from pullback.data.image_dataset import ImageDataset, PairFiles, known_reference, require_paths
from pullback.data.image_io import read_disparity, read_mask, read_photo
from pullback.data.warps import Warp
from pullback.types import ImagePair

_SOURCE = (
    "The data set is part of the repository: restore it with `git checkout -- data/photos`, or make it anew with "
    "`python experiments/make_photos.py` (needs scikit-image)."
)


@dataclass(frozen=True)
class PhotoFiles(PairFiles):
    written: dict[str, Any]  # the pair's entry in pairs.json


class Photos(ImageDataset):
    """Eight pairs: ``stereo``, a scene from two places with measured depth; ``warp``, photographs against warped, relit, noisy copies.

    The ground truth is dense. It counts on the object where there is a mask (``warp``), else wherever depth was measured and the point
    is seen on both photographs (``stereo``). Ten keypoints a pair lie on the object; ``box`` is around the object.
    """

    name = "photos"

    def __init__(self, root: str | Path, *, pck_reference: str = "image1"):
        self.root = Path(root)
        self.pck_reference = known_reference(pck_reference, self.name)

    @property
    def protocol(self) -> str:
        return "image 2 to image 1"

    def find(self) -> list[PhotoFiles]:
        listing = self.root / "pairs.json"
        if not listing.is_file():
            raise MissingDataError(f"looked for {listing}, the list of pairs.\n{_SOURCE}")
        pairs = json.loads(listing.read_text())
        named = {file for pair in pairs for key in ("image1", "image2", "mask1", "disparity") if (file := pair.get(key))}
        require_paths([self.root / file for file in sorted(named)], root=self.root, source=_SOURCE)
        return [PhotoFiles(pair["name"], pair["subset"], pair) for pair in pairs]

    def read(self, files: PhotoFiles) -> ImagePair:
        written = files.written
        image1, image2 = (read_photo(self.root / written[f"image{side}"], category=written["category"]) for side in "12")
        keypoints2 = torch.tensor(written["keypoints2"], dtype=torch.float32)
        if "disparity" in written:
            flow21, known2 = self._stereo(written)
            keypoints1 = keypoints2 + flow_at(flow21, keypoints2)
            mask1 = mask2 = None
        else:
            warp = Warp.of(written["warp"], image2.size)
            flow21, mask1 = warp.flow21(), read_mask(self.root / written["mask1"])
            known2 = mask2 = carried_mask(mask1, flow21)
            keypoints1 = warp.xy21(keypoints2.double()).float()
        image1 = replace(image1, mask=mask1, box=_box(written.get("box1"), mask1))
        image2 = replace(image2, mask=mask2, box=_box(written.get("box2"), mask2))
        return ImagePair(files.name, image1, image2, files.subset, keypoints1, keypoints2, flow21, known2)

    def _stereo(self, written: dict[str, Any]) -> tuple[Float[Tensor, "2 H W"], Bool[Tensor, "H W"]]:
        """The left photograph is image 2: its pixel (x, y) is seen at (x - disparity, y) on the right one; 0 where unknown."""
        disparity = read_disparity(self.root / written["disparity"])
        return torch.stack([-disparity.nan_to_num(0.0), torch.zeros_like(disparity)]), disparity.isfinite()


def carried_mask(mask1: Bool[Tensor, "H1 W1"], flow21: Float[Tensor, "2 H2 W2"]) -> Bool[Tensor, "H2 W2"]:
    """A mask of image 1 on image 2: the pixels whose match, rounded, lies on the mask. What lies outside of image 1 is not masked."""
    _, height, width = flow21.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = (columns + flow21[0]).round().long(), (rows + flow21[1]).round().long()
    inside = (x >= 0) & (x < mask1.shape[1]) & (y >= 0) & (y < mask1.shape[0])
    return inside & mask1[y.clamp(0, mask1.shape[0] - 1), x.clamp(0, mask1.shape[1] - 1)]


def flow_at(flow: Float[Tensor, "2 H W"], xy: Float[Tensor, "t 2"]) -> Float[Tensor, "t 2"]:
    """The flow at the nearest pixels."""
    columns, rows = xy.round().long().unbind(dim=1)
    return flow[:, rows, columns].T


def _box(written: Sequence[float] | None, mask: Bool[Tensor, "H W"] | None) -> Float[Tensor, "4"]:
    return torch.tensor(written if written is not None else mask_box(mask), dtype=torch.float32)
