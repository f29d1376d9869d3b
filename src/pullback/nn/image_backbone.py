"""From photographs to feature maps on patch grids: what every frozen image backbone shares.

A photograph is resized to the network's input as a whole, neither padded nor cropped, each side rounded down to a
multiple of the patch. The patch grid therefore covers it evenly: the centre of patch (row, col) of a grid (h, w) on a
photograph of (H, W) pixels is ``x = (col + 0.5) W / w - 0.5``, ``y = (row + 0.5) H / h - 0.5``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pullback.errors import UserError
from pullback.nn.weights_hash import sha256_of_weights
from pullback.ranges import at_least
from pullback.types import Image

# Name of a layer or block → its map in float32. Grids may differ between the entries: the sizes are not checked against
# each other.
FeatureMaps = dict[str, Float[Tensor, "_c _h _w"]]
Scalar = str | int | float | bool | None

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SIDES = ("longest", "shortest")
LONGEST = 4  # times the shortest side, where that is scaled to a size: a longer one would fill the memory
FEWEST_PATCHES = 2  # a side of one patch has no neighbours: no graph, no position


class WeightsNotFound(UserError, FileNotFoundError):
    """The weights of a backbone are neither in the folder, nor in the cache, nor to be downloaded."""


class ImageTooNarrow(UserError, ValueError):
    """A photograph that gives no grid of patches."""


class ImageBackbone(nn.Module, ABC):
    """A frozen network (or a formula): photographs in, named feature maps out.

    ``size`` is the longest side of the network's input in pixels (or the shortest, ``size_of``), ``multiple`` what both
    sides are a multiple of.
    Photographs of one input size go through together, at most ``max_batch`` at once. ``precision`` (float32, float16,
    bfloat16) is that of the matrix products on a GPU; on the CPU everything is float32, which is faster there. Maps
    come back in float32 on the module's device.
    """

    # Options that a reader of a result wants to know, in the order in which they are told.
    told: ClassVar[tuple[str, ...]] = ("weights", "layer", "blocks", "facet", "size", "t", "random_seed")
    version = 1  # counts changes of the code that change the features: part of the cache key
    anchor: Tensor  # knows the device, also of a backbone without weights

    def __init__(
        self, *, size: int, multiple: int, precision: str = "float32", max_batch: int = 4, size_of: str = "longest"
    ):
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(f"precision={precision!r} is unknown; use {', '.join(PRECISIONS)}")
        if size_of not in SIDES:
            raise ValueError(f"size_of={size_of!r} is unknown; use {' or '.join(SIDES)}")
        at_least(1, size=size, max_batch=max_batch)
        if size < FEWEST_PATCHES * multiple:
            raise ValueError(
                f"size={size} leaves fewer than {FEWEST_PATCHES} patches of {multiple} pixels; use "
                f"size={16 * multiple} or so"
            )
        self.size, self.multiple, self.precision, self.max_batch = size, multiple, precision, max_batch
        self.size_of = size_of
        self.register_buffer("anchor", torch.empty(0), persistent=False)
        self._weights_sha256: str | None = None

    @abstractmethod
    def compute(
        self, images: Float[Tensor, "b 3 H W"], photos: Sequence[Image]
    ) -> dict[str, Float[Tensor, "b _c _h _w"]]:
        """Maps of a batch of resized photographs.

        Red, green, blue in [0, 1], on the module's device, sides multiples of ``multiple``.

        ``photos`` are the photographs themselves, for what the pixels do not say (the category, for prompts).
        """

    @abstractmethod
    def options(self) -> dict[str, Scalar]:
        """Every option of the subclass that its features depend on."""

    @classmethod
    def describe(cls, options: Mapping[str, Any]) -> str:
        """The network with these options in a few words, for the protocol of results: ``Dino (layer 9, …)``."""
        told = {key: options[key] for key in cls.told if options.get(key) is not None}
        if "weights" in told:
            told["weights"] = Path(str(told["weights"])).name
        return f"{cls.__name__} ({', '.join(f'{key} {value}' for key, value in told.items())})"

    @property
    def device(self) -> torch.device:
        return self.anchor.device

    def freeze(self) -> None:
        """The last line of a subclass's constructor: nothing here is ever trained."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "ImageBackbone":
        """Stays in evaluation mode, whatever the module around it does."""
        return super().train(False)

    def forward(self, photos: Sequence[Image]) -> list[FeatureMaps]:
        """Feature maps of each photograph.

        They do not depend on the photographs beside it (except for the rounding of batched products).

        Raises ValueError for a photograph too narrow for ``FEWEST_PATCHES`` patches a side.
        """
        by_size: dict[tuple[int, int], list[int]] = {}
        for i, photo in enumerate(photos):
            by_size.setdefault(self.input_size(photo), []).append(i)
        found: dict[int, FeatureMaps] = {}
        for size, members in by_size.items():
            for start in range(0, len(members), self.max_batch):
                batch = members[start : start + self.max_batch]
                found.update(zip(batch, self._maps_of([photos[i] for i in batch], size), strict=True))
        return [found[i] for i in range(len(photos))]

    def _maps_of(self, photos: Sequence[Image], size: tuple[int, int]) -> list[FeatureMaps]:
        half = self.device.type == "cuda" and self.precision != "float32"
        # Plain tensors also when the caller is in inference mode (Lightning's test loop): optimisers differentiate
        # through them later.
        with torch.inference_mode(False), torch.no_grad():
            images = torch.stack([resize(photo.pixels.to(self.device), size) for photo in photos])
            with torch.autocast(self.device.type, dtype=PRECISIONS[self.precision] if half else None, enabled=half):
                maps = self.compute(images, photos)
            return [{name: values[i].float().contiguous() for name, values in maps.items()} for i in range(len(photos))]

    def input_size(self, photo: Image) -> tuple[int, int]:
        """Height and width at which the network sees a photograph. Raises ImageTooNarrow."""
        return input_size(photo, size=self.size, multiple=self.multiple, size_of=self.size_of)

    def fingerprint(self) -> dict[str, Scalar]:
        """Everything that the features of a photograph depend on; runs no network.

        The weights are hashed once, on the first call.
        """
        if self._weights_sha256 is None and any(True for _ in self.parameters()):
            self._weights_sha256 = sha256_of_weights(self)
        precision = self.precision if self.device.type == "cuda" else "float32"
        shared: dict[str, Scalar] = {
            "backbone": type(self).__name__,
            "version": self.version,
            "size": self.size,
            "precision": precision,
        }
        return {**shared, **self.options(), "weights_sha256": self._weights_sha256}


def input_size(photo: Image, *, size: int, multiple: int, size_of: str = "longest") -> tuple[int, int]:
    """Height and width of the network's input: longest (or shortest) side ``size``, each a multiple, rounded down.

    Raises ImageTooNarrow when a side gets fewer than ``FEWEST_PATCHES`` patches, or where the shortest is scaled and
    the longest gets more than ``LONGEST`` times its length.
    """
    longest = max(photo.size)
    if size_of == "shortest":
        if longest > LONGEST * min(photo.size):
            raise ImageTooNarrow(
                f"{photo.path or photo.name}: of {photo.size[1]} × {photo.size[0]} pixels (width × height) one side is "
                f"more than {LONGEST} times the other; cut it to a less narrow one, or use size_of=longest"
            )
        longest = min(photo.size)
    height, width = (side * size // longest // multiple * multiple for side in photo.size)
    if min(height, width) < FEWEST_PATCHES * multiple:
        rows, cols = height // multiple, width // multiple
        enough = -(-FEWEST_PATCHES * multiple * longest // min(photo.size))
        raise ImageTooNarrow(
            f"{photo.path or photo.name}: {photo.size[1]} × {photo.size[0]} pixels (width × height) would get a "
            f"grid of {rows} rows and "
            f"{cols} columns of {multiple}-pixel patches at size={size}; at least {FEWEST_PATCHES} of each are needed: "
            "cut it to a less narrow one" + (f", or use size={enough} or more" if enough <= 4 * size else "")
        )
    return height, width


def grid_of(photo: Image, *, size: int, multiple: int) -> tuple[int, int]:
    """Rows and columns of the grid of ``multiple``-pixel patches that covers a photograph.

    Raises ValueError as ``input_size``.
    """
    height, width = input_size(photo, size=size, multiple=multiple)
    return height // multiple, width // multiple


def resize(pixels: UInt8[Tensor, "3 H W"], size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    """A photograph at (height, width), values in [0, 1]: bicubic, low-pass when it shrinks, no overshoot."""
    image = pixels.float()[None] / 255
    if tuple(pixels.shape[1:]) != tuple(size):
        image = nn.functional.interpolate(image, size=tuple(size), mode="bicubic", antialias=True, align_corners=False)
    return image[0].clamp(0, 1)
