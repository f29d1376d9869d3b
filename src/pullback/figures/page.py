"""The pieces of a self-contained HTML page. Everything that comes from outside is escaped here,
and nowhere is anything fetched.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from pullback.figures.page_style import CSS
from pullback.figures.picture import ColourBar, Panel, Picture, jpeg_bytes, png_bytes

# The browser itself refuses scripts and anything from the network, whatever the page holds.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SHOWN = 0.6  # size of rendered pictures on the page: fine enough for dense screens and for paper


def page(*, title: str, header: str, body: str) -> str:
    """A whole HTML document. ``title`` is text, ``header`` and ``body`` are HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" '
        'content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n{header}\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def text(value: Any) -> str:
    """A value as escaped text: floats to four digits, None and NaN as a dash."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))


def section(anchor: str, title: str, body: str) -> str:
    """A titled part of the page that can be jumped to."""
    return f'<section id="{escape(anchor)}">\n<h2>{text(title)}</h2>\n{body}\n</section>'


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table that scrolls sideways where it must. The first cell of a row is its name; cells are text,
    numbers to the right.
    """
    head = "".join(f'<th scope="col">{text(heading)}</th>' for heading in headings)
    body = "\n".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _cells(row: Sequence[Any]) -> str:
    return f'<th scope="row">{text(row[0])}</th>' + "".join(f"<td>{text(cell)}</td>" for cell in row[1:])


def facts(values: Mapping[str, Any]) -> str:
    """Names and values; what is nested becomes one line, what is empty is left out."""
    items = "".join(
        f"<dt>{text(name)}</dt><dd>{text(_flat(value))}</dd>" for name, value in values.items() if not _is_empty(value)
    )
    return f"<dl>{items}</dl>"


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | Mapping | list | tuple) and len(value) == 0)


def _flat(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_flat(part)}" for name, part in value.items() if not _is_empty(part))
    if isinstance(value, list | tuple):
        return "; ".join(str(_flat(part)) for part in value)
    return value


def folded(summary: str, body: str) -> str:
    """Something long behind a line that opens it; open on paper."""
    return f"<details><summary>{text(summary)}</summary>\n{body}\n</details>"


def plot(svg: str, *, label: str, caption: str = "", wide: bool = False) -> str:
    """An inline plot with its description for screen readers. On a phone a wide one scrolls, the others shrink."""
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    kind = "plot wide" if wide else "plot"
    return (
        f'<figure class="{kind}"><div class="scroll" role="img" aria-label="{text(label)}">{svg}</div>{below}</figure>'
    )


def picture(shown: Picture) -> str:
    """Rendered panels beside one another at one scale, under their title."""
    width = sum(panel.image.shape[1] for panel in shown.panels)
    panels = "\n".join(
        f'<div class="panel" style="flex-grow:{panel.image.shape[1]}">'
        f'<img alt="{text(f"{shown.title}: {panel.label}")}" width="{panel.image.shape[1]}" '
        f'height="{panel.image.shape[0]}" '
        f'src="{_data_uri(panel)}"><span>{text(panel.label)}</span></div>'
        for panel in shown.panels
    )
    note = f" <small>{text(shown.note)}</small>" if shown.note else ""
    bar = _colour_bar(shown.bar) if shown.bar else ""
    return (
        '<figure class="picture" '
        f'style="width:{round(_SHOWN * width)}px"><figcaption>{text(shown.title)}{note}</figcaption>\n'
        f'<div class="panels">\n{panels}\n</div>{bar}</figure>'
    )


def _data_uri(panel: Panel) -> str:
    photographic = panel.photographic and bool((panel.image[..., 3] == 255).all())
    content = jpeg_bytes(panel.image) if photographic else png_bytes(panel.image)
    return f"data:image/{'jpeg' if photographic else 'png'};base64,{base64.b64encode(content).decode()}"


def _colour_bar(bar: ColourBar) -> str:
    stops = ", ".join(to_hex(bar.colormap(x)) for x in np.linspace(0, 1, 9))
    label = f" {text(bar.label)}" if bar.label else ""
    return (
        f'<div class="bar">{text(bar.low)}<i style="background:linear-gradient(to right, '
        f'{stops})"></i>{text(bar.high)}{label}</div>'
    )
