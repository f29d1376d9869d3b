"""The report of an evaluation on meshes, from the files in its folder."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pullback.figures.camera import View, broadest_view
from pullback.figures.correspondence import draw_correspondence, errors_on_surface
from pullback.figures.curves import read_training_log
from pullback.figures.fmap import draw_features
from pullback.figures.picture import Picture
from pullback.figures.report import ReportContent, write_report
from pullback.figures.surface import as_array
from pullback.figures.three import ViewerError
from pullback.figures.viewer import ViewedPair, write_viewer
from pullback.tasks.evaluated import Evaluated, run_content
from pullback.tasks.mesh.viewed import coarse_enough, viewed_pair
from pullback.types import Shape, ShapePair

log = logging.getLogger(__name__)

Features = Callable[[Shape], Float[Tensor, "n c"]]


def report(
    folder: Path,
    evaluated: Sequence[Evaluated],
    *,
    title: str,
    features: Features | None = None,
    shown_to: Callable[[ReportContent], object] = id,
) -> Path:
    """Writes ``report/index.html`` into a run's folder, next to its metrics.json; returns its path.

    ``features`` gives the learned features of a shape; None where no model is at hand. ``shown_to`` gets to see
    what is in the report.
    """
    fmaps, fmap_pair = _fmaps(evaluated)
    training_log = folder / "logs" / "csv" / "metrics.csv"
    content = replace(
        run_content(folder, title=title),
        correspondences=list(_correspondences(folder / "report", evaluated)),
        fmaps=fmaps,
        fmap_pair=fmap_pair,
        features=_features(evaluated, features) if features else (),
        training_log=read_training_log(training_log) if training_log.is_file() else {},
    )
    shown_to(content)
    return write_report(folder / "report" / "index.html", content)


def _correspondences(folder: Path, evaluated: Sequence[Evaluated]) -> Iterator[Picture]:
    """The pictures, each with an interactive page beside the report."""
    shown = [(part, i, label) for part in evaluated for label, i in part.chosen().items()]
    for number, (part, i, label) in enumerate(shown, start=1):
        picture = picture_of(part, i, label=label)
        try:
            page = write_viewer(folder / f"viewer-{number}.html", coarse_enough(_viewed(part, i, title=picture.title)))
            picture = replace(picture, viewer=page.name)
        except ViewerError as error:
            log.warning("%s", error)
        yield picture


def _viewed(part: Evaluated, i: int, *, title: str) -> ViewedPair:
    """What the viewer shows of one evaluated pair: its map and, where they are known, its errors."""
    pair, prediction = part.pairs[i], part.prediction(i)
    fmap12 = prediction.arrays.get("fmap12")
    return viewed_pair(
        (pair.shape1, pair.shape2),
        as_array(prediction.p2p21),
        title=title,
        view=part.view,
        fmap12=None if fmap12 is None else as_array(fmap12),
        errors2=_errors(part, i),
    )


def _errors(part: Evaluated, i: int) -> Float[ndarray, " n2"] | None:
    """The error at each vertex of shape 2, where errors are known."""
    pair, score = part.pairs[i], part.result.pairs[i].score
    return None if score.errors is None else errors_on_surface(pair.shape2, pair.corr2, score.errors)


def picture_of(part: Evaluated, i: int, *, label: str) -> Picture:
    """The correspondence of one evaluated pair, with its errors where they are known."""
    pair, score = part.pairs[i], part.result.pairs[i].score
    title = f"{part.result.dataset}, {label}: {pair.name}"
    if score.errors is not None:
        title += f", mean error ×100: {100 * score.mean:.2f}"
    errors2 = _errors(part, i)
    p2p21, view = part.prediction(i).p2p21, _turned(pair, part.view)
    names = (pair.shape1.name, pair.shape2.name)
    return draw_correspondence(pair.shape1, pair.shape2, p2p21, title=title, names=names, errors2=errors2, view=view)


def _fmaps(evaluated: Sequence[Evaluated]) -> tuple[tuple[Tensor, Tensor] | None, str]:
    """Functional maps of the median pair of the first data set, before and after refinement."""
    for part in evaluated:
        chosen = part.chosen()
        for i in [*(chosen[label] for label in ("median", "best") if label in chosen), *chosen.values()]:
            pair = part.pairs[i]
            arrays = part.prediction(i).arrays
            if "fmap12" in arrays and "fmap12_init" in arrays:
                return (
                    torch.as_tensor(arrays["fmap12_init"]),
                    torch.as_tensor(arrays["fmap12"]),
                ), f"{part.result.dataset}, {pair.name}"
    return None, ""


def _features(evaluated: Sequence[Evaluated], features: Features) -> list[Picture]:
    """Feature channels on the median pair of the first data set."""
    for part in evaluated:
        for i in part.chosen().values():
            pair = part.pairs[i]
            view = _turned(pair, part.view)
            return draw_features(pair.shape1, pair.shape2, features(pair.shape1), features(pair.shape2), view=view)
    return []


def _turned(pair: ShapePair, view: View) -> View:
    return broadest_view(as_array(pair.shape1.verts).astype("float64"), as_array(pair.shape1.faces), view=view)
