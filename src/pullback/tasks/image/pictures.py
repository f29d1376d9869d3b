"""Pictures of evaluated pairs of photographs: from stored matches to what a report shows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, max_pool2d, normalize

from pullback.figures.flow import draw_flow
from pullback.figures.heat import blob, draw_heat_transfer
from pullback.figures.image_pair import dense_errors, draw_dense_correspondence, draw_texture_transfer
from pullback.figures.keypoints import draw_keypoints
from pullback.figures.picture import Picture
from pullback.mapping.grid_match import flow_from_match, heatmap_transfer, keypoints_from_match
from pullback.mapping.pointmap import nearest
from pullback.metrics.image import ImageScore, evaluated_pixels, object_region
from pullback.types import Image, ImagePair, PatchPair

Patches = Callable[[ImagePair], PatchPair]

KAPPA = 0.10  # a keypoint is drawn in blue when its error is below this share of the length of PCK


@dataclass(frozen=True)
class ShownPair:
    """An evaluated pair that the report shows, with its stored match."""

    title: str
    pair: ImagePair
    score: ImageScore
    arrays: dict[str, Any]  # as stored
    match: dict[str, Any]  # xy21, grid2, size2, patches2
    interpolation: str  # of keypoints

    @cached_property
    def flow21(self) -> Float[Tensor, "2 H2 W2"]:
        return flow_from_match(**self.match)

    @cached_property
    def known2(self) -> Bool[Tensor, "H2 W2"]:
        """The pixels that are measured: those with known flow, else the object's."""
        pair = self.pair
        if pair.flow21 is None:
            return object_region(pair.image2)[0]
        return evaluated_pixels(pair.flow21, pair.known2, pair.image2.mask)

    @property
    def has_keypoints(self) -> bool:
        return self.pair.keypoints2 is not None

    @property
    def note(self) -> str:
        mirrored = ("mirrored: left and right of the objects are exchanged",) if self.pair.mirrored else ()
        return "; ".join((*mirrored, *self.pair.notes))

    def photos(self) -> tuple[Image, Image]:
        """The photographs with masks of what there is to show: the objects, or boxes around them.

        All of it where neither is known.
        """
        photo1, photo2 = self.pair.image1, self.pair.image2
        if self.pair.flow21 is None:
            return replace(photo1, mask=_surroundings(photo1)), replace(photo2, mask=_surroundings(photo2))
        return replace(photo1, mask=photo1.mask if photo1.mask is not None else self._landed()), replace(
            photo2, mask=self.known2
        )

    def _landed(self) -> Bool[Tensor, "H1 W1"]:
        """Where the true flow of image 2 lands, with the gaps between the landing places filled."""
        (height, width), truth21 = self.pair.image1.size, self.pair.flow21
        assert truth21 is not None  # asked of pairs with a true flow
        y, x = self.known2.nonzero().T
        column, row = (x + truth21[0, y, x]).round().long(), (y + truth21[1, y, x]).round().long()
        landed = torch.zeros(height, width)
        landed[row.clamp(0, height - 1), column.clamp(0, width - 1)] = 1
        grown = max_pool2d(landed[None], 7, stride=1, padding=3)
        return -max_pool2d(-grown, 7, stride=1, padding=3)[0] > 0.5

    def place(self) -> tuple[Float[ndarray, "2"], Float[ndarray, "2"] | None]:
        """A place on image 1 for heat, and the true one on image 2: a keypoint, or a pixel left of the middle."""
        pair = self.pair
        if pair.keypoints1 is not None and pair.keypoints2 is not None:
            i = int((pair.keypoints1 - pair.keypoints1.mean(dim=0)).norm(dim=1).argmax())
            return pair.keypoints1[i].numpy(), pair.keypoints2[i].numpy()
        if pair.flow21 is None:
            return object_region(pair.image1)[0].nonzero().double().mean(dim=0).flip(0).numpy(), None
        pixels = self.known2.nonzero().double()
        aim = pixels.mean(dim=0) - torch.tensor([0.0, pixels[:, 1].std(correction=0)])
        y, x = pixels[(pixels - aim).norm(dim=1).argmin()].long().tolist()
        return np.array([x, y]) + pair.flow21[:, y, x].double().numpy(), np.array([x, y], dtype=float)


def _surroundings(photo: Image) -> Bool[Tensor, "H W"] | None:
    """The object's mask, or its box and a margin: boxes of keypoints cut off what lies beyond the outermost ones."""
    if photo.mask is not None or photo.box is None:
        return photo.mask
    x0, y0, x1, y1 = photo.box.tolist()
    margin = 0.15 * max(x1 - x0, y1 - y0)
    return object_region(replace(photo, box=photo.box + margin * photo.box.new_tensor([-1, -1, 1, 1])))[0]


def correspondence_picture(shown: ShownPair) -> Picture:
    """Rainbow colours by place, carried 2 → 1, and the errors where the truth is dense."""
    pair, errors2 = shown.pair, None
    if pair.flow21 is not None:
        errors2 = dense_errors(shown.flow21, pair.flow21, size1=pair.image1.size, known2=shown.known2)
    return replace(
        draw_dense_correspondence(*shown.photos(), shown.flow21, title=shown.title, errors2=errors2), note=shown.note
    )


def texture_picture(shown: ShownPair) -> Picture:
    """Image 2 in the colours of image 1."""
    return draw_texture_transfer(*shown.photos(), shown.flow21, title=shown.title)


def keypoints_picture(shown: ShownPair) -> Picture:
    """Keypoints of image 2 where the stored match puts them on image 1, right or wrong."""
    pair, score = shown.pair, shown.score.keypoints
    assert pair.keypoints2 is not None  # asked of pairs with keypoints
    predicted1 = keypoints_from_match(pair.keypoints2, **shown.match, interpolation=shown.interpolation)
    truth1, threshold = (None, None) if score is None else (pair.keypoints1, KAPPA * score.length)
    photos = pair.image1, pair.image2
    return draw_keypoints(*photos, pair.keypoints2, predicted1, title=shown.title, truth1=truth1, threshold=threshold)


def flow_picture(shown: ShownPair) -> Picture:
    """The flow and its roughness, the true one beside it where it is known."""
    truth, score = shown.pair.flow21, shown.score
    flows = {"predicted": shown.flow21} | ({} if truth is None else {"true": truth})
    note = f"smoothness {score.smoothness:.2f}" + (
        "" if score.smoothness_truth is None else f", of the truth {score.smoothness_truth:.2f}"
    )
    return draw_flow(shown.pair.image2, flows, title=shown.title, known2=shown.known2, note=note)


def heat_picture(shown: ShownPair, patches: Patches | None) -> Picture:
    """A spot of heat on image 1, carried by all that is at hand."""
    photo1, photo2 = shown.pair.image1, shown.pair.image2
    place1, place2 = shown.place()
    heat1 = torch.from_numpy(blob(photo1.size, place1, sigma=0.05 * max(photo1.size))).float()
    heats2 = {}
    if patches is not None:
        graphs = patches(shown.pair)
        if "fmap12" in shown.arrays:
            fmap12 = torch.as_tensor(shown.arrays["fmap12"]).float()
            heats2["functional map"] = heatmap_transfer(heat1, fmap12, graphs.image1, graphs.image2)
        heats2["nearest neighbours of features"] = heat_by_nearest(heat1, graphs)
    heats2["point map of this run"] = heat_at_matches(heat1, shown.flow21)
    return draw_heat_transfer(photo1, photo2, heat1, heats2, title=shown.title, place2=place2)


def heat_by_nearest(heat1: Float[Tensor, "H1 W1"], pair: PatchPair) -> Float[Tensor, "H2 W2"]:
    """Heat on photograph 1 carried to photograph 2, each patch from the one with the most similar descriptor."""
    means = interpolate(heat1[None, None], size=pair.image1.grid, mode="area").flatten()
    p2p21 = nearest(normalize(pair.image2.feat.float(), dim=1), normalize(pair.image1.feat.float(), dim=1))
    carried = means.new_zeros(pair.image2.grid[0] * pair.image2.grid[1])
    carried[pair.image2.patches.cpu()] = means[pair.image1.patches.cpu()[p2p21.cpu()]]
    return interpolate(
        carried.view(1, 1, *pair.image2.grid), size=pair.image2.size, mode="bilinear", align_corners=False
    )[0, 0]


def heat_at_matches(heat1: Float[Tensor, "H1 W1"], flow21: Float[Tensor, "2 H2 W2"]) -> Float[Tensor, "H2 W2"]:
    """The heat of photograph 1 at the match of each pixel of photograph 2; zero where the match lies outside."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=flow21.dtype) for n in flow21.shape[1:]), indexing="ij")
    size = flow21.new_tensor([heat1.shape[1], heat1.shape[0]])
    at = (2 * (torch.stack([x, y], dim=-1) + flow21.permute(1, 2, 0)) + 1) / size - 1
    return grid_sample(heat1.to(flow21.dtype)[None, None], at[None], align_corners=False)[0, 0]
