"""The pictures of `smoothness`: channels of the features on a shape, and the energies of all channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pullback.figures.camera import View, broadest_view
from pullback.figures.palette import DASHES, FEATURE_MAP, SERIES_LIGHT, srgb_from_oklab, value_colors
from pullback.figures.picture import ColourBar, Panel, Picture, sheet
from pullback.figures.plot import dress, new_figure, save_figure
from pullback.figures.scene import Scene
from pullback.types import Shape

SHOWN = {"smoothest": 0.0, "lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75, "roughest": 1.0}


@dataclass(frozen=True)
class Portrait:
    """The features of a network on the shape that is drawn."""

    shape: Shape
    features: Float[ndarray, "n c"]
    quotients: Float[ndarray, " c"]  # Rayleigh quotients; NaN for a constant channel
    total: float  # energy of all channels together


def save_features(portraits: Mapping[str, Portrait], path: Path, *, up: str = "y", front: str = "z") -> Path:
    """A row for each network: principal colours of its features, then channels from the smoothest to the roughest."""
    shapes = [portrait.shape for portrait in portraits.values()]
    first = shapes[0]
    view = broadest_view(
        first.verts.double().numpy(), first.faces.numpy(), view=View(up=up, front=front, azimuth=20.0, elevation=10.0)
    )
    stage = Scene.around(shapes, view=view, height=420, max_width=420)
    pictures = []
    for name, portrait in portraits.items():
        channels = chosen_channels(portrait.quotients)
        panels = [Panel(stage.draw(portrait.shape, principal_colours(portrait.features)), "all channels")]
        for label, channel in channels.items():
            values = portrait.features[:, channel]
            low, high = np.quantile(values, [0.02, 0.98])
            image = stage.draw(portrait.shape, value_colors(values, FEATURE_MAP, low=low, high=high))
            panels.append(Panel(image, f"{label}: {portrait.quotients[channel]:.0f}"))
        note = f"{portrait.shape.name}, Dirichlet energy of all channels {portrait.total:.0f}"
        pictures.append(Picture(name, tuple(panels), note=note))
    unit = (
        "each channel on its own scale; numbers are Dirichlet energies of channels of variance 1 on a surface of area 1"
    )
    last = pictures[-1]
    pictures[-1] = Picture(last.title, last.panels, last.note, ColourBar(FEATURE_MAP, "low", "high", unit))
    return save_figure(sheet(pictures), path)


def chosen_channels(quotients: Float[ndarray, " c"]) -> dict[str, int]:
    """Channels at some quantiles of the energies, each channel once."""
    order = [int(i) for i in np.argsort(quotients) if np.isfinite(quotients[i])]
    chosen: dict[int, str] = {}
    for label, quantile in SHOWN.items():
        chosen.setdefault(order[round(quantile * (len(order) - 1))], label)
    return {label: channel for channel, label in chosen.items()}


def principal_colours(features: Float[ndarray, "n c"]) -> Float[ndarray, "n 3"]:
    """The three directions of largest variance as a colour: the first as lightness, the others as hue.
    Signs are arbitrary.
    """
    centred = features - features.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    scores = np.zeros((len(features), 3))
    scores[:, : min(3, len(singular))] = (left * singular)[:, :3]
    scale = np.maximum(np.quantile(np.abs(scores), 0.98, axis=0), 1e-12)
    lightness, first, second = np.clip(scores / scale, -1, 1).T
    return srgb_from_oklab(np.stack([0.68 + 0.18 * lightness, 0.15 * first, 0.15 * second], axis=1))


def save_energies(channels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], path: Path) -> Path:
    """A panel for each data set, a line for each network.

    Channels stand in the order of their energies, which are means over shapes.

    ``channels[dataset][network]`` holds the energies of the channels of each shape.
    """
    figure = new_figure(4.6 * len(channels), 3.4)
    panels = figure.subplots(1, len(channels), squeeze=False, sharey=True)[0]
    for panel, (dataset, networks) in zip(panels, channels.items(), strict=True):
        dress(
            panel,
            xlabel="channels, from smooth to rough, %",
            ylabel="Dirichlet energy" if panel is panels[0] else "",
            title=dataset,
        )
        for i, (name, shapes) in enumerate(networks.items()):
            share = np.linspace(0, 100, 101)
            curves = np.array([np.quantile(energies, share / 100) for energies in shapes])
            style = {"color": SERIES_LIGHT[i % len(SERIES_LIGHT)], "linestyle": DASHES[i % len(DASHES)]}
            panel.plot(share, curves.mean(axis=0), linewidth=1.8, label=name, **style)
        panel.set_ylim(bottom=0)
        panel.legend(frameon=False, fontsize=8)
    return save_figure(figure, path)
