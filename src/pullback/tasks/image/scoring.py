"""Scores of stored matches of photographs: from patches to pixels, and to figures under a protocol."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.grid_match import flow_from_match, keypoints_from_match
from pullback.mapping.heats import heats_at_matches, pixels_of_patches
from pullback.metrics.heat import HeatScore, score_heat
from pullback.metrics.image import (
    ImageScore,
    PointScore,
    evaluated_pixels,
    object_region,
    reference_length,
    score_flow,
    score_keypoints,
    smoothness,
)
from pullback.tasks.image.foreign import keypoints_of_table, lacks_flow, match_of_flow
from pullback.tasks.image.results import ImageDatasetResult, ImagePairResult, ImageProtocol
from pullback.tasks.scoring import Predictions, score_pairs
from pullback.tasks.store import Prediction
from pullback.types import ImagePair

# Ways of carrying functions, and the arrays of a prediction that hold what they give at the patches of image 2.
CARRIED = {"functional map": "heats_fmap", "nearest neighbours": "heats_features"}


@runtime_checkable
class ImagePairs(Protocol):
    """Pairs of photographs with what is known of their correspondence, by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> ImagePair: ...

    def name(self, i: int) -> str: ...

    def subset(self, i: int) -> str: ...


def score_image_store(
    store: Predictions,
    pairs: ImagePairs,
    *,
    dataset: str,
    split: str,
    protocol: ImageProtocol,
    progress: Callable[[int], None] | None = None,
) -> ImageDatasetResult:
    """Scores the stored match of every pair as the protocol says.

    A pair without one, with one that does not fit it, or whose own files are damaged, has failed.

    ``progress`` is called with 1 after each pair.
    """

    def score(prediction: Prediction, pair: ImagePair) -> ImageScore:
        return score_image_pair(
            prediction, pair, pck_reference=protocol.pck_reference, interpolation=protocol.interpolation
        )

    def outcome(pair: ImagePair, score: ImageScore | None, **rest: Any) -> ImagePairResult:
        names = pair.subset, pair.name, pair.image1.name, pair.image2.name
        return ImagePairResult(*names, score, mirrored=pair.mirrored, **{"message": "; ".join(pair.notes), **rest})

    def unread(i: int, why: str) -> ImagePairResult:
        return ImagePairResult(pairs.subset(i), pairs.name(i), "", "", None, message=why)

    outcomes = score_pairs(store, pairs, score, outcome, progress=progress, unread=unread)
    return ImageDatasetResult(dataset, split, protocol, outcomes)


def score_image_pair(prediction: Prediction, pair: ImagePair, *, pck_reference: str, interpolation: str) -> ImageScore:
    """Everything that is measured on one pair of photographs.

    Raises ValueError when the match was made on photographs of other sizes.

    ``interpolation`` carries the keypoints ("nearest", "bilinear"); ``pck_reference`` names L (see `reference_length`).
    """
    if "foreign_xy1" in prediction.arrays:
        predicted1 = keypoints_of_table(prediction, pair)
        return ImageScore(None, _keypoint_score(predicted1, pair, pck_reference), None, None, "none")
    match = stored_match(prediction, pair)
    flow21, truth21 = flow_from_match(**match), pair.flow21
    flow = keypoints = excluded = None
    if truth21 is None:
        pixels, region = object_region(pair.image2)
    else:
        mask2 = pair.image2.mask
        flow = score_flow(flow21, truth21, pair.known2, length=reference_length(pck_reference, pair), mask2=mask2)
        pixels, region = evaluated_pixels(truth21, pair.known2, mask2), "known pixels"
        excluded = int((~pixels if mask2 is None else mask2 & ~pixels).sum())
    if pair.keypoints1 is not None and pair.keypoints2 is not None:
        predicted1 = keypoints_from_match(pair.keypoints2, **match, interpolation=interpolation)
        keypoints = _keypoint_score(predicted1, pair, pck_reference)
    smooth = None if lacks_flow(prediction, pixels) else smoothness(flow21, pixels)
    smooth_truth = None if truth21 is None else smoothness(truth21, pixels)
    heats = {} if pair.heats1 is None or pair.heats2 is None else _heat_scores(prediction, pair, flow21, match)
    return ImageScore(flow, keypoints, smooth, smooth_truth, region, excluded, heats)


def _heat_scores(
    prediction: Prediction, pair: ImagePair, flow21: Float[Tensor, "2 H2 W2"], match: Mapping[str, Any]
) -> dict[str, HeatScore]:
    """The figures of the functions of a pair, by each way in which they were carried."""
    assert pair.heats1 is not None and pair.heats2 is not None  # asked of such pairs
    carried = {"point map": heats_at_matches(pair.heats1, flow21)}
    for way, name in CARRIED.items():
        if name in prediction.arrays:
            values = torch.as_tensor(prediction.arrays[name])
            carried[way] = pixels_of_patches(values, match["patches2"], match["grid2"], match["size2"])
    scores = {}
    for way, maps in carried.items():
        if len(maps) != len(pair.heats2):
            raise ValueError(
                f"{pair.name}: the match carries {len(maps)} functions and the pair has {len(pair.heats2)}: match anew"
            )
        scores[way] = HeatScore.mean([score_heat(one, truth) for one, truth in zip(maps, pair.heats2, strict=True)])
    return scores


def _keypoint_score(predicted1: Float[Tensor, "t 2"], pair: ImagePair, pck_reference: str) -> PointScore:
    assert pair.keypoints1 is not None  # asked of pairs with keypoints
    return score_keypoints(predicted1, pair.keypoints1, length=reference_length(pck_reference, pair))


def stored_match(prediction: Prediction, pair: ImagePair) -> dict[str, Any]:
    """``xy21, grid2, size2, patches2`` of a stored match: what a read-out to pixels needs.

    Raises ValueError when the match was made on photographs of other sizes than the pair's (another crop), KeyError
    when it was made on meshes. A flow of another program is a match whose patches are pixels.
    """
    if "foreign_flow21" in prediction.arrays:
        return match_of_flow(prediction, pair)
    arrays = {
        name: torch.as_tensor(prediction.arrays[name]) for name in ("xy21", "grid2", "size1", "size2", "patches2")
    }
    sizes = [tuple(arrays[name].tolist()) for name in ("size1", "size2")]
    now = [pair.image1.size, pair.image2.size]
    if sizes != now:
        raise ValueError(
            f"{pair.name}: the match was made on photographs of {sizes[0]} and {sizes[1]} pixels (height, width), "
            f"but they have {now[0]} and {now[1]}; set data.crop as it was, or match the pair anew"
        )
    return {
        "xy21": arrays["xy21"],
        "grid2": tuple(arrays["grid2"].tolist()),
        "size2": sizes[1],
        "patches2": arrays["patches2"],
    }
