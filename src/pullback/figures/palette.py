"""Colours that carry meaning: positions on a surface, errors, features, and the lines of a plot."""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap
from numpy import ndarray

from pullback.figures.camera import View

# Lines of a plot on a light and on a dark page. Each set keeps every two of its colours at least 0.11 apart in Oklab
# for normal vision and for simulated protanopia, deuteranopia and tritanopia, and has contrast 3 or more with its page;
# a test measures both.
SERIES_LIGHT = ("#1a4fa1", "#c1871b", "#1d8b75", "#881463", "#c33700", "#0898f7")
SERIES_DARK = ("#4b88da", "#fd9b00", "#04d7a3", "#d5a1fc", "#ec5c3c", "#aceeff")
DASHES = ("solid", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 2, 2)), (0, (10, 3)), (0, (1, 1)))

ERROR_MAP: Colormap = LinearSegmentedColormap.from_list(
    "error", ["#e9ecef", "#f6d58a", "#f0913c", "#c8352b", "#5c0d3a"]
)
FEATURE_MAP: Colormap = colormaps["coolwarm"]  # even lightness: shading stays visible (Moreland 2009)
SIGNED_MAP: Colormap = colormaps["RdBu_r"]
MAGNITUDE_MAP: Colormap = LinearSegmentedColormap.from_list(
    "magnitude", ["#f7f7f7", "#b9c3e0", "#7d74b6", "#521f75", "#1a0320"]
)
CONFIDENCE_MAP: Colormap = LinearSegmentedColormap.from_list("confidence", ["#e9ecef", "#a9cfd8", "#3f95ad", "#0f4c6e"])
UNKNOWN = np.array([0.66, 0.68, 0.70])  # a surface of which nothing is known

_OKLAB_TO_LMS = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_LMS_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def position_colors(verts: Float[ndarray, "n 3"], *, view: View | None = None) -> Float[ndarray, "n 3"]:
    """A smooth sRGB colour for each point, not symmetric: a map that flips a shape shows at once.

    The position as the camera sees it becomes a colour in Oklab: left to right runs green to red, below to above blue
    to yellow, far to near dark to light. Half of each coordinate is its rank among the points, so that limbs use the
    palette too.
    """
    seen = verts @ (view or View()).rotation().T
    span = np.maximum(np.ptp(seen, axis=0), 1e-12)
    rank = np.argsort(np.argsort(seen, axis=0, kind="stable"), axis=0) / max(len(verts) - 1, 1)
    across, above, near = (0.5 * (seen - seen.min(axis=0)) / span + 0.5 * rank - 0.5).T
    return srgb_from_oklab(np.stack([0.70 + 0.15 * above + 0.25 * near, 0.34 * across, 0.34 * above], axis=1))


def srgb_from_oklab(lab: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """sRGB in [0, 1] of Oklab colours (Ottosson 2020), clipped to the gamut."""
    linear = np.clip((lab @ _OKLAB_TO_LMS.T) ** 3 @ _LMS_TO_LINEAR.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def value_colors(values: Float[ndarray, " n"], colormap: Colormap, *, low: float, high: float) -> Float[ndarray, "n 3"]:
    """sRGB colours of numbers on a scale from ``low`` to ``high``, clamped at its ends; NaN is grey."""
    unit = (values - low) / max(high - low, 1e-12)
    known = np.isfinite(unit)
    return np.where(known[:, None], colormap(np.clip(np.where(known, unit, 0), 0, 1))[:, :3], UNKNOWN)
