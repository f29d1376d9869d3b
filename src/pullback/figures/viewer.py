"""Two matched meshes as one page to turn and to point at: a file that needs neither network nor server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.colors import Colormap
from numpy import ndarray

from pullback.figures.alignment import aligning_rotation
from pullback.figures.camera import View
from pullback.figures.correspondence import ERROR_LIMIT
from pullback.figures.packing import packed, packed_columns, packed_ids, packed_levels
from pullback.figures.page import page, script, script_data
from pullback.figures.palette import CONFIDENCE_MAP, ERROR_MAP, FEATURE_MAP, MAGNITUDE_MAP, SIGNED_MAP, position_colors
from pullback.figures.three import three_js
from pullback.writing import write_atomically

_SCRIPTS = ("data", "camera", "stage", "colours", "pointing", "viewer")
_STOPS = 64  # of each colour scale
_WEIGHT = 4_000_000  # bytes of eigenfunctions for one mesh before they are deflated
_FEWEST, _MOST = 12, 60  # eigenfunctions on the page


@dataclass(frozen=True)
class Side:
    """One of the two meshes. Row i of everything is vertex i; ``ids`` are their numbers in the file."""

    name: str
    verts: Float[ndarray, "n 3"]
    faces: Int[ndarray, "f 3"]
    ids: Int[ndarray, " n"] | None = None
    evecs: Float[ndarray, "n k"] | None = None
    mass: Float[ndarray, " n"] | None = None
    features: Float[ndarray, "n c"] | None = None  # of the channels that are shown


@dataclass(frozen=True)
class ViewedPair:
    """What the page shows. Vertices of shape 2 without a match have -1 in ``p2p21``, those of shape 1 in ``p2p12``."""

    title: str
    side1: Side
    side2: Side
    p2p21: Int[ndarray, " n2"]
    p2p12: Int[ndarray, " n1"]
    fmap12: Float[ndarray, "k2 k1"] | None = None
    confidence2: Float[ndarray, " n2"] | None = None
    errors2: Float[ndarray, " n2"] | None = None  # units of √area of shape 1; NaN where unknown
    channels: Sequence[str] = ()  # names of the feature channels
    view: View = field(default_factory=View)
    told: Sequence[str] = ()  # sentences under the title


def viewer_html(pair: ViewedPair) -> str:
    """The page. Raises ViewerError where nothing is installed that could show it."""
    return page(
        "viewer.html.j2",
        title=pair.title,
        told=pair.told,
        names=(pair.side1.name, pair.side2.name),
        channels=pair.channels,
        k=shown_eigenfunctions(pair),
        has_errors=pair.errors2 is not None,
        has_confidence=pair.confidence2 is not None,
        data=script_data(_data(pair)),
        library=three_js(),
        scripts=[script(f"viewer/{name}.js") for name in _SCRIPTS],
    )


def write_viewer(path: str | Path, pair: ViewedPair) -> Path:
    """Writes the page, whole or not at all, and returns its path. Raises ViewerError."""
    path, html = Path(path), viewer_html(pair)
    write_atomically(path, lambda file: file.write(html.encode()))
    return path


def shown_eigenfunctions(pair: ViewedPair) -> int:
    """How many eigenfunctions of either shape are on the page: fewer for finer meshes; 0 where there are none."""
    if pair.side1.evecs is None or pair.side2.evecs is None or pair.fmap12 is None:
        return 0
    n = max(len(pair.side1.verts), len(pair.side2.verts))
    afforded = int(np.clip(_WEIGHT // (2 * n), _FEWEST, _MOST))
    return min(afforded, *pair.fmap12.shape, pair.side1.evecs.shape[1], pair.side2.evecs.shape[1])


def _data(pair: ViewedPair) -> Mapping[str, Any]:
    k = shown_eigenfunctions(pair)
    signs = np.ones(k) if pair.fmap12 is None else np.where(np.diag(pair.fmap12[:k, :k]) < 0, -1.0, 1.0)
    turn = aligning_rotation(pair.side1.verts, pair.side2.verts, pair.p2p21, pair.confidence2)
    colors1 = position_colors(pair.side1.verts.astype(np.float64), view=pair.view)
    bounds = _bounds(pair.side1.features, pair.side2.features)
    data: dict[str, Any] = {
        "sides": [_side(pair.side1, k, bounds), _side(pair.side2, k, bounds)],
        "view": pair.view.rotation().ravel().tolist(),
        "turn": turn.ravel().tolist(),
        "p2p21": packed_ids(pair.p2p21),
        "p2p12": packed_ids(pair.p2p12),
        "colors1": packed(np.round(255 * colors1).astype(np.uint8)),
        "signs2": signs.tolist(),  # of eigenfunctions 2, so that they look like those of shape 1
        "k": k,
        "bounds": bounds,
        "error_limit": ERROR_LIMIT,
        "scales": {name: _stops(scale) for name, scale in _SCALES.items()},
    }
    if pair.fmap12 is not None and k:
        data["fmap12"] = packed(pair.fmap12[:k, :k].astype(np.float32))
    if pair.confidence2 is not None:
        data["confidence2"] = packed_levels(np.asarray(pair.confidence2, dtype=np.float64), low=0.0, high=1.0)
    if pair.errors2 is not None:
        data["errors2"] = packed(np.asarray(pair.errors2, dtype=np.float32))
    return data


_SCALES: Mapping[str, Colormap] = {
    "error": ERROR_MAP,
    "confidence": CONFIDENCE_MAP,
    "signed": SIGNED_MAP,
    "feature": FEATURE_MAP,
    "brush": MAGNITUDE_MAP,
}


def _side(side: Side, k: int, bounds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    low, high = side.verts.min(axis=0), side.verts.max(axis=0)
    step = np.maximum(high - low, 1e-30) / 65535
    data: dict[str, Any] = {
        "name": side.name,
        "low": low.astype(float).tolist(),
        "step": step.astype(float).tolist(),
        "verts": packed(np.round((side.verts - low) / step).astype(np.uint16)),
        "faces": packed_ids(side.faces),
    }
    if side.ids is not None and not np.array_equal(side.ids, np.arange(len(side.ids))):
        data["ids"] = packed_ids(side.ids)
    if k and side.evecs is not None and side.mass is not None:
        data |= {"evecs": packed_columns(side.evecs[:, :k]), "mass": packed(side.mass.astype(np.float32))}
    if side.features is not None:
        columns = zip(side.features.T.astype(np.float64), bounds, strict=True)
        data["features"] = [packed_levels(values, low=low, high=high) for values, (low, high) in columns]
    return data


def _bounds(features1: ndarray | None, features2: ndarray | None) -> list[tuple[float, float]]:
    """The ends of the colour scale of each channel, common to both shapes."""
    if features1 is None or features2 is None:
        return []
    both = np.concatenate([features1, features2]).astype(np.float64)
    return [(float(low), float(high)) for low, high in np.quantile(both, [0.02, 0.98], axis=0).T]


def _stops(colormap: Colormap) -> list[int]:
    return np.round(255 * colormap(np.linspace(0, 1, _STOPS))[:, :3]).astype(int).ravel().tolist()
