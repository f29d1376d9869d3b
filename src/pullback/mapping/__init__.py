"""Maps between two domains: point maps 2 → 1, hard and soft, functional maps 1 → 2, and conversions."""

from pullback.mapping.hard_map import HardMap
from pullback.mapping.pointmap import compose, coverage, nearest
from pullback.mapping.softmap import DenseSoftMap, soft_map
from pullback.mapping.softmap_blocked import BlockedSoftMap
from pullback.mapping.triangles import PreciseMap, precise_map

__all__ = [
    "BlockedSoftMap",
    "DenseSoftMap",
    "HardMap",
    "PreciseMap",
    "compose",
    "coverage",
    "nearest",
    "precise_map",
    "soft_map",
]
