"""The geometry-aware keypoints of SPair-71k: those with a twin on the same photograph (Zhang et al., CVPR 2024)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from pullback.data.errors import MissingDataError
from pullback.data.image.annotations import inside, require_keys
from pullback.data.image.decoding import ImageError
from pullback.data.image.sets.spair71k import SPair71k, SPairFiles
from pullback.files import read_json
from pullback.types import ImagePair

# Keypoints of one part of the object that its left and right, front and back have alike: left and right wing, four
# paws, eight corners of a window. Ids as in the annotations. Keypoints in no group have no twin.
GROUPS: Mapping[str, Sequence[tuple[int, ...]]] = {
    "aeroplane": ((4, 5), (6, 7), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17), (18, 19), (20, 21)),
    "bicycle": ((2, 3), (6, 7), (9, 10)),
    "bird": ((1, 2), (10, 11), (12, 13), (14, 15)),
    "boat": ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12)),
    "bottle": ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9)),
    "bus": (
        *((0, 1), (2, 3, 5, 6), (4, 7), (10, 13, 20, 23), (11, 14, 21, 24), (12, 15, 22, 25)),
        *((16, 17, 26, 27), (18, 19, 28, 29)),
    ),
    "car": (
        *((0, 1), (2, 3, 6, 7), (4, 8), (5, 9), (10, 13, 20, 23), (11, 14, 21, 24), (12, 15, 22, 25)),
        *((16, 17, 26, 27), (18, 19, 28, 29)),
    ),
    "cat": ((2, 3), (9, 10, 11, 12)),
    "chair": ((0, 1), (2, 3), (4, 5, 6, 7), (8, 9), (10, 11), (12, 13)),
    "cow": ((2, 3), (9, 10, 11, 12), (15, 16, 17, 18), (19, 20)),
    "dog": ((2, 3), (9, 10, 11, 12)),
    "horse": ((2, 3), (10, 11, 12, 13), (16, 17, 18, 19)),
    "motorbike": ((0, 1), (2, 3)),
    "person": ((8, 9), (10, 11), (12, 13), (14, 15), (16, 17), (18, 19)),
    "pottedplant": ((0, 1, 2, 3), (4, 5), (6, 8)),
    "sheep": ((2, 3), (9, 10, 11, 12), (15, 16, 17, 18), (19, 20)),
    "train": ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17)),
    "tvmonitor": ((0, 2, 4, 6), (1, 3, 5, 7), (8, 10, 12, 14), (9, 11, 13, 15)),
}


class SPairGeoAware(SPair71k):
    """SPair-71k with the geometry-aware keypoints alone, and without the pairs that have none.

    A keypoint counts when both photographs show it and the target shows another one of its group, with which it could
    be confused. The pairs are drawn before: those of ``sample`` are SPair-71k's. Published figures pool the points of a
    category (per point). The benchmark's own code numbers the points of a group by their rank in its list, which names
    other points than the list does where groups interleave: bus, car, potted plant and tv monitor differ from it.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"spair71k_geo_aware": {"folder": "SPair-71k"}}
    name = "spair71k_geo_aware"
    crop = "none"  # as that benchmark has it

    @property
    def protocol(self) -> str:
        return f"{super().protocol}, geometry-aware keypoints alone"

    def find(self) -> list[SPairFiles]:
        found = [files for files in super().find() if any(self._kept(files))]
        if not found:
            raise ImageError(f"{self.name}: no pair of these categories has a keypoint with a twin; choose others")
        return found

    def read(self, files: SPairFiles) -> ImagePair:
        pair, kept = super().read(files), torch.tensor(self._kept(files))
        assert pair.keypoints1 is not None and pair.keypoints2 is not None  # a pair of SPair-71k
        if len(kept) != len(pair.keypoints1):
            raise ImageError(
                f"{files.annotation}: kps_ids names {len(kept)} keypoints, and there are {len(pair.keypoints1)}. "
                "Copy it again"
            )
        return replace(pair, keypoints1=pair.keypoints1[kept], keypoints2=pair.keypoints2[kept])

    def _kept(self, files: SPairFiles) -> list[bool]:
        """Of each keypoint in the annotation of a pair, whether it is geometry-aware."""
        wanted = ("kps_ids", "trg_imname", "category")
        known = require_keys(read_json(files.annotation), wanted, str(files.annotation), "an annotation of a pair")
        shared = _ids(known["kps_ids"], f"{files.annotation}: kps_ids")
        seen = self._seen(known, files.annotation)
        twins = [group for group in GROUPS.get(files.subset, ()) if len(seen & set(group)) >= 2]
        return [any(keypoint in group for group in twins) for keypoint in shared]

    def _seen(self, known: Mapping[str, Any], annotation: Path) -> set[int]:
        """The keypoints that the target shows, by the annotation of the photograph alone."""
        folder = self.root / "ImageAnnotation" / str(known["category"])
        path = inside(folder, known["trg_imname"], f"{annotation}: trg_imname").with_suffix(".json")
        if not path.is_file():
            raise MissingDataError(f"looked for {path}, which tells the keypoints of a target. Unpack SPair-71k anew")
        points = require_keys(read_json(path), ("kps",), str(path), "an annotation of a photograph")["kps"]
        if not isinstance(points, dict):
            raise ImageError(f"{path}: kps should give the place of each keypoint, or null. Copy it again")
        return set(_ids([keypoint for keypoint, place in points.items() if place is not None], f"{path}: kps"))


def _ids(written: Any, where: str) -> list[int]:
    """Ids of keypoints, as text or numbers. Raises ImageError."""
    if not isinstance(written, list) or not all(str(value).isdecimal() and len(str(value)) < 6 for value in written):
        raise ImageError(f"{where} should hold numbers of keypoints, but holds {repr(written)[:80]}")
    return [int(value) for value in written]
