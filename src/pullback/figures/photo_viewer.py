"""Two matched photographs as one page: point at one and see the place on the other, slide from source to target."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pullback.figures.image_pair import Flow, matched_places
from pullback.figures.packing import packed
from pullback.figures.page import page, script, script_data
from pullback.figures.picture import jpeg_bytes
from pullback.figures.thumbnail import Thumbnail, rgba
from pullback.types import Image
from pullback.writing import write_atomically

_SIDE = 900  # pixels: the longer side of a photograph on the page
_SAMPLES = 160  # along the longer side of image 2: places whose matches are on the page


@dataclass(frozen=True)
class ViewedPhotos:
    """What the page shows: ``flow21`` is the displacement of each pixel of image 2 to its match in image 1."""

    title: str
    photo1: Image
    photo2: Image
    flow21: Flow
    told: Sequence[str] = ()  # sentences under the title


def write_photo_viewer(path: str | Path, pair: ViewedPhotos) -> Path:
    """Writes the page, whole or not at all, and returns its path."""
    path, html = Path(path), photo_viewer_html(pair)
    write_atomically(path, lambda file: file.write(html.encode()))
    return path


def photo_viewer_html(pair: ViewedPhotos) -> str:
    """The page: it needs neither network nor graphics hardware."""
    small1, small2 = _shown(pair.photo1), _shown(pair.photo2)
    matches = matched_places(small2, pair.flow21)
    warped = small1.colors_at(matches)
    warped = np.where(np.isfinite(warped), warped, small2.faded())
    places = {"source": small1.pixels, "warped": warped, "target": small2.pixels}
    return page(
        "photos.html.j2",
        title=pair.title,
        told=pair.told,
        names=(pair.photo1.name, pair.photo2.name),
        images={name: _address(colors) for name, colors in places.items()},
        sizes=[small.pixels.shape[:2] for small in (small1, small2)],
        data=script_data(_samples(matches, pair)),
        scripts=[script("viewer/data.js"), script("photos.js")],
    )


def _shown(photo: Image) -> Thumbnail:
    height, width = photo.size
    return Thumbnail.of(photo, height=max(1, round(height * min(1.0, _SIDE / max(height, width)))))


def _samples(matches: Float[ndarray, "h w 2"], pair: ViewedPhotos) -> dict[str, object]:
    """Matches at a grid of places of image 2, as shares of the width and height of image 1; NaN outside of it."""
    h, w = matches.shape[:2]
    step = max(h, w) / _SAMPLES if max(h, w) > _SAMPLES else 1.0
    rows, columns = max(1, int(h / step)), max(1, int(w / step))
    y = ((np.arange(rows) + 0.5) * h / rows).astype(int).clip(0, h - 1)
    x = ((np.arange(columns) + 0.5) * w / columns).astype(int).clip(0, w - 1)
    shares = (matches[np.ix_(y, x)] + 0.5) / np.array(pair.photo1.size[::-1])
    inside = np.isfinite(shares).all(axis=-1) & (shares >= 0).all(axis=-1) & (shares <= 1).all(axis=-1)
    shares = np.where(inside[..., None], shares, np.nan).astype(np.float32)
    return {"rows": rows, "columns": columns, "matches": packed(shares), "sizes": [pair.photo1.size, pair.photo2.size]}


def _address(colors: Float[ndarray, "h w 3"]) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg_bytes(rgba(colors), quality=85)).decode()}"
