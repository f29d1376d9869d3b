"""Where single places of one photograph land on the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from pullback.brief import OneLine
from pullback.mapping.grid_match import keypoints_from_match, patch_of
from pullback.tasks.image.judging import ImageVerdict
from pullback.tasks.point_tables import SIDES, opposite
from pullback.types import Image, ImagePair, PatchImage, PatchMatch, PatchPair


@dataclass(frozen=True, repr=False)
class PlacesLanding(OneLine):
    """Places on one side and the places on the other that they land on: xy in pixels, from 0; NaN where on nothing."""

    side: str  # on which the places were given: source | target
    place: Float[ndarray, "t 2"]
    lands_place: Float[ndarray, "t 2"]
    returns: Float[ndarray, " t"]  # how far from the place the other one is sent back, in pixels
    # the probability that the pair of places is at most 0.10 of the longer side off
    confidence: Float[ndarray, " t"] | None

    def rows(self) -> list[dict[str, Any]]:
        """A row for each place."""
        other = opposite(self.side)
        return [
            {
                "point": i + 1,
                **_coordinates(self.side, self.place[i]),
                **_coordinates(other, self.lands_place[i]),
                "returns_within": round(float(self.returns[i]), 2),
                **({} if self.confidence is None else {"confidence": round(float(self.confidence[i]), 4)}),
            }
            for i in range(len(self.place))
        ]

    def on(self, side: str) -> Float[ndarray, "t 2"]:
        """The places on a side, given or landed on."""
        return self.place if side == self.side else self.lands_place


def land_places(
    pair: ImagePair,
    patches: PatchPair,
    match: PatchMatch,
    reverse: PatchMatch,
    places: Float[Tensor, "t 2"],
    *,
    side: str = "source",
    verdict: ImageVerdict | None = None,
) -> PlacesLanding:
    """Where places on the ``side`` land: those of the target by the match, those of the source by the one back.

    Each moves as its pixel does, bilinearly between patches. A place outside the mask of its photograph lands nowhere.
    """
    one, two = (pair.image1, patches.image1, reverse), (pair.image2, patches.image2, match)
    (photo, here, way), (_, there, back) = (one, two) if side == SIDES[0] else (two, one)
    lands = _carried(places, way, here)
    known = _on_mask(photo, places)
    returns = (_carried(lands, back, there) - places).norm(dim=1).numpy()
    on_target = lands if side == SIDES[0] else places
    return PlacesLanding(
        side,
        places.double().numpy(),
        np.where(known[:, None], lands.double().numpy(), np.nan),
        np.where(known, returns, np.nan),
        None if verdict is None else np.where(known, _certain(verdict, patches.image2, on_target), 0),
    )


def _carried(places: Float[Tensor, "t 2"], way: PatchMatch, image: PatchImage) -> Float[Tensor, "t 2"]:
    return keypoints_from_match(places, way.xy21, image.grid, image.size, image.patches)


def _on_mask(photo: Image, places: Float[Tensor, "t 2"]) -> Bool[ndarray, " t"]:
    if photo.mask is None:
        return np.ones(len(places), dtype=bool)
    height, width = photo.size
    x, y = places.round().long().T
    return photo.mask[y.clamp(0, height - 1), x.clamp(0, width - 1)].numpy()


def _certain(verdict: ImageVerdict, image2: PatchImage, places2: Float[Tensor, "t 2"]) -> Float[ndarray, " t"]:
    """The confidence of the patches that places of the target lie in; 0 outside the graph."""
    whole = verdict.confidence2.new_zeros(image2.grid[0] * image2.grid[1])
    whole[image2.patches] = verdict.confidence2
    return whole[patch_of(places2, image2.grid, image2.size)].double().numpy()


def _coordinates(side: str, place: Float[ndarray, "2"]) -> dict[str, float]:
    return {f"{side}_{axis}": round(float(value), 2) for axis, value in zip("xy", place, strict=True)}
