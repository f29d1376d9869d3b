"""Seams of a dense map: where neighbouring pixels go to places far apart, nothing lies between these places."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import distance_transform_edt

_STRETCH = 3.0  # pixels of image 1 for one of image 2, from which on the map is torn rather than stretched


def with_sharp_seams(matches: Float[ndarray, "h w 2"], *, scale: float = 1.0) -> Float[ndarray, "h w 2"]:
    """Matches of a grid of pixels, without what interpolation put into the tears between them.

    A flow that is interpolated across a tear passes all that lies between its sides, in a seam one patch wide: a halo.
    Such pixels move as the nearest sound one does, so that the sides meet in a line. ``scale`` is the distance of
    neighbouring pixels in pixels of image 2. What is not
    known stays so, and where no pixel is sound nothing is changed.
    """
    h, w = matches.shape[:2]
    across, down = (np.linalg.norm(np.diff(matches, axis=axis), axis=-1) > _STRETCH * scale for axis in (1, 0))
    torn = np.zeros((h, w), dtype=bool)
    torn[:, 1:] |= across
    torn[:, :-1] |= across
    torn[1:] |= down
    torn[:-1] |= down
    known = np.isfinite(matches).all(axis=-1)
    sound = known & ~torn
    if sound.all() or not sound.any():
        return matches
    row, column = distance_transform_edt(~sound, return_distances=False, return_indices=True)
    own = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1) * scale
    return np.where(known[..., None], (matches - own)[row, column] + own, matches)
