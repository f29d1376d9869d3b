"""Features of a photograph as a caller holds them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pullback.writing import write_atomically


class PhotoFeatures(NamedTuple):
    """Features of a photograph on a grid of h × w patches that covers it evenly."""

    features: Float[ndarray, "h w c"]
    # x, y of the middle of each patch in pixels of the photograph: x right, y down, from 0
    places: Float[ndarray, "h w 2"]
    size: tuple[int, int]  # height and width of the photograph in pixels
    channels: dict[str, int]  # of each layer, in the order in which they lie beside each other
    branch: str  # the network in words

    def save(self, path: str | Path) -> Path:
        """Writes an ``.npz`` with the arrays features, places, size, layers, channels and branch."""
        arrays: dict[str, Any] = {
            "features": self.features,
            "places": self.places,
            "size": np.array(self.size),
            "layers": np.array(list(self.channels)),
            "channels": np.array(list(self.channels.values())),
            "branch": np.array(self.branch),
        }
        write_atomically(Path(path), lambda file: np.savez(file, **arrays))
        return Path(path)
