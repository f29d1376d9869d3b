"""A point map as people see it: colours carried from shape 1 to shape 2, and where on shape 2 the map is wrong."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from pullback.figures.camera import View
from pullback.figures.palette import ERROR_MAP, position_colors, value_colors
from pullback.figures.picture import ColourBar, Panel, Picture
from pullback.figures.scene import Scene
from pullback.figures.surface import Surface, TriangleMesh, as_array

# units of √area: the error shown in the darkest colour, the same in all pictures so that they compare
ERROR_LIMIT = 0.10
_PALE = 0.85  # the grey of what has no match
_RINGS = 4  # how far, in edges, an error is spread from its landmark


def draw_correspondence(
    shape1: TriangleMesh,
    shape2: TriangleMesh,
    p2p21: Int[Tensor, " n2"] | Int[ndarray, " n2"],
    *,
    title: str,
    names: tuple[str, str] = ("shape 1", "shape 2"),
    errors2: Float[ndarray, " n2"] | None = None,
    view: View | None = None,
    unmatched: tuple[TriangleMesh | None, TriangleMesh | None] = (None, None),
    confidence2: Float[ndarray, " n2"] | None = None,
    matched: tuple[Bool[ndarray, " n1"] | None, Bool[ndarray, " n2"] | None] = (None, None),
) -> Picture:
    """Shape 1 coloured by position, shape 2 by the colours that its points fetch through ``p2p21``; both at one scale.

    ``unmatched`` are parts of either that are no part of the shapes, drawn in pale grey; so are vertices that are not
    ``matched``, and shape 2 where ``confidence2`` is low. With ``errors2`` (units of √area, NaN
    where unknown; see
    :func:`errors_on_surface`) a third panel shows the errors.
    Raises ValueError when ``p2p21`` is not a map from shape 2 to shape 1.
    """
    view, map21 = view or View(), as_array(p2p21)
    n1, n2 = len(shape1.verts), len(shape2.verts)
    if len(map21) != n2 or map21.min() < 0 or map21.max() >= n1:
        raise ValueError(
            f"p2p21 holds {len(map21)} ids from {map21.min()} to {map21.max()}, but shape 2 has {n2} vertices and "
            f"shape 1 has {n1}; "
            "pass the map 2 → 1, not its reverse"
        )
    whole1, whole2 = (_together(shape, rest) for shape, rest in zip((shape1, shape2), unmatched, strict=True))
    stage = Scene.around([whole1, whole2], view=view)
    colors1 = position_colors(as_array(shape1.verts).astype(np.float64), view=view)
    shown1, shown2 = (_pale_without(mask, of) for mask, of in zip(matched, (colors1, colors1[map21]), strict=True))
    painted = (_and_pale(shown1, whole1), _and_pale(_faded(shown2, confidence2), whole2))
    panels = [Panel(stage.draw(whole1, painted[0]), names[0]), Panel(stage.draw(whole2, painted[1]), names[1])]
    if errors2 is None:
        return Picture(title, tuple(panels))
    heat = value_colors(errors2, ERROR_MAP, low=0.0, high=ERROR_LIMIT)
    panels.append(Panel(stage.draw(shape2, heat), "error"))
    unit = "geodesic error ×100" + ("; grey: unknown" if np.isnan(errors2).any() else "")
    bar = ColourBar(ERROR_MAP, "0", f"≥ {100 * ERROR_LIMIT:g}", unit)
    return Picture(title, tuple(panels), bar=bar)


def _together(shape: TriangleMesh, rest: TriangleMesh | None) -> TriangleMesh:
    """The shape, followed by what has no match."""
    if rest is None:
        return shape
    verts, faces = as_array(shape.verts), as_array(shape.faces)
    return Surface(
        np.concatenate([verts, as_array(rest.verts)]), np.concatenate([faces, as_array(rest.faces) + len(verts)])
    )


def _and_pale(colors: Float[ndarray, "n 3"], whole: TriangleMesh) -> Float[ndarray, "m 3"]:
    """The colours of the first vertices, and pale grey for the others."""
    return np.concatenate([colors, np.full((len(whole.verts) - len(colors), 3), _PALE)])


def _pale_without(matched: Bool[ndarray, " n"] | None, colors: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """The colours of vertices that are matched, and pale grey for the others."""
    return colors if matched is None else np.where(matched[:, None], colors, _PALE)


def _faded(colors: Float[ndarray, "n 3"], confidence: Float[ndarray, " n"] | None) -> Float[ndarray, "n 3"]:
    """The colours where the map is to be trusted, fading to pale grey from a confidence of 0.7 down to 0.3."""
    if confidence is None:
        return colors
    kept = np.clip((confidence - 0.3) / 0.4, 0, 1)[:, None]
    return kept * colors + (1 - kept) * _PALE


def errors_on_surface(
    shape2: TriangleMesh,
    corr2: Int[Tensor, " t"] | Int[ndarray, " t"],
    errors: Float[Tensor, " t"] | Float[ndarray, " t"],
) -> Float[ndarray, " n2"]:
    """An error for each vertex of shape 2 from the errors of its landmarks: their mean there,
    and the mean of the neighbours around, ring by ring, a few edges far. NaN where no landmark is near.
    """
    n, faces, landmarks = len(shape2.verts), as_array(shape2.faces), as_array(corr2)
    count = np.bincount(landmarks, minlength=n)
    values = np.bincount(landmarks, weights=as_array(errors), minlength=n) / np.maximum(count, 1)
    known = (count > 0).astype(float)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    neighbours = sp.csr_matrix((np.ones(2 * len(edges)), (edges.ravel(), edges[:, ::-1].ravel())), shape=(n, n))
    for _ in range(_RINGS):
        around = neighbours @ known
        reached = (known == 0) & (around > 0)
        values[reached] = (neighbours @ (known * values))[reached] / around[reached]
        known[reached] = 1
    return np.where(known > 0, values, np.nan)


def representative_pairs(errors: Mapping[str, float]) -> dict[str, str]:
    """Names of the best, the median and the worst pair by error, each pair once.

    Raises ValueError when there is none.
    """
    order = sorted((name for name in errors if np.isfinite(errors[name])), key=lambda name: (errors[name], name))
    if not order:
        raise ValueError("no pair has a finite error, so there is no best, median or worst one to show")
    chosen = {"best": order[0], "median": order[(len(order) - 1) // 2], "worst": order[-1]}
    return {label: name for i, (label, name) in enumerate(chosen.items()) if name not in list(chosen.values())[:i]}
