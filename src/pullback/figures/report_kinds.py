"""What the reports of meshes and of photographs say differently: metrics, and words around pictures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Metric:
    """How a metric is written. The number shown is ``factor`` times the stored one."""

    heading: str
    form: str = "{:.4g}"
    factor: float = 1.0
    unit: str = ""  # behind the number where it stands alone

    def shown(self, value: Any) -> Any:
        """The number as text; what is no number, or NaN, stays what it is."""
        if not isinstance(value, float) or math.isnan(value):
            return value
        return self.form.format(self.factor * value)


@dataclass(frozen=True)
class ReportKind:
    """The words and number formats of one kind of report."""

    metrics: Mapping[str, Metric]  # in the order of the columns; others follow under their own names
    headlines: Mapping[str, str]  # metric → what it is, in words; a data set's card shows the first one that is known
    worst: tuple[str, float]  # column of pairs.csv, and 1 where large values are bad, -1 where small ones are
    note: str  # under the table of results
    correspondences: str  # above the pictures
    pck_caption: str
    pck_axis: str
    fmap_label: str
    fmap_caption: str
    never: tuple[str, ...] = field(default=())  # sections that no report of this kind has

    def metric(self, name: str) -> Metric:
        return self.metrics.get(name, Metric(name))


MESHES = ReportKind(
    metrics={
        "geodesic_error_x100": Metric("mean error ×100", "{:.2f}"),
        "geodesic_error_micro_x100": Metric("micro", "{:.2f}"),
        "geodesic_error_median_x100": Metric("median", "{:.2f}"),
        "auc@0.10": Metric("AUC@0.10", "{:.3f}"),
        "auc@0.20": Metric("AUC@0.20", "{:.3f}"),
        "pck@0.05": Metric("PCK@0.05", "{:.3f}"),
        "pck@0.10": Metric("PCK@0.10", "{:.3f}"),
        "coverage": Metric("coverage", "{:.3f}"),
        "flip_rate": Metric("flips", "{:.3f}"),
    },
    headlines={"geodesic_error_x100": "mean geodesic error ×100"},
    worst=("geodesic_error_x100", 1.0),
    note="Geodesic errors are in units of √area of shape 1, ×100; micro, "
    "median, AUC and PCK pool the landmarks of all pairs.",
    correspondences="Every point of shape 2 wears the colour of the point of shape 1 that it is mapped to: "
    "equal places should have equal colours.",
    pck_caption="Share of all landmarks whose geodesic error is at most the threshold.",
    pck_axis="geodesic error ×100 (unit: √area)",
    fmap_label="Functional map before and after refinement",
    fmap_caption="Signs of eigenfunctions are arbitrary: a good map of near-isometric shapes is a narrow diagonal "
    "in the lower row.",
)

IMAGES = ReportKind(
    metrics={
        **{f"pck@{kappa}": Metric(f"PCK@{kappa} %", "{:.1f}", 100.0, " %") for kappa in ("0.05", "0.10", "0.20")},
        **{
            f"pck@{kappa}_per_point": Metric(f"@{kappa}/pt %", "{:.1f}", 100.0, " %")
            for kappa in ("0.05", "0.10", "0.20")
        },
        "epe": Metric("EPE px", "{:.1f}", unit=" px"),
        "smoothness": Metric("smoothn.", "{:.2f}"),
        "smoothness_truth": Metric("of truth", "{:.2f}"),
        "mean_keypoint_error": Metric("kp. error px", "{:.1f}", unit=" px"),
        "keypoint_mse": Metric("squared px²", "{:.0f}"),
        **{
            f"heat_{measure}_{way}": Metric(f"{short} {carrier}", form)
            for measure, short, form in (
                ("kl", "KL", "{:.2f}"),
                ("similarity", "sim.", "{:.3f}"),
                ("iou", "IoU", "{:.3f}"),
            )
            for way, carrier in (("functional_map", "fmap"), ("nearest_neighbours", "NN"), ("point_map", "points"))
        },
        **{name: Metric(name, "{:.0f}") for name in ("points", "excluded_pixels", "pck_length", "mirrored")},
        "seconds": Metric("seconds", "{:.2f}"),
    },
    headlines={
        "pck@0.10": "PCK@0.10",
        "heat_iou_functional_map": "IoU of functions carried by the functional map",
        "smoothness": "smoothness",
    },
    worst=("pck@0.10", -1.0),
    note="PCK is the share of pixels or keypoints that arrive within 0.05, 0.10 or 0.20 of the length that the "
    "protocol names: a mean "
    "over pairs; /pt is over the points of all pairs. EPE: end-point error of the flow; errors are in pixels of "
    "image 1. Smoothness: mean "
    "change of the flow from pixel to pixel, lower is smoother; the true flow's own value stands beside it. Functions "
    "carried from image 1 to image 2: Kullback-Leibler divergence (lower is better), similarity, and overlap (IoU) of "
    "what is hotter than half of the maximum.",
    correspondences="Image 1 is painted in rainbow colours about the centre of its object; every pixel of image 2 "
    "wears the colour of the "
    "place that it is mapped to, so equal parts should have equal colours.",
    pck_caption="Share of pixels or keypoints whose error is at most the threshold.",
    pck_axis="error, % of the length that the protocol names",
    fmap_label="Functional map: what the solver began with, and its result",
    fmap_caption="Signs of eigenfunctions are arbitrary. Regularisers draw a map towards the diagonal, where "
    "frequencies of both images agree; one that follows the features alone scatters. closed_form begins with such a "
    "map, paper with the least squares of its terms, release with the identity.",
    never=("features", "training"),
)
