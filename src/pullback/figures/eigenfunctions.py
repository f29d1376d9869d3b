"""Eigenfunctions of the patch graphs of two photographs, laid out over the photographs' shapes."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch.nn.functional import interpolate

from pullback.figures.palette import SIGNED_MAP, value_colors
from pullback.figures.picture import ColourBar, Panel, Picture
from pullback.figures.thumbnail import rgba, thumbnails
from pullback.types import Image, PatchImage, PatchPair

SHOWN = (1, 2, 3, 4, 5, 10, 20, 50)
_GAP, _ROW = 8, 3  # pixels between the two photographs; panels in a picture


def draw_eigenfunctions(
    pair: PatchPair, photo1: Image, photo2: Image, *, title: str, shown: Sequence[int] = SHOWN, height: int = 200
) -> list[Picture]:
    """The photographs, then eigenfunctions φᵢ of both side by side, three panels in a picture.

    φ₀ is the lowest, which varies with little but the degree. Each is scaled to its own largest values; signs are
    arbitrary, and so is the order of eigenvalues that lie close together. Those beyond the stored number are left out.
    """
    small1, small2 = thumbnails(photo1, photo2, height=height)
    panels = [Panel(_beside(small1.panel(), small2.panel()), "image 1 · image 2", photographic=True)]
    for i in shown:
        if i < min(pair.image1.basis.k, pair.image2.basis.k):
            images = [
                _function(side, i, small.pixels.shape[:2])
                for side, small in ((pair.image1, small1), (pair.image2, small2))
            ]
            panels.append(Panel(_beside(*images), f"φ {i}"))
    bar = ColourBar(SIGNED_MAP, "−", "+", "each φ on its own scale; signs are arbitrary")
    rows = list(_rows(panels))
    return [Picture(title if i == 0 else "", row, bar=bar if row is rows[-1] else None) for i, row in enumerate(rows)]


def patch_map(image: PatchImage, values: Float[ndarray, " n"], size: tuple[int, int]) -> Float[ndarray, "h w"]:
    """Values of the patches in the graph as an image, bilinear between their centres.

    NaN where there is no patch of the graph.
    """
    cells = image.grid[0] * image.grid[1]
    filled, known = np.zeros(cells), np.zeros(cells)
    patches = image.patches.cpu().numpy()
    filled[patches], known[patches] = values, 1
    both = torch.from_numpy(np.stack([filled, known]).reshape(1, 2, *image.grid))
    smooth, share = interpolate(both, size=size, mode="bilinear", align_corners=False)[0].numpy()
    return np.where(share >= 0.5, smooth / np.maximum(share, 0.5), np.nan)


def _function(image: PatchImage, index: int, size: tuple[int, int]) -> UInt8[ndarray, "h w 4"]:
    values = patch_map(image, image.basis.evecs[:, index].detach().cpu().double().numpy(), size)
    limit = float(np.nanquantile(np.abs(values), 0.99)) if np.isfinite(values).any() else 1.0
    colors = value_colors(values.ravel(), SIGNED_MAP, low=-limit, high=limit).reshape(*size, 3)
    return rgba(np.where(np.isfinite(values)[..., None], colors, np.nan))


def _beside(left: UInt8[ndarray, "h w1 4"], right: UInt8[ndarray, "h w2 4"]) -> UInt8[ndarray, "h w 4"]:
    return np.concatenate([left, np.zeros((left.shape[0], _GAP, 4), dtype=np.uint8), right], axis=1)


def _rows(panels: Sequence[Panel]) -> Iterator[tuple[Panel, ...]]:
    for i in range(0, len(panels), _ROW):
        yield tuple(panels[i : i + _ROW])
