"""The report of a run: one HTML file that needs neither network nor script; interactive pages lie beside it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pullback.figures.curves import Series, Values, curves_of_results, pck_figure, training_figure
from pullback.figures.fmap import Matrix, fmap_figure, fmaps_figure
from pullback.figures.page import page
from pullback.figures.picture import Picture
from pullback.figures.plot import inline_svg
from pullback.figures.report_kinds import MESHES, ReportKind
from pullback.figures.report_tables import Table, pairs_table, results_content
from pullback.writing import write_atomically


@dataclass(frozen=True)
class Gallery:
    """Pictures with a heading of their own."""

    anchor: str  # a word for links to it
    title: str
    pictures: Sequence[Picture]
    lead: str = ""  # what there is to see on them


@dataclass(frozen=True)
class ReportContent:
    """What is known of a run, in plain containers. Whatever is empty is left out of the report, which says so."""

    title: str
    subtitle: str = ""
    viewer: str = ""  # the address of an interactive page beside the report
    # entries of `results` in metrics.json: dataset, split, pairs, protocol, metrics, pck_curve
    results: Sequence[Mapping[str, Any]] = ()
    pair_rows: Sequence[Mapping[str, Any]] = ()  # rows of pairs.csv
    kind: ReportKind = MESHES
    correspondences: Sequence[Picture] = ()
    galleries: Sequence[Gallery] = ()  # further pictures, after the correspondences
    # of other runs, beside those of `results`
    pck_curves: Mapping[str, tuple[Values, Values]] = field(default_factory=dict)
    # of one pair: from the features and refined, or by name
    fmaps: tuple[Matrix, Matrix] | Mapping[str, Matrix] | None = None
    fmap_pair: str = ""  # its name
    features: Sequence[Picture] = ()
    files: Sequence[tuple[str, str]] = ()  # beside the folder of the report: names, and what they are in words
    stages: Sequence[Mapping[str, Any]] = ()  # stage, depth, seconds, peak_bytes of each part of a computation
    training_log: Mapping[str, Series] = field(default_factory=dict)  # see read_training_log
    config: str = ""  # the resolved configuration, as yaml
    command: str = ""
    # commit, versions, hardware, seconds ...; may be nested
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pictures(self) -> list[Picture]:
        """All pictures, in the order of the report."""
        return [*self.correspondences, *(one for gallery in self.galleries for one in gallery.pictures), *self.features]


def write_report(path: str | Path, content: ReportContent) -> Path:
    """Write the report as one HTML file, whole or not at all, and return its path."""
    path = Path(path)
    write_atomically(path, lambda file: file.write(report_html(content).encode()))
    return path


def report_html(content: ReportContent) -> str:
    """The report as a string of HTML."""
    sections = list(_sections(content))
    return page(
        "report.html.j2",
        title=content.title,
        subtitle=content.subtitle,
        viewer=content.viewer,
        sections=[section for section in sections if section.content],
        missing=[section.title for section in sections if not section.content],
    )


class Section(NamedTuple):
    """A titled part of the page that can be jumped to."""

    anchor: str
    title: str
    kind: str  # the macro of sections.html.j2 that shows it
    content: Any  # what is shown; empty where there is nothing


class Plot(NamedTuple):
    """A plot for the page."""

    svg: str
    label: str  # for screen readers
    caption: str = ""
    wide: bool = False  # too wide for a telephone


def _sections(content: ReportContent) -> Iterator[Section]:
    """Every section that a report of this kind can have, empty ones too."""
    for anchor, (title, kind, build) in _SECTIONS.items():
        unasked = anchor in ("stages", "files") and not getattr(content, anchor)
        if anchor not in content.kind.never and not unasked:
            yield Section(anchor, title, kind, build(content))
        if anchor == "correspondences":
            for gallery in content.galleries:
                yield Section(gallery.anchor, gallery.title, "gallery", _gallery(gallery.pictures, gallery.lead))


def _gallery(pictures: Sequence[Picture], lead: str = "") -> Mapping[str, Any]:
    return {"lead": lead, "pictures": pictures} if pictures else {}


def _results(content: ReportContent) -> Mapping[str, Any]:
    return results_content(content.results, content.kind)


def _correspondences(content: ReportContent) -> Mapping[str, Any]:
    return _gallery(content.correspondences, content.kind.correspondences)


def _pck(content: ReportContent) -> Plot | None:
    curves = curves_of_results(content.results) | dict(content.pck_curves)
    if not curves:
        return None
    figure = pck_figure(curves, xlabel=content.kind.pck_axis)
    return Plot(inline_svg(figure, prefix="pck"), "PCK curve", content.kind.pck_caption)


def _fmaps(content: ReportContent) -> Plot | None:
    if not content.fmaps:
        return None
    figure = fmaps_figure(content.fmaps) if isinstance(content.fmaps, Mapping) else fmap_figure(*content.fmaps)
    caption = f"{content.fmap_pair}. {content.kind.fmap_caption}" if content.fmap_pair else content.kind.fmap_caption
    return Plot(inline_svg(figure, prefix="fmap"), content.kind.fmap_label, caption, wide=True)


def _features(content: ReportContent) -> Mapping[str, Any]:
    return _gallery(content.features)


def _training(content: ReportContent) -> Plot | None:
    if not content.training_log:
        return None
    return Plot(inline_svg(training_figure(content.training_log), prefix="training"), "Training curves", wide=True)


def _pairs(content: ReportContent) -> Table | None:
    return pairs_table(content.pair_rows, content.kind)


def _files(content: ReportContent) -> Sequence[tuple[str, str]]:
    return content.files


def _stages(content: ReportContent) -> Table:
    """Time and memory of each stage; those inside another one are set in, and are part of its figures."""
    rows = [
        ["\u2003" * row["depth"] + row["stage"], row["seconds"], row["peak_bytes"] / 2**30 or None]
        for row in content.stages
    ]
    return Table(["stage", "seconds", "peak memory, GiB"], rows)


def _config(content: ReportContent) -> str:
    return content.config


def _origin(content: ReportContent) -> Mapping[str, Any]:
    known = {"command": content.command, "environment": content.environment}
    return known if any(known.values()) else {}


_SECTIONS: dict[str, tuple[str, str, Callable[[ReportContent], Any]]] = {
    "results": ("Results", "results", _results),
    "correspondences": ("Correspondences", "gallery", _correspondences),
    "pck": ("PCK curve", "plot", _pck),
    "fmap": ("Functional map", "plot", _fmaps),
    "features": ("Features", "gallery", _features),
    "training": ("Training curves", "plot", _training),
    "pairs": ("Pairs", "table", _pairs),
    "files": ("Files", "files", _files),
    "stages": ("Time and memory", "table", _stages),
    "config": ("Configuration", "config", _config),
    "origin": ("Command and environment", "origin", _origin),
}
