"""What a person looks at: correspondences of shapes and of photographs, curves, functional maps, HTML reports.
No display, no network.
"""

from pullback.figures.camera import View, broadest_view
from pullback.figures.correspondence import draw_correspondence, errors_on_surface, representative_pairs
from pullback.figures.curves import (
    Curve,
    cumulative_figure,
    curves_of_results,
    pck_figure,
    read_training_log,
    training_figure,
)
from pullback.figures.eigenfunctions import draw_eigenfunctions
from pullback.figures.flow import draw_flow
from pullback.figures.fmap import draw_features, fmap_figure, fmaps_figure
from pullback.figures.heat import draw_heat_transfer
from pullback.figures.image_pair import draw_dense_correspondence, draw_image_match, draw_texture_transfer
from pullback.figures.keypoints import draw_keypoints
from pullback.figures.picture import Picture, sheet
from pullback.figures.plot import save_figure
from pullback.figures.report import Gallery, ReportContent, write_report
from pullback.figures.surface import render

__all__ = [
    "Curve",
    "Gallery",
    "Picture",
    "ReportContent",
    "View",
    "broadest_view",
    "cumulative_figure",
    "curves_of_results",
    "draw_correspondence",
    "draw_dense_correspondence",
    "draw_eigenfunctions",
    "draw_features",
    "draw_flow",
    "draw_heat_transfer",
    "draw_image_match",
    "draw_keypoints",
    "draw_texture_transfer",
    "errors_on_surface",
    "fmap_figure",
    "fmaps_figure",
    "pck_figure",
    "read_training_log",
    "render",
    "representative_pairs",
    "save_figure",
    "sheet",
    "training_figure",
    "write_report",
]
