"""Photographs of different patch grids in one tensor: padded, with a mask that says which rows are there."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pullback.types import Movable, PatchImage


@dataclass(frozen=True)
class PaddedPatches(Movable):
    """One photograph of each of p pairs. Rows that are not ``present`` hold zeros and must not count."""

    feat: Float[Tensor, "p n c"]
    present: Bool[Tensor, "p n"]
    index: Int[Tensor, "p n"]  # row-major index of the patch in its grid
    place: Float[Tensor, "p n 2"]  # xy of the patch's centre, as a fraction of the photograph's width and height

    @property
    def is_full(self) -> bool:
        """Are all photographs of one size? A kernel may then do without the mask."""
        return bool(self.present.all())


def pad_patches(images: Sequence[PatchImage], feats: Sequence[Float[Tensor, "_ c"]]) -> PaddedPatches:
    """Photographs with ``feats`` as the values at their patches."""
    places, present = [], []
    for image in images:
        rows, cols = image.grid
        xy = torch.stack([image.patches % cols, image.patches.div(cols, rounding_mode="floor")], dim=1)
        places.append((xy + 0.5) / torch.tensor([cols, rows], device=xy.device))
        present.append(torch.ones_like(image.patches, dtype=torch.bool))
    return PaddedPatches(
        feat=stack_padded(feats),
        present=stack_padded(present),
        index=stack_padded([image.patches for image in images]),
        place=stack_padded(places),
    )


def stack_padded(rows: Sequence[Tensor]) -> Tensor:
    """Tensors (n_i, ...) as one (p, max n, ...), filled with zeros."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
