"""Pairs of photographs cut down to their objects, with everything that is known of them."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from pullback.data.image.decoding import ImageError
from pullback.types import Image, ImagePair

CROPS = ("none", "box", "mask")

Window = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, the last two not included


def crop_pair(pair: ImagePair, crop: str, *, margin: float = 0.0) -> ImagePair:
    """Both photographs cut to their ``box`` or to the bounding box of their ``mask``; ``none`` gives the pair as it is.

    ``margin`` is added on each side, as a share of the window's longer side. Windows grow to hold their keypoints and
    end at the edge of the photograph. Keypoints, flow, masks and boxes are moved along, so they say the same of the new
    frames; boxes keep their size, and no pixel of ``known2`` that lies in the window is dropped. Raises ImageError
    where box or mask is wanted and there is none.
    """
    if crop not in CROPS:
        raise ImageError(f"crop={crop} is unknown; use one of {', '.join(CROPS)}")
    if crop == "none":
        return pair
    window1 = _window(pair.image1, pair.keypoints1, crop, margin, pair.name)
    window2 = _window(pair.image2, pair.keypoints2, crop, margin, pair.name)
    corner1, corner2 = window1[:2], window2[:2]
    flow21 = pair.flow21
    if flow21 is not None:  # (p2 + corner2) + flow = p1 + corner1
        shift = flow21.new_tensor([corner2[0] - corner1[0], corner2[1] - corner1[1]])
        flow21 = _cut(flow21, window2) + shift[:, None, None]
    return replace(
        pair,
        image1=_cropped(pair.image1, window1),
        image2=_cropped(pair.image2, window2),
        keypoints1=_moved(pair.keypoints1, corner1),
        keypoints2=_moved(pair.keypoints2, corner2),
        flow21=flow21,
        known2=None if pair.known2 is None else _cut(pair.known2, window2),
        heats1=None if pair.heats1 is None else _cut(pair.heats1, window1),
        heats2=None if pair.heats2 is None else _cut(pair.heats2, window2),
    )


def mask_box(mask: Tensor) -> tuple[int, int, int, int]:
    """The first and the last column and row of a mask: x0, y0, x1, y1 (included).

    Raises ImageError for an empty mask.
    """
    if not mask.any():
        raise ImageError("the mask is empty: it marks no pixel of the object")
    columns, rows = mask.any(dim=0).nonzero()[:, 0], mask.any(dim=1).nonzero()[:, 0]
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _window(photo: Image, keypoints: Float[Tensor, "t 2"] | None, crop: str, margin: float, pair: str) -> Window:
    wanted = photo.box if crop == "box" else photo.mask
    if wanted is None:
        raise ImageError(
            f"crop={crop}, but {photo.name} of the pair {pair} has no {crop}; use data.crop=none, or another data set"
        )
    try:
        x0, y0, x1, y1 = wanted.tolist() if crop == "box" else map(float, mask_box(wanted))
    except ImageError as error:
        raise ImageError(f"{photo.name} of the pair {pair}: {error}; use data.crop=none") from None
    border = margin * max(x1 - x0, y1 - y0)
    x0, y0, x1, y1 = x0 - border, y0 - border, x1 + border, y1 + border
    if keypoints is not None and len(keypoints):
        (left, top), (right, bottom) = keypoints.amin(dim=0).tolist(), keypoints.amax(dim=0).tolist()
        x0, y0, x1, y1 = min(x0, left), min(y0, top), max(x1, right), max(y1, bottom)
    height, width = photo.size
    window = max(0, round(x0)), max(0, round(y0)), min(width, round(x1) + 1), min(height, round(y1) + 1)
    if window[2] <= window[0] or window[3] <= window[1]:
        raise ImageError(
            f"{photo.name} of the pair {pair}: its box {wanted.tolist()} lies outside of {width} × {height} pixels"
        )
    return window


def _cropped(photo: Image, window: Window) -> Image:
    mask = None if photo.mask is None else _cut(photo.mask, window)
    box = None if photo.box is None else photo.box - photo.box.new_tensor([*window[:2], *window[:2]])
    return replace(photo, pixels=_cut(photo.pixels, window), mask=mask, box=box)


def _cut(values: Tensor, window: Window) -> Tensor:
    x0, y0, x1, y1 = window
    return values[..., y0:y1, x0:x1].contiguous()


def _moved(points: Float[Tensor, "t 2"] | None, corner: tuple[int, ...]) -> Float[Tensor, "t 2"] | None:
    return None if points is None else points - points.new_tensor(corner)
