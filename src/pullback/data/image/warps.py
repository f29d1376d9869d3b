"""Smooth warps in closed form: exact correspondence between a photograph and its distorted copy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.image.annotations import is_number, require_keys
from pullback.data.image.decoding import ImageError


@dataclass(frozen=True)
class Warp:
    """Where a pixel of image 2 lies on image 1.

    ``matrix @ (x, y, 1) + Σ (ax, ay) sin(2π (cx x / W2 + cy y / H2 + phase))``.

    ``matrix`` is affine (2 rows of 3), in pixels; a row of ``waves`` is (ax, ay, cx, cy, phase): amplitudes in pixels,
    waves per width and height of image 2, and the phase in turns. ``size2`` is (H2, W2).
    """

    matrix: Sequence[Sequence[float]]
    waves: Sequence[Sequence[float]]
    size2: tuple[int, int]

    @classmethod
    def of(cls, written: Any, size2: tuple[int, int], *, where: str = "pairs.json") -> "Warp":
        """From its entry in ``pairs.json``. Raises ImageError, beginning with ``where``, for what is no warp."""
        known = require_keys(written, ("matrix", "waves"), f"{where}: warp", "a warp of matrix and waves")
        for key, rows, columns in (("matrix", 2, 3), ("waves", None, 5)):
            table = known[key]
            is_table = isinstance(table, list) and (rows is None or len(table) == rows)
            if not is_table or not all(
                isinstance(row, list) and len(row) == columns and all(map(is_number, row)) for row in table
            ):
                raise ImageError(
                    f"{where}: {key} of its warp should be {rows or 'some'} rows of {columns} finite numbers"
                )
        matrix, waves = ([[float(value) for value in row] for row in known[key]] for key in ("matrix", "waves"))
        return cls(matrix, waves, size2)

    def xy21(self, xy2: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
        """The places on image 1 of points of image 2, in pixels."""
        matrix, waves = xy2.new_tensor(self.matrix), xy2.new_tensor(self.waves).reshape(-1, 5)
        turns = (xy2 / self._extent(xy2)) @ waves[:, 2:4].T + waves[:, 4]
        return xy2 @ matrix[:, :2].T + matrix[:, 2] + torch.sin(2 * torch.pi * turns) @ waves[:, :2]

    def jacobian(self, xy2: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2 2"]:
        """Derivatives of ``xy21``: entry (i, j) is that of coordinate i along coordinate j.

        A positive determinant everywhere: no fold.
        """
        matrix, waves = xy2.new_tensor(self.matrix), xy2.new_tensor(self.waves).reshape(-1, 5)
        turns = (xy2 / self._extent(xy2)) @ waves[:, 2:4].T + waves[:, 4]
        slopes = waves[:, :2, None] * (waves[:, None, 2:4] / self._extent(xy2))
        return matrix[:, :2] + 2 * torch.pi * torch.einsum("...w,wij->...ij", torch.cos(2 * torch.pi * turns), slopes)

    def flow21(self) -> Float[Tensor, "2 H2 W2"]:
        """The displacement of every pixel of image 2, in float32."""
        pixels = self.pixels2()
        return (self.xy21(pixels) - pixels).permute(2, 0, 1).float().contiguous()

    def pixels2(self) -> Float[Tensor, "H2 W2 2"]:
        """The pixel centres (x, y) of image 2, in float64."""
        rows, columns = (torch.arange(length, dtype=torch.float64) for length in self.size2)
        return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)

    def _extent(self, like: Tensor) -> Float[Tensor, "2"]:
        return like.new_tensor([self.size2[1], self.size2[0]])
