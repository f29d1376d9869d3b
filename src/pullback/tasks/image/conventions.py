"""Whether another program writes in another convention than ours: told by what fits the ground truth far better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.tasks.image.foreign import counted_pixels
from pullback.tasks.store import Prediction
from pullback.types import ImagePair

_FACTOR = 2.0  # predictions that fit so much better when they are read in another way are suspected to be meant so

Values = Float[Tensor, "t 2"]


@dataclass(frozen=True)
class Convention:
    """Another way to write flows or keypoints: ``read`` makes ours of it, given the size to which shares refer."""

    fits: str  # in words: "… fit the truth better with their sign exchanged"
    advice: str
    read: Callable[[Values, tuple[int, int]], Values]


def _of_shares(values: Values, size: tuple[int, int]) -> Values:
    return values * values.new_tensor([size[1], size[0]])


_AXES = Convention("with x and y exchanged", "Write x, to the right, before y, down", lambda xy, _: xy.flip(1))
_SHARES = Convention("as shares of width and height", "Write pixels of the whole photograph", _of_shares)
FLOWS = (
    Convention(
        "with their sign exchanged",
        "Do they lead from image 1 to image 2? Flows are asked on image 2 and lead to image 1: place on image 1 = "
        "pixel of image 2 + flow",
        lambda xy, _: -xy,
    ),
    _AXES,
    _SHARES,
)
KEYPOINTS = (_AXES, _SHARES)


def suspected(prediction: Prediction, pair: ImagePair) -> Convention | None:
    """The convention in which a prediction fits the truth much better than as it is; None where there is none.

    Raises ValueError for a prediction of another size or number than the truth's.
    """
    arrays = prediction.arrays
    if "foreign_flow21" in arrays and pair.flow21 is not None:
        pixels, flow = counted_pixels(pair), torch.as_tensor(arrays["foreign_flow21"]).double()
        if flow.shape != pair.flow21.shape:
            raise ValueError(f"{pair.name}: the flow has another size than the photograph")
        return _best(FLOWS, flow[:, pixels].T, pair.flow21[:, pixels].T.double(), pair.image2.size)
    if "foreign_xy1" in arrays and pair.keypoints1 is not None:
        points = torch.as_tensor(arrays["foreign_xy1"]).double()
        if points.shape != pair.keypoints1.shape:
            raise ValueError(f"{pair.name}: another number of keypoints")
        return _best(KEYPOINTS, points, pair.keypoints1.double(), pair.image1.size)
    return None


def _best(
    conventions: tuple[Convention, ...], values: Values, truth: Values, size: tuple[int, int]
) -> Convention | None:
    errors: Mapping[Convention, float] = {each: _error(each.read(values, size), truth) for each in conventions}
    best = min(errors, key=lambda each: errors[each])
    return best if errors[best] * _FACTOR < _error(values, truth) else None


def _error(values: Values, truth: Values) -> float:
    return float((values - truth).norm(dim=1).mean())
