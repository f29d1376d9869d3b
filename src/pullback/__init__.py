"""Pullback: correspondence with functional maps, between 3D shapes and between images.

    import pullback as pb

    m = pb.match("a.off", "b.off")      # or arrays, meshes of other libraries, photographs
    m.p2p21, m.fmap12, m.pull_back(values), m.save("results")

The names in ``__all__`` are what other programs may rely on. Each is imported when it is first used: importing the
package itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pullback.waiting import load_torch

if TYPE_CHECKING:
    from pullback.api.feature_grids import PhotoFeatures
    from pullback.api.image_results import ImageMatch
    from pullback.api.matching import match
    from pullback.api.pairs import MatchedPair, match_pairs
    from pullback.api.parts import Refined, Spectrum, features, prepare, spectrum, zoomout
    from pullback.api.results import MeshMatch
    from pullback.data.mesh.shapes import PreparedShape
    from pullback.errors import UserError
    from pullback.types import Eigenbasis, Shape

__version__ = "0.1.0"

__all__ = [
    "Eigenbasis",
    "ImageMatch",
    "MatchedPair",
    "MeshMatch",
    "PhotoFeatures",
    "PreparedShape",
    "Refined",
    "Shape",
    "Spectrum",
    "UserError",
    "features",
    "match",
    "match_pairs",
    "prepare",
    "spectrum",
    "zoomout",
]

_HOMES = {
    "pullback.api.matching": ("match",),
    "pullback.api.pairs": ("MatchedPair", "match_pairs"),
    "pullback.api.parts": ("Refined", "Spectrum", "features", "prepare", "spectrum", "zoomout"),
    "pullback.api.image_results": ("ImageMatch",),
    "pullback.api.feature_grids": ("PhotoFeatures",),
    "pullback.api.results": ("MeshMatch",),
    "pullback.data.mesh.shapes": ("PreparedShape",),
    "pullback.errors": ("UserError",),
    "pullback.types": ("Eigenbasis", "Shape"),
}
_LIGHT = ("pullback.api.matching", "pullback.errors")  # that load PyTorch later, or never


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'pullback' has no attribute {name!r}")
    if home not in _LIGHT:
        load_torch()
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
