"""What is measured on a match: pure functions of one pair, and torchmetrics classes that gather pairs into a figure."""

from pullback.metrics.averages import (
    Coverage,
    FlipRate,
    GeodesicAuc,
    GeodesicError,
    GeodesicPck,
    MedianGeodesicError,
    aggregate,
    standard_metrics,
)
from pullback.metrics.geodesic import PairScore, score_pair

__all__ = [
    "Coverage",
    "FlipRate",
    "GeodesicAuc",
    "GeodesicError",
    "GeodesicPck",
    "MedianGeodesicError",
    "PairScore",
    "aggregate",
    "score_pair",
    "standard_metrics",
]
