"""The report of an evaluation on photographs, from the files in its folder."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pullback.figures.eigenfunctions import draw_eigenfunctions
from pullback.figures.fmap import Matrix
from pullback.figures.photo_viewer import ViewedPhotos, write_photo_viewer
from pullback.figures.picture import Picture
from pullback.figures.report import Gallery, ReportContent, write_report
from pullback.figures.report_kinds import IMAGES
from pullback.tasks.evaluated import Evaluated, run_content
from pullback.tasks.image.pictures import (
    KAPPA,
    ShownPair,
    correspondence_picture,
    flow_picture,
    heat_picture,
    keypoints_picture,
    texture_picture,
)
from pullback.tasks.image.scoring import stored_match
from pullback.types import ImagePair, PatchPair

Patches = Callable[[ImagePair], PatchPair]

_LEADS = {
    "texture": "Every pixel of image 2 in the rainbow colour and in the look of the place on image 1 that it is mapped "
    "to, by this run and by nearest neighbours of concatenated features. Where the map is right and smooth, image 2 "
    "keeps its form and wears the look of image 1.",
    "keypoints": "Lines join each keypoint of image 2 with the place on image 1 that it is mapped to, by this run "
    "and by nearest neighbours of concatenated features: blue where that is within "
    f"{KAPPA:.2f} of the length of PCK, red where not. A dotted line leads on to the true place, a yellow ring.",
    "flow": "Hue is the direction in which a pixel of image 2 moves to reach its match, strength the distance; the "
    "disc is the key. "
    "Roughness is the change of the flow from one pixel to the next.",
    "heat": "Heat given on image 1, carried to image 2 by the functional map alone, by nearest neighbours of the "
    "raw features, and by the "
    "point map of this run. The ring is the place where the peak belongs, where that is known.",
    "eigenfunctions": "Of the Laplacians of the two patch graphs, from low to high frequency: the bases between which "
    "the functional map translates. Weights that differ little give nearly the cosines of a plain grid; those of the "
    "paper's equation follow the content, and stick to it.",
}


def report_images(
    folder: Path,
    evaluated: Sequence[Evaluated],
    *,
    title: str,
    graphs: Mapping[str, Patches] = MappingProxyType({}),
    shown_to: Callable[[ReportContent], object] = id,
) -> Path:
    """Writes ``report/index.html`` into a run's folder, next to its metrics.json; returns its path.

    ``graphs`` give the patch graphs of a pair by what is said of them, the one in use first: for eigenfunctions, for
    the match of concatenated features, and for heat that the functional map carries. None without a model at hand.
    ``shown_to`` gets to see what is in the report.
    """
    in_use = next(iter(graphs.values()), None)
    shown = [list(_shown(part, in_use)) for part in evaluated]
    keyed = [one for part in shown for one in part if one.has_keypoints]
    shown = [[one for one in part if one.match] for part in shown]  # keypoints of another program are no flow
    every = [one for part in shown for one in part]
    # the median pair of the first data set
    middle = next((part[min(1, len(part) - 1)] for part in shown if part), None)
    galleries = [
        Gallery("texture", "Texture transfer", [texture_picture(one) for one in every], _LEADS["texture"]),
        Gallery(
            "keypoints",
            "Keypoints",
            [keypoints_picture(one) for one in keyed],
            _LEADS["keypoints"],
        ),
        Gallery("flow", "Flow and smoothness", [flow_picture(one) for one in every], _LEADS["flow"]),
        Gallery("heat", "Heat-map transfer", [heat_picture(one) for one in every], _LEADS["heat"]),
        Gallery("eigenfunctions", "Eigenfunctions", _eigenfunctions(middle, graphs), _LEADS["eigenfunctions"]),
    ]
    content = run_content(folder, title=title)
    noted = [note for part in evaluated for note in part.result.notes().values()]
    content = replace(
        content,
        subtitle=" · ".join([content.subtitle, *_noted(noted)]),
        kind=IMAGES,
        correspondences=[_linked(folder / "report", one, number) for number, one in enumerate(every, start=1)],
        galleries=galleries,
        fmaps=fmaps_by_name(middle.arrays) if middle else None,
        fmap_pair=middle.title if middle else "",
    )
    shown_to(content)
    return write_report(folder / "report" / "index.html", content)


def _linked(folder: Path, one: ShownPair, number: int) -> Picture:
    """The picture of a correspondence, with an interactive page beside the report."""
    viewed = ViewedPhotos(one.title, one.pair.image1, one.pair.image2, one.flow21, told=one.pair.notes)
    page = write_photo_viewer(folder / f"viewer-{number}.html", viewed)
    return replace(correspondence_picture(one), viewer=page.name)


def _noted(notes: Sequence[str]) -> list[str]:
    """The notes on the photographs of some pairs in one phrase; none where there are none."""
    if not notes:
        return []
    more = f", and {len(notes) - 1} more pairs with notes, see pairs.csv" if len(notes) > 1 else ""
    return [f"{notes[0]}{more}"]


def _shown(part: Evaluated, in_use: Patches | None = None) -> Iterator[ShownPair]:
    for label, i in part.chosen().items():
        pair, score = part.pairs[i], part.result.pairs[i].score
        prediction = part.prediction(i)
        title = f"{part.result.dataset}, {label}: {pair.name}"
        if score.points is not None:
            title += (
                f", PCK@{KAPPA:.2f} {100 * score.points.pck(KAPPA):.1f}\u00a0%, mean error "
                f"{score.points.mean:.1f}\u00a0px"
            )
        interpolation = part.result.protocol.interpolation
        arrays = dict(prediction.arrays)
        match = {} if "foreign_xy1" in arrays else stored_match(prediction, pair)
        patches = None if in_use is None else in_use(pair)
        yield ShownPair(title, pair, score, arrays, match, interpolation, part.result.protocol.mode, patches)


def _eigenfunctions(shown: ShownPair | None, graphs: Mapping[str, Patches]) -> list[Picture]:
    """Those of each graph of the pair, by what is said of it."""
    if shown is None:
        return []
    photos = shown.pair.image1, shown.pair.image2
    return [
        picture
        for i, (name, patches) in enumerate(graphs.items())
        for picture in draw_eigenfunctions(
            shown.patches if i == 0 and shown.patches else patches(shown.pair), *photos, title=f"{shown.title}: {name}"
        )
    ]


def fmaps_by_name(arrays: Mapping[str, Any]) -> dict[str, Matrix]:
    """The functional maps among stored arrays, named for a reader."""
    names = {"fmap12_init": "start", "fmap12": "result"}
    return {name: arrays[key] for key, name in names.items() if key in arrays}
