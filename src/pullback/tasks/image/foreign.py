"""Predictions of other programs in the place of a store of our own: read pair by pair, scored like ours."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pullback.data.errors import shorten
from pullback.data.image.flow_files import flow_files
from pullback.data.image.foreign import TABLES, FlowFolder, KeypointTable
from pullback.data.image.truth import is_known_flow
from pullback.files import MissingFileError
from pullback.mapping.grid_match import patch_centres
from pullback.metrics.image import evaluated_pixels
from pullback.tasks.store import Prediction, fingerprint_sha256
from pullback.types import ImagePair

log = logging.getLogger(__name__)


class ForeignStore:
    """Flows or keypoints of another program, with the face of a `PredictionStore`. Reads a file when it is asked.

    ``found`` is a folder of flows or a table of keypoints (`source_of`); ``places`` are the files that the flow of each
    pair may lie in. Raises ForeignError where nothing belongs to these pairs.
    """

    def __init__(self, found: Path, places: Mapping[str, Sequence[str]], *, dataset: str, method: str | None = None):
        self.directory = found
        self.what = "flows" if found.is_dir() else "keypoints"
        self.source: FlowFolder | KeypointTable
        if found.is_dir():
            self.source = FlowFolder(found, places)
            strangers = self.source.strangers()
        else:
            self.source = KeypointTable.of(found)
            strangers = self.source.check(list(places))
        if strangers:
            log.warning("%s: %d of no pair that is scored, %s", found, len(strangers), shorten(strangers))
        self.fingerprint: Mapping[str, Any] = {
            "dataset": dataset,
            "data": {"crop": "none"},
            "foreign": {"what": self.what, "name": found.name},
            "method_name": method,
            "weights": {"trained_on": ["unknown"]},
        }

    @property
    def sha256(self) -> str:
        return fingerprint_sha256(self.fingerprint)

    @property
    def signature(self) -> Path:
        return self.directory

    def path(self, pair: str) -> Path:
        """The file that holds the prediction of a pair, or should."""
        return (self.source.path(pair) if isinstance(self.source, FlowFolder) else None) or self.directory

    def read(self, pair: str) -> Prediction | None:
        """The flow (``foreign_flow21``) or the keypoints (``foreign_xy1``) of a pair. None where there is no flow."""
        try:
            values = self.source.read(pair)
        except MissingFileError:
            return None
        name = "foreign_flow21" if self.what == "flows" else "foreign_xy1"
        arrays = {name: values.numpy(), "path": np.array(str(self.path(pair)))}
        return Prediction(torch.empty(0, dtype=torch.long), arrays)

    def failure(self, pair: str) -> str | None:
        """Why there is no prediction of a pair: which files were looked for."""
        try:
            self.source.read(pair)
        except MissingFileError as error:
            return str(error)
        return None


def source_of(place: Path, dataset: str) -> Path | None:
    """The folder of flows or the table of keypoints of a data set at ``place``; None where there is neither.

    ``place`` itself, or what bears the name of the data set in it. A store of our own is neither.
    """
    if place.is_file():
        return place if place.suffix.lower() in TABLES else None
    if not place.is_dir() or (place / dataset / "fingerprint.json").exists():
        return None
    tables = [place / f"{dataset}{ending}" for ending in TABLES]
    if named := next((path for path in tables if path.is_file()), None):
        return named
    below = place / dataset
    return next((folder for folder in (below, place) if folder.is_dir() and any(flow_files(folder))), None)


def match_of_flow(prediction: Prediction, pair: ImagePair) -> dict[str, Any]:
    """A flow as a match whose patches are the pixels of image 2: ``xy21, grid2, size2, patches2``.

    Raises ValueError for a flow of another size, and where a pixel that counts has none. Where nothing counts, unknown
    flow becomes zero.
    """
    flow, path = torch.as_tensor(prediction.arrays["foreign_flow21"]).float(), prediction.arrays["path"]
    size1, size2 = pair.image1.size, pair.image2.size
    if tuple(flow.shape[1:]) != size2:
        told = f"{path} has {flow.shape[2]} × {flow.shape[1]} pixels, but {pair.image2.name} {size2[1]} × {size2[0]}"
        other = tuple(flow.shape[1:]) == size1
        raise ValueError(
            f"{told}: "
            + (
                f"that is the size of {pair.image1.name}, so it leads the other way. Write the flow that is asked on "
                f"{pair.image2.name} and leads to {pair.image1.name}"
                if other
                else "write the flow at the size of the photograph, in its pixels"
            )
        )
    unknown = ~is_known_flow(flow)
    counted = counted_pixels(pair)
    lacking = int((unknown & counted).sum())
    if lacking:
        raise ValueError(
            f"{path} has no flow at {lacking:,} of the {int(counted.sum()):,} pixels that count. Write a finite number "
            "of pixels there, below 10⁹"
        )
    flow = torch.where(unknown, 0.0, flow)
    xy21 = patch_centres(size2, size2) + flow.flatten(1).T
    return {"xy21": xy21, "grid2": size2, "size2": size2, "patches2": torch.arange(size2[0] * size2[1])}


def lacks_flow(prediction: Prediction, region2: Bool[Tensor, "H2 W2"]) -> bool:
    """Whether a flow of another program is unknown somewhere in a region of image 2."""
    flow = prediction.arrays.get("foreign_flow21")
    return flow is not None and bool((~is_known_flow(torch.as_tensor(flow)) & region2).any())


def keypoints_of_table(prediction: Prediction, pair: ImagePair) -> Float[Tensor, "t 2"]:
    """Where a table puts the keypoints of image 2 on image 1. Raises ValueError for another number of them."""
    if pair.keypoints1 is None:
        raise ValueError(f"{pair.name} has no keypoints, but a dense flow: give a folder of .flo files instead")
    points = torch.as_tensor(prediction.arrays["foreign_xy1"]).float()
    if len(points) != len(pair.keypoints1):
        raise ValueError(
            f"{prediction.arrays['path']}: {pair.name} has {len(points)} keypoints, but the data set "
            f"{len(pair.keypoints1)}: write one for each that both photographs show, in the data set's order"
        )
    return points


def counted_pixels(pair: ImagePair) -> Bool[Tensor, "H2 W2"]:
    """The pixels of image 2 whose flow counts: those of the true flow, or those of keypoints and their neighbours."""
    if pair.flow21 is not None:
        return evaluated_pixels(pair.flow21, pair.known2, pair.image2.mask)
    height, width = pair.image2.size
    counted = torch.zeros(height, width, dtype=torch.bool)
    if pair.keypoints2 is not None:
        x, y = pair.keypoints2.T
        for column, row in ((x.floor(), y.floor()), (x.ceil(), y.floor()), (x.floor(), y.ceil()), (x.ceil(), y.ceil())):
            counted[row.long().clamp(0, height - 1), column.long().clamp(0, width - 1)] = True
    return counted
