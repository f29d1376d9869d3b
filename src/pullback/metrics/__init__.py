"""What is measured on a match: pure functions of one pair, and torchmetrics classes that gather pairs into a figure."""

from torchmetrics import Metric

from pullback.metrics.averages import (
    Coverage,
    FlipRate,
    GeodesicAuc,
    GeodesicError,
    GeodesicPck,
    GeodesicQuantile,
    MedianGeodesicError,
    aggregate,
    standard_metrics,
)
from pullback.metrics.geodesic import PairScore, score_pair
from pullback.metrics.image import ImageScore, PointScore
from pullback.metrics.image_averages import EndPointError, ImagePck, KeypointError, Smoothness, image_metrics

__all__ = [
    "Coverage",
    "EndPointError",
    "FlipRate",
    "GeodesicAuc",
    "GeodesicError",
    "GeodesicPck",
    "GeodesicQuantile",
    "ImagePck",
    "ImageScore",
    "KeypointError",
    "MedianGeodesicError",
    "Metric",
    "PairScore",
    "PointScore",
    "Smoothness",
    "aggregate",
    "image_metrics",
    "score_pair",
    "standard_metrics",
]
