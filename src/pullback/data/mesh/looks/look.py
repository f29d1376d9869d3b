"""The look of a mesh: what its file says of its surface beside the shape, for its vertices and triangles in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, Num, UInt8
from numpy import ndarray

from pullback.brief import OneLine
from pullback.data.image.textures import Texture

Rgba = tuple[int, int, int, int]
WHITE: Rgba = (255, 255, 255, 255)


@dataclass(frozen=True, repr=False)
class Material(OneLine):
    """What some triangles are made of: one colour, or an image."""

    name: str
    color: Rgba = WHITE
    texture: Texture | None = None


@dataclass(frozen=True, repr=False)
class Look(OneLine):
    """Colours, textures and values of a mesh of n vertices and f triangles; what it has not is None or empty."""

    colors: UInt8[ndarray, "n 4"] | None = None  # red, green, blue, alpha
    face_colors: UInt8[ndarray, "f 4"] | None = None
    # places of the corners of the triangles in their texture, from its lower left corner; NaN where there is none
    uv: Float[ndarray, "f 3 2"] | None = None
    materials: tuple[Material, ...] = ()
    material_of: Int[ndarray, " f"] | None = None  # a number of ``materials``; -1: none
    values: Mapping[str, Num[ndarray, " n"]] = field(default_factory=dict)  # whole numbers are labels
    notes: tuple[str, ...] = ()  # what could not be had

    @property
    def has_texture(self) -> bool:
        """Whether any triangle wears an image."""
        return self.uv is not None and any(material.texture is not None for material in self.materials)

    @property
    def has_colors(self) -> bool:
        """Whether anything has a colour of its own."""
        painted = any(material.color != WHITE for material in self.materials)
        return self.colors is not None or self.face_colors is not None or self.has_texture or painted


def as_bytes(values: Num[ndarray, "r c"], *, whole: bool) -> UInt8[ndarray, "r 4"]:
    """Three or four numbers of each colour as red, green, blue, alpha.

    Whole ones count to 255, others to 1.
    """
    scaled = np.nan_to_num(np.asarray(values, dtype=np.float64)) * (1 if whole else 255)
    rgba = np.full((len(scaled), 4), 255, dtype=np.uint8)
    rgba[:, : scaled.shape[1]] = np.clip(np.round(scaled), 0, 255).astype(np.uint8)
    return rgba


def to_255(values: Num[ndarray, "r c"]) -> bool:
    """Whether numbers of colours count to 255, as far as numbers alone tell: one above 1 does."""
    return bool(len(values) and np.nanmax(values) > 1)
