"""The report of a run: one HTML file that needs nothing beside it, neither network nor script."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pullback.figures.curves import Series, Values, curves_of_results, pck_figure, training_figure
from pullback.figures.fmap import Matrix, fmap_figure, fmaps_figure
from pullback.figures.page import facts, folded, page, picture, plot, section, table, text
from pullback.figures.picture import Picture
from pullback.figures.plot import inline_svg
from pullback.figures.report_kinds import MESHES, ReportKind
from pullback.figures.report_tables import pairs_html, results_html
from pullback.files import write_atomically


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
    stages: Sequence[Mapping[str, Any]] = ()  # stage, depth, seconds, peak_bytes of each part of a computation
    training_log: Mapping[str, Series] = field(default_factory=dict)  # see read_training_log
    config: str = ""  # the resolved configuration, as yaml
    command: str = ""
    # commit, versions, hardware, seconds ...; may be nested
    environment: Mapping[str, Any] = field(default_factory=dict)


def write_report(path: str | Path, content: ReportContent) -> Path:
    """Write the report as one HTML file, whole or not at all, and return its path."""
    path = Path(path)
    write_atomically(path, lambda file: file.write(report_html(content).encode()))
    return path


def report_html(content: ReportContent) -> str:
    """The report as a string of HTML."""
    parts = {title: (anchor, html) for anchor, title, html in _parts(content)}
    present = {title: part for title, part in parts.items() if part[1]}
    missing = [title for title, part in parts.items() if not part[1]]
    links = "".join(f'<a href="#{anchor}">{text(title)}</a>' for title, (anchor, _) in present.items())
    header = f"<header>\n<h1>{text(content.title)}</h1>\n<p>{text(content.subtitle)}</p>\n<nav>{links}</nav>\n</header>"
    body = [section(anchor, title, html) for title, (anchor, html) in present.items()]
    if missing:
        body.append(f'<p class="quiet">Left out, because this run has no data for it: {text(", ".join(missing))}.</p>')
    return page(title=content.title, header=header, body="\n".join(body))


def _parts(content: ReportContent) -> Iterator[tuple[str, str, str]]:
    """Anchor, title and body of every section that a report of this kind can have;
    empty where there is nothing to show.
    """
    for anchor, (title, build) in _SECTIONS.items():
        if anchor not in content.kind.never and (anchor != "stages" or content.stages):
            yield anchor, title, build(content)
        if anchor == "correspondences":
            for gallery in content.galleries:
                yield gallery.anchor, gallery.title, _gallery(gallery.pictures, gallery.lead)


def _gallery(pictures: Sequence[Picture], lead: str = "") -> str:
    if not pictures:
        return ""
    words = f'<p class="quiet">{text(lead)}</p>\n' if lead else ""
    return f'{words}<div class="gallery">' + "\n".join(map(picture, pictures)) + "</div>"


def _results(content: ReportContent) -> str:
    return results_html(content.results, content.kind)


def _correspondences(content: ReportContent) -> str:
    return _gallery(content.correspondences, content.kind.correspondences)


def _pck(content: ReportContent) -> str:
    curves = curves_of_results(content.results) | dict(content.pck_curves)
    if not curves:
        return ""
    figure = pck_figure(curves, xlabel=content.kind.pck_axis)
    return plot(inline_svg(figure, prefix="pck"), label="PCK curve", caption=content.kind.pck_caption)


def _fmaps(content: ReportContent) -> str:
    if not content.fmaps:
        return ""
    figure = fmaps_figure(content.fmaps) if isinstance(content.fmaps, Mapping) else fmap_figure(*content.fmaps)
    caption = f"{content.fmap_pair}. {content.kind.fmap_caption}" if content.fmap_pair else content.kind.fmap_caption
    return plot(inline_svg(figure, prefix="fmap"), label=content.kind.fmap_label, caption=caption, wide=True)


def _features(content: ReportContent) -> str:
    return _gallery(content.features)


def _training(content: ReportContent) -> str:
    if not content.training_log:
        return ""
    return plot(
        inline_svg(training_figure(content.training_log), prefix="training"), label="Training curves", wide=True
    )


def _pairs(content: ReportContent) -> str:
    return pairs_html(content.pair_rows, content.kind)


def _stages(content: ReportContent) -> str:
    """Time and memory of each stage; those inside another one are set in, and are part of its figures."""
    rows = [
        ["\u2003" * row["depth"] + row["stage"], row["seconds"], row["peak_bytes"] / 2**30 or None]
        for row in content.stages
    ]
    return table(["stage", "seconds", "peak memory, GiB"], rows)


def _config(content: ReportContent) -> str:
    return folded("The full resolved configuration", f"<pre>{text(content.config)}</pre>") if content.config else ""


def _origin(content: ReportContent) -> str:
    command = f'<pre class="wrap">{text(content.command)}</pre>' if content.command else ""
    return command + (facts(content.environment) if content.environment else "")


_SECTIONS: dict[str, tuple[str, Callable[[ReportContent], str]]] = {
    "results": ("Results", _results),
    "correspondences": ("Correspondences", _correspondences),
    "pck": ("PCK curve", _pck),
    "fmap": ("Functional map", _fmaps),
    "features": ("Learned features", _features),
    "training": ("Training curves", _training),
    "pairs": ("Pairs", _pairs),
    "stages": ("Time and memory", _stages),
    "config": ("Configuration", _config),
    "origin": ("Command and environment", _origin),
}
