"""The report of a run: one HTML file that needs nothing beside it, neither network nor script."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pullback.figures.curves import Series, Values, curves_of_results, pck_figure, training_figure
from pullback.figures.fmap import fmap_figure
from pullback.figures.page import facts, folded, page, picture, plot, section, table, text
from pullback.figures.picture import Picture
from pullback.figures.plot import inline_svg
from pullback.files import write_atomically

Matrix = Float[Tensor, "_ _"] | Float[ndarray, "_ _"]

# metric → heading and number format, in the order of the columns; metrics not named here follow under their own names
_METRICS = {
    "geodesic_error_x100": ("mean error ×100", "{:.2f}"),
    "geodesic_error_micro_x100": ("micro", "{:.2f}"),
    "geodesic_error_median_x100": ("median", "{:.2f}"),
    "auc@0.10": ("AUC@0.10", "{:.3f}"),
    "auc@0.20": ("AUC@0.20", "{:.3f}"),
    "pck@0.05": ("PCK@0.05", "{:.3f}"),
    "pck@0.10": ("PCK@0.10", "{:.3f}"),
    "coverage": ("coverage", "{:.3f}"),
    "flip_rate": ("flips", "{:.3f}"),
}
_OPEN_ROWS = 12  # longer tables of pairs are folded


@dataclass(frozen=True)
class ReportContent:
    """What is known of a run, in plain containers. Whatever is empty is left out of the report, which says so."""

    title: str
    subtitle: str = ""
    results: Sequence[Mapping[str, Any]] = ()  # entries of `results` in metrics.json: dataset, split, pairs, protocol, metrics, pck_curve
    pair_rows: Sequence[Mapping[str, Any]] = ()  # rows of pairs.csv
    correspondences: Sequence[Picture] = ()
    pck_curves: Mapping[str, tuple[Values, Values]] = field(default_factory=dict)  # of other runs, beside those of `results`
    fmaps: tuple[Matrix, Matrix] | None = None  # of one pair: from the features, and refined
    fmap_pair: str = ""  # its name
    features: Sequence[Picture] = ()
    training_log: Mapping[str, Series] = field(default_factory=dict)  # see read_training_log
    config: str = ""  # the resolved configuration, as yaml
    command: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)  # commit, versions, hardware, seconds ...; may be nested


def write_report(path: str | Path, content: ReportContent) -> Path:
    """Write the report as one HTML file, whole or not at all, and return its path."""
    path = Path(path)
    write_atomically(path, lambda file: file.write(report_html(content).encode()))
    return path


def report_html(content: ReportContent) -> str:
    """The report as a string of HTML."""
    parts = {title: (anchor, build(content)) for anchor, (title, build) in _SECTIONS.items()}
    present = {title: part for title, part in parts.items() if part[1]}
    missing = [title for title, part in parts.items() if not part[1]]
    links = "".join(f'<a href="#{anchor}">{text(title)}</a>' for title, (anchor, _) in present.items())
    header = f"<header>\n<h1>{text(content.title)}</h1>\n<p>{text(content.subtitle)}</p>\n<nav>{links}</nav>\n</header>"
    body = [section(anchor, title, html) for title, (anchor, html) in present.items()]
    if missing:
        body.append(f'<p class="quiet">Left out, because this run has no data for it: {text(", ".join(missing))}.</p>')
    return page(title=content.title, header=header, body="\n".join(body))


def _results(content: ReportContent) -> str:
    if not content.results:
        return ""
    cards = "".join(_card(row) for row in content.results if row["metrics"].get("geodesic_error_x100") is not None)
    names = [name for name in _METRICS if any(row["metrics"].get(name) is not None for row in content.results)]
    names += sorted({name for row in content.results for name in row["metrics"]} - set(_METRICS))
    headings = ["data set", "pairs", *(_METRICS.get(name, (name, ""))[0] for name in names)]
    rows = [[_label(row), _count(row), *(_formatted(name, row["metrics"].get(name)) for name in names)] for row in content.results]
    note = "Geodesic errors are in units of √area of shape 1, ×100; micro, median, AUC and PCK pool the landmarks of all pairs."
    parts = [f'<div class="cards">{cards}</div>' if cards else "", table(headings, rows)]
    return "\n".join([*parts, f'<p class="quiet">{note}</p>', "<h3>Protocol</h3>", _protocols(content.results)])


def _card(row: Mapping[str, Any]) -> str:
    error = _formatted("geodesic_error_x100", row["metrics"]["geodesic_error_x100"])
    unit = f"mean geodesic error ×100, {row['pairs']} pairs"
    return f'<div class="card"><span>{text(_label(row))}</span><b>{text(error)}</b><span>{text(unit)}</span></div>'


def _protocols(results: Sequence[Mapping[str, Any]]) -> str:
    """Each protocol once, under the names of the data sets that it was used on."""
    groups: list[tuple[Any, list[str]]] = []
    for row in results:
        protocol = row.get("protocol")
        same = next((labels for known, labels in groups if known == protocol), None)
        if same is None:
            groups.append((protocol, [_label(row)]))
        else:
            same.append(_label(row))
    return facts({", ".join(labels): protocol for protocol, labels in groups})


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['dataset']} {row['split']}"


def _count(row: Mapping[str, Any]) -> str:
    return f"{row['pairs']} (+{row['failed']} failed)" if row.get("failed") else str(row["pairs"])


def _formatted(name: str, value: Any) -> Any:
    if not isinstance(value, float) or value != value:
        return value
    return _METRICS.get(name, ("", "{:.4g}"))[1].format(value)


def _correspondences(content: ReportContent) -> str:
    if not content.correspondences:
        return ""
    lead = "Every point of shape 2 wears the colour of the point of shape 1 that it is mapped to: equal places should have equal colours."
    return f'<p class="quiet">{lead}</p>\n<div class="gallery">' + "\n".join(map(picture, content.correspondences)) + "</div>"


def _pck(content: ReportContent) -> str:
    curves = curves_of_results(content.results) | dict(content.pck_curves)
    if not curves:
        return ""
    caption = "Share of all landmarks whose geodesic error is at most the threshold."
    return plot(inline_svg(pck_figure(curves), prefix="pck"), label="PCK curve", caption=caption)


def _fmaps(content: ReportContent) -> str:
    if content.fmaps is None:
        return ""
    svg = inline_svg(fmap_figure(*content.fmaps), prefix="fmap")
    caption = "Signs of eigenfunctions are arbitrary: a good map of near-isometric shapes is a narrow diagonal in the lower row."
    caption = f"{content.fmap_pair}. {caption}" if content.fmap_pair else caption
    return plot(svg, label="Functional map before and after refinement", caption=caption, wide=True)


def _features(content: ReportContent) -> str:
    return '<div class="gallery">' + "\n".join(map(picture, content.features)) + "</div>" if content.features else ""


def _training(content: ReportContent) -> str:
    if not content.training_log:
        return ""
    return plot(inline_svg(training_figure(content.training_log), prefix="training"), label="Training curves", wide=True)


def _pairs(content: ReportContent) -> str:
    if not content.pair_rows:
        return ""
    names = [name for name in content.pair_rows[0] if any(row.get(name) not in (None, "") for row in content.pair_rows)]
    ranked = sorted(content.pair_rows, key=_badness, reverse=True)
    rows = [[_formatted(name, row.get(name)) for name in names] for row in ranked]
    whole = table(names, rows)
    return whole if len(rows) <= _OPEN_ROWS else folded(f"All {len(rows)} pairs, the worst first", whole)


def _badness(row: Mapping[str, Any]) -> float:
    return math.inf if row.get("status") == "failed" else row.get("geodesic_error_x100") or 0.0


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
    "config": ("Configuration", _config),
    "origin": ("Command and environment", _origin),
}
