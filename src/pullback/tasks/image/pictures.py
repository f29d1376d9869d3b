"""Pictures of evaluated pairs of photographs: from stored matches to what a report shows."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import max_pool2d

from pullback.figures.flow import draw_flow
from pullback.figures.heat import blob, draw_heat_transfer
from pullback.figures.image_pair import dense_errors, draw_dense_correspondence, draw_texture_transfer
from pullback.figures.keypoints import draw_keypoints
from pullback.figures.picture import Panel, Picture
from pullback.mapping.grid_match import flow_from_match, keypoints_from_match
from pullback.mapping.heats import heats_at_matches, heats_by_features, heats_by_fmap, patch_means, pixels_of_patches
from pullback.mapping.readout import Readout
from pullback.metrics.image import ImageScore, evaluated_pixels, object_region
from pullback.types import Image, ImagePair, PatchImage, PatchPair

KAPPA = 0.10  # a keypoint is drawn in blue when its error is below this share of the length of PCK


@dataclass(frozen=True)
class ShownPair:
    """An evaluated pair that the report shows, with its stored match."""

    title: str
    pair: ImagePair
    score: ImageScore
    arrays: dict[str, Any]  # as stored
    match: dict[str, Any]  # xy21, grid2, size2, patches2; empty where there are keypoints alone
    interpolation: str  # of keypoints
    method: str = "this run"  # what made the match, in a word
    patches: PatchPair | None = None  # the patch graphs, where a model is at hand

    @cached_property
    def flow21(self) -> Float[Tensor, "2 H2 W2"]:
        return flow_from_match(**self.match)

    @cached_property
    def matches(self) -> dict[str, dict[str, Any]]:
        """The stored match, and that of concatenated features beside it, by what made them.

        It stands alone without a model, and where it has no functional map, which makes it a baseline itself.
        """
        found = {self.method: self.match}
        if self.patches is not None and "fmap12" in self.arrays:
            _, xy21 = Readout(embedding=["basis", "descriptors"], normalise="patch")(self.patches)
            found["concatenated features"] = {**_of_patches(self.patches.image2), "xy21": xy21.float()}
        return found

    @property
    def fmap12(self) -> Float[Tensor, "k2 k1"] | None:
        """The stored functional map, where it lies between the bases of ``patches``: not one of a mirror image's."""
        if self.patches is None or "fmap12" not in self.arrays:
            return None
        fmap12 = torch.as_tensor(self.arrays["fmap12"]).float()
        known = self.arrays.get("evals1")
        if known is not None:
            evals1 = self.patches.image1.basis.evals[: fmap12.shape[1]]
            if not torch.allclose(torch.as_tensor(known).to(evals1), evals1, rtol=1e-3, atol=1e-5):
                return None
        return fmap12

    @cached_property
    def known2(self) -> Bool[Tensor, "H2 W2"]:
        """The pixels that are measured: those with known flow, else the object's."""
        pair = self.pair
        if pair.flow21 is None:
            return object_region(pair.image2)[0]
        return evaluated_pixels(pair.flow21, pair.known2, pair.image2.mask)

    @property
    def predicted1(self) -> dict[str, Float[Tensor, "t 2"]]:
        """Where the keypoints of image 2 land on image 1: as a table of another program says, or by each match."""
        if "foreign_xy1" in self.arrays:
            return {self.method: torch.as_tensor(self.arrays["foreign_xy1"])}
        keypoints2 = self.pair.keypoints2
        assert keypoints2 is not None  # asked of pairs with keypoints
        return {
            method: keypoints_from_match(keypoints2, **match, interpolation=self.interpolation)
            for method, match in self.matches.items()
        }

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


def _of_patches(image2: PatchImage) -> dict[str, Any]:
    """What a read-out to pixels needs of photograph 2."""
    return {"grid2": image2.grid, "size2": image2.size, "patches2": image2.patches}


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
    picture = draw_dense_correspondence(*shown.photos(), shown.flow21, title=shown.title, errors2=errors2)
    return replace(picture, note=shown.note)


def texture_picture(shown: ShownPair) -> Picture:
    """Image 2 in the rainbow colours and in the look of image 1, by the stored match and by the one beside it."""
    photos = shown.photos()
    drawn: list[Panel] = []
    for method, match in shown.matches.items():
        flow21 = flow_from_match(**match)
        rainbow = draw_dense_correspondence(*photos, flow21, title="").panels
        looks = draw_texture_transfer(*photos, flow21, title="").panels
        if not drawn:
            drawn = [*looks[:2], rainbow[0]]
        drawn += [replace(rainbow[1], label=f"image 2: {method}"), replace(looks[2], label=f"image 2: {method}")]
    return Picture(shown.title, tuple(drawn))


def keypoints_picture(shown: ShownPair) -> Picture:
    """Keypoints of image 2 where the stored match puts them on image 1, right or wrong, and the one beside it."""
    pair, score = shown.pair, shown.score.keypoints
    assert pair.keypoints2 is not None  # asked of pairs with keypoints
    truth1, threshold = (None, None) if score is None else (pair.keypoints1, KAPPA * score.length)
    draw = partial(draw_keypoints, pair.image1, pair.image2, pair.keypoints2, truth1=truth1, threshold=threshold)
    drawn = {method: draw(predicted1, title=shown.title) for method, predicted1 in shown.predicted1.items()}
    own = next(iter(drawn.values()))
    if len(drawn) == 1:
        return own
    panels = (
        replace(each.panels[0], label=f"{method}: {each.note or 'no ground truth'}") for method, each in drawn.items()
    )
    return Picture(shown.title, tuple(panels), note=own.note)


def flow_picture(shown: ShownPair) -> Picture:
    """The flow and its roughness, the true one beside it where it is known."""
    truth, score = shown.pair.flow21, shown.score
    flows = {"predicted": shown.flow21} | ({} if truth is None else {"true": truth})
    parts = {"smoothness": score.smoothness, "of the truth": score.smoothness_truth}
    note = ", ".join(f"{name} {value:.2f}" for name, value in parts.items() if value is not None)
    return draw_flow(shown.pair.image2, flows, title=shown.title, known2=shown.known2, note=note)


def heat_picture(shown: ShownPair) -> Picture:
    """Heat on image 1, carried by all that is at hand: the data set's own, else a spot."""
    photo1, photo2, place2, truth = shown.pair.image1, shown.pair.image2, None, {}
    if shown.pair.heats1 is not None:
        heat1, name = shown.pair.heats1[:1], shown.pair.heat_names[0]
        truth = {} if shown.pair.heats2 is None else {"true": shown.pair.heats2[0]}
    else:
        place1, place2 = shown.place()
        heat1, name = torch.from_numpy(blob(photo1.size, place1, sigma=0.05 * max(photo1.size))).float()[None], ""
    heats2 = {}
    if shown.patches is not None:
        image1, image2 = shown.patches.image1, shown.patches.image2
        means1, shape = patch_means(heat1, image1), (image2.patches, image2.grid, image2.size)
        if shown.fmap12 is not None:
            carried = heats_by_fmap(means1, shown.fmap12, image1, image2)
            heats2["functional map"] = pixels_of_patches(carried, *shape)[0]
        carried = heats_by_features(means1, image1, image2)
        heats2["nearest neighbours of features"] = pixels_of_patches(carried, *shape)[0]
    heats2["point map of this run"] = heats_at_matches(heat1, shown.flow21)[0]
    title = shown.title + (f", {name}" if name else "")
    return draw_heat_transfer(photo1, photo2, heat1[0], heats2 | truth, title=title, place2=place2)
