"""A picture before it is put on paper: rendered panels side by side, with their labels and colour scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from textwrap import wrap

import numpy as np
from jaxtyping import UInt8
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave
from numpy import ndarray

from pullback.figures.plot import INK, MUTED, figure_png, new_figure


@dataclass(frozen=True)
class Panel:
    """One rendered image with what is written under it."""

    image: UInt8[ndarray, "h w 4"]  # straight alpha, transparent background
    label: str
    photographic: bool = False  # may lose a little in compression; where nothing is transparent, a tenth of the bytes


@dataclass(frozen=True)
class ColourBar:
    """The scale of a picture's colours."""

    colormap: Colormap
    low: str
    high: str
    label: str


@dataclass(frozen=True)
class Picture:
    """Panels that belong together."""

    title: str
    panels: tuple[Panel, ...]
    note: str = ""
    bar: ColourBar | None = None
    viewer: str = ""  # the address of an interactive page of the same, beside the report


def png_bytes(image: UInt8[ndarray, "h w 4"]) -> bytes:
    """The image as a PNG file."""
    buffer = BytesIO()
    imsave(buffer, image, format="png")
    return buffer.getvalue()


def jpeg_bytes(image: UInt8[ndarray, "h w 4"], *, quality: int = 88) -> bytes:
    """The colours of an opaque image as a JPEG file."""
    buffer = BytesIO()
    imsave(buffer, image[..., :3], format="jpeg", pil_kwargs={"quality": quality})
    return buffer.getvalue()


def as_image(picture: Picture) -> UInt8[ndarray, "h w 3"]:
    """The picture on white, with its title, labels and scale, as pixels."""
    drawn = imread(BytesIO(figure_png(sheet([picture]))), format="png")[..., :3]
    return (255 * drawn).round().astype(np.uint8)


def sheet(pictures: Sequence[Picture], *, gap: int = 40) -> Figure:
    """Pictures below one another on white, with titles, labels and scales, to save as one file.

    Raises ValueError when there is no picture.
    """
    if not pictures:
        raise ValueError("a sheet needs at least one picture")
    head, foot, dpi = 64, 84, 144
    rows = [max(panel.image.shape[0] for panel in p.panels) + head + foot for p in pictures]
    width = max(sum(panel.image.shape[1] + gap for panel in p.panels) + gap for p in pictures)
    width = max(width, 640)
    figure = new_figure(width / dpi, sum(rows) / dpi, dpi=dpi, layout=None)
    top = sum(rows)
    for picture, row in zip(pictures, rows, strict=True):
        _place(figure, picture, bottom=top - row + foot, top=top - head, gap=gap)
        top -= row
    return figure


def _place(figure: Figure, picture: Picture, *, bottom: int, top: int, gap: int) -> None:
    width, height = figure.get_size_inches() * figure.dpi
    left = (width - sum(panel.image.shape[1] + gap for panel in picture.panels) + gap) / 2
    note = _fitted(picture.note, 0.5 * width, size=8)
    title = _fitted(picture.title, (0.5 if note else 1) * width - 2 * gap, size=11)  # bold letters are wider
    figure.text(gap / width, (top + 36) / height, title, size=10, weight="bold", color=INK, va="center")
    figure.text(1 - gap / width, (top + 36) / height, note, size=8, color=MUTED, va="center", ha="right")
    for panel in picture.panels:
        w = panel.image.shape[1]
        figure.figimage(panel.image[::-1], left, bottom, origin="lower")
        label = _fitted(panel.label, w + 0.8 * gap, size=8, lines=2)
        figure.text((left + w / 2) / width, (bottom - 9) / height, label, size=8, color=INK, ha="center", va="top")
        left += w + gap
    if picture.bar is not None:
        _draw_bar(figure, picture.bar, bottom=bottom - 58)


def _fitted(text: str, pixels: float, *, size: int, lines: int = 1) -> str:
    """A text in at most so many lines of that width, cut where it is longer."""
    letters = max(int(pixels / (1.3 * size)), 2)  # of usual width, at 144 dots an inch
    return "\n".join(wrap(text, letters, max_lines=lines, placeholder=" …"))


def _draw_bar(figure: Figure, bar: ColourBar, *, bottom: int) -> None:
    width, height = figure.get_size_inches() * figure.dpi
    middle = 0.5 - len(bar.label) * 2.5 / width  # so that bar and label together look centred
    axes = figure.add_axes((middle - 120 / width, bottom / height, 240 / width, 10 / height))
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=bar.colormap, aspect="auto")
    axes.set_axis_off()
    for x, text, side in ((-128, bar.low, "right"), (128, f"{bar.high}  {bar.label}", "left")):
        figure.text(middle + x / width, (bottom + 5) / height, text, size=7, color=MUTED, ha=side, va="center")
