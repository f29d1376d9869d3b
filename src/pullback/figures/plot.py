"""Plots without a display and without touching matplotlib's global state, drawn so that a page can recolour them."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from pullback.errors import UserError
from pullback.figures.palette import SERIES_LIGHT
from pullback.writing import write_atomically

INK, MUTED, LINE = "#1b2028", "#5b6472", "#d5d9df"  # text, quieter text, grid

# A page defines these variables for its light and dark dress; the colour itself is what a viewer without them shows.
_THEMED = {INK: "--ink", MUTED: "--muted", LINE: "--line"} | {
    color: f"--series{i + 1}" for i, color in enumerate(SERIES_LIGHT)
}


class FigureError(UserError, ValueError):
    """A figure cannot be written as it was asked for."""


def new_figure(
    width: float, height: float, *, dpi: int = 160, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """An empty white figure, sizes in inches, bound to the Agg canvas and unknown to pyplot."""
    figure = Figure(figsize=(width, height), dpi=dpi, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, *, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """The house look: a light grid behind the data, no box, quiet ticks."""
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=8, length=0, which="both")
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel, color=MUTED, size=8.5)
    axes.set_ylabel(ylabel, color=MUTED, size=8.5)
    axes.set_title(title, color=INK, size=9.5, weight="bold", loc="left")


@contextmanager
def _as_written(figure: Figure) -> Iterator[None]:
    """Names of files and runs are drawn as they are: ``$`` begins no formula, missing letters make no noise.

    Ticks of matplotlib's own keep their formulas.
    """
    for text in figure.findobj(Text):
        if "$" in text.get_text() and r"\mathdefault" not in text.get_text():
            text.set_parse_math(False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def figure_svg(figure: Figure) -> str:
    """The figure as an SVG file with live text and no date: equal figures give equal files."""
    buffer = BytesIO()
    with _as_written(figure), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pullback"}):
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return buffer.getvalue().decode()


def inline_svg(figure: Figure, *, prefix: str) -> str:
    """The figure as an ``<svg>`` element in the page's colours; ``prefix`` makes identifiers unique."""
    svg = figure_svg(figure)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
    # matplotlib numbers every group and repeats itself; only what is referred to keeps a name
    svg = re.sub(r'\sid="([^"]*)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace('href="#', f'href="#{prefix}-')
    svg = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 system-ui, sans-serif", svg)
    for color, variable in _THEMED.items():
        svg = svg.replace(color, f"var({variable}, {color})")
    return svg


def figure_png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    content = BytesIO()
    with _as_written(figure):
        figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write the figure as .png, .svg or .pdf, by the name's ending, and return the path.

    Raises FigureError for other endings.
    """
    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise FigureError(f"cannot write a figure as {path.name!r}; use a name that ends in .png, .svg or .pdf")
    content = BytesIO()
    if path.suffix == ".svg":
        content.write(figure_svg(figure).encode())
    elif path.suffix == ".pdf":
        with _as_written(figure), matplotlib.rc_context({"pdf.fonttype": 42}):  # fonts that publishers take
            figure.savefig(content, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    else:
        content.write(figure_png(figure))
    write_atomically(path, lambda file: file.write(content.getbuffer()))
    return path
