"""HTML from the templates in ``html/``. Everything that comes from outside is escaped there, and nothing is fetched."""

import base64
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.colors import to_hex

from pullback.figures.palette import SERIES_DARK, SERIES_LIGHT
from pullback.figures.picture import ColourBar, Panel, Picture, jpeg_bytes, png_bytes

_SHOWN = 0.6  # size of rendered pictures on the page: fine enough for dense screens and for paper


@cache
def script(name: str) -> str:
    """The source of a script of ``html/``. It is put on a page as it is, hence holds nothing from outside."""
    return (files("pullback.figures") / "html" / name).read_text(encoding="utf-8")


def script_data(values: Any) -> str:
    """Values as a literal that cannot end the script that it stands in."""
    return json.dumps(values, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def page(template: str, **values: Any) -> str:
    """A whole HTML document: a template of ``html/`` with its values."""
    return _templates().get_template(template).render(values)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("pullback.figures", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_written,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"series_light": SERIES_LIGHT, "series_dark": SERIES_DARK}
    environment.filters |= {
        "data_uri": data_uri,
        "in_one_line": _in_one_line,
        "stops": _stops,
        "width_on_page": _width_on_page,
    }
    environment.tests |= {"said": _is_said}
    return environment


def _written(value: Any) -> Any:
    """How a value stands on a page: floats with four digits, None and NaN as a dash."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else value


def _is_said(value: Any) -> bool:
    return value is not None and not (isinstance(value, str | Mapping | list | tuple) and len(value) == 0)


def _in_one_line(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_in_one_line(part)}" for name, part in value.items() if _is_said(part))
    if isinstance(value, list | tuple):
        return "; ".join(str(_in_one_line(part)) for part in value)
    return value


def _width_on_page(shown: Picture) -> int:
    """Pixels of a picture's panels side by side."""
    return round(_SHOWN * sum(panel.image.shape[1] for panel in shown.panels))


def data_uri(panel: Panel) -> str:
    """The image itself as an address: a JPEG for an opaque photograph, else a PNG."""
    photographic = panel.photographic and bool((panel.image[..., 3] == 255).all())
    content = jpeg_bytes(panel.image) if photographic else png_bytes(panel.image)
    return f"data:image/{'jpeg' if photographic else 'png'};base64,{base64.b64encode(content).decode()}"


def _stops(bar: ColourBar) -> str:
    """The colours of a scale from its low to its high end, for a gradient."""
    return ", ".join(to_hex(bar.colormap(x)) for x in np.linspace(0, 1, 9))
