"""What a person looks at: correspondence pictures, curves, functional-map matrices, and the HTML report. No display, no network."""

from pullback.figures.camera import View, broadest_view
from pullback.figures.correspondence import draw_correspondence, errors_on_surface, representative_pairs
from pullback.figures.curves import curves_of_results, pck_figure, read_training_log, training_figure
from pullback.figures.fmap import draw_features, fmap_figure
from pullback.figures.picture import Picture, sheet
from pullback.figures.plot import save_figure
from pullback.figures.report import ReportContent, write_report
from pullback.figures.surface import render

__all__ = [
    "Picture",
    "ReportContent",
    "View",
    "broadest_view",
    "curves_of_results",
    "draw_correspondence",
    "draw_features",
    "errors_on_surface",
    "fmap_figure",
    "pck_figure",
    "read_training_log",
    "render",
    "representative_pairs",
    "save_figure",
    "sheet",
    "training_figure",
    "write_report",
]
