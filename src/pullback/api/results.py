"""What a match is to its caller: arrays in the numbers of what was given, and a folder of results if asked for."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from pullback.api.pages import Page
from pullback.errors import UserError
from pullback.tasks.image.judging import verdict_line
from pullback.tasks.image.pixel_maps import pixel_confidence, pixel_flow
from pullback.tasks.mesh.two_meshes import FileMatch, file_ids
from pullback.types import Eigenbasis, ImagePair, PatchMatch, PatchPair, Shape

if TYPE_CHECKING:
    from pullback.metrics.verdict import Verdict
    from pullback.runtime.match_images import ImageMatcher
    from pullback.runtime.match_meshes import MeshMatcher
    from pullback.tasks.image.judging import ImageVerdict
    from pullback.tasks.image.landing import PlacesLanding
    from pullback.tasks.mesh.barycentric import SurfacePoints
    from pullback.tasks.mesh.landing import Landing


Matcher = TypeVar("Matcher", "MeshMatcher", "ImageMatcher")


class ValuesError(UserError, ValueError):
    """Values that do not belong to the points of what was matched."""


class _Made(Generic[Matcher]):
    """What knows how it was made."""

    _matcher: Matcher

    @property
    def method(self) -> str:
        """How it was made, in words."""
        return self._matcher.method

    @property
    def config(self) -> Mapping[str, Any]:
        """The whole configuration that it was made with."""
        return self._matcher.config


class MeshMatch(_Made["MeshMatcher"]):
    """The match of two meshes, from ``pullback.match``. Arrays are numpy's, vertices are those that were given.

    Bases and features belong to the shapes that were matched: cleaned and of unit area. Vertex i of ``shape1`` is the
    given vertex ``vertices1[i]``.
    """

    def __init__(self, matcher: "MeshMatcher", result: FileMatch):
        self._matcher, self._result = matcher, result
        # for each given vertex of mesh 2 one of mesh 1; -1 where it has none, and where cleaning dropped the vertex
        self.p2p21: Int[ndarray, " m2"] = result.between_files()
        # which given vertices of either mesh have a partner on the other; matched2 is p2p21 >= 0
        self.matched1: Bool[ndarray, " m1"]
        self.matched2: Bool[ndarray, " m2"]
        self.matched1, self.matched2 = result.matched()
        self.fmap12: Float[ndarray, "k2 k1"] = result.fmap12.numpy()
        self.shape1: Shape = result.source.shape
        self.shape2: Shape = result.target.shape
        self.basis1: Eigenbasis = self.shape1.basis
        self.basis2: Eigenbasis = self.shape2.basis
        self.feat1: Float[ndarray, "n1 c"] = result.feat1.numpy()
        self.feat2: Float[ndarray, "n2 c"] = result.feat2.numpy()

    @cached_property
    def vertices1(self) -> Int[ndarray, " n1"]:
        """The given vertex that each vertex of ``shape1`` stands for."""
        return file_ids(self._result.source)

    @cached_property
    def vertices2(self) -> Int[ndarray, " n2"]:
        """The given vertex that each vertex of ``shape2`` stands for."""
        return file_ids(self._result.target)

    @property
    def matched(self) -> Bool[ndarray, " m2"]:
        """Which given vertices of mesh 2 have a partner on mesh 1: ``matched2``."""
        return self.matched2

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the meshes before they were matched, in words."""
        sides = (("source", self._result.source), ("target", self._result.target))
        return tuple(f"{side}: {note}" for side, prepared in sides for note in prepared.notes)

    def pull_back(self, values1: Any) -> Any:
        """Values at the given vertices of mesh 1, carried to those of mesh 2: ``values1[p2p21]``.

        An array or a tensor of shape (m1, …) gives one of (m2, …), of the same kind. Vertices without a partner
        (see ``matched``) get NaN, so that whole numbers become floating-point where there are some.
        Raises ValuesError for another length.
        """
        values = values1 if isinstance(values1, Tensor) else np.asarray(values1)
        m1 = len(self._result.source.relabel.successor)
        if values.ndim == 0 or len(values) != m1:
            raise ValuesError(f"values of shape {tuple(values.shape)} are not those of {m1} vertices of mesh 1")
        absent = self.p2p21 < 0
        if isinstance(values, Tensor):
            pulled = values[torch.from_numpy(self.p2p21.clip(0)).to(values.device)]
            if absent.any():
                pulled = pulled if pulled.is_floating_point() else pulled.double()
                pulled[torch.from_numpy(absent).to(pulled.device)] = torch.nan
            return pulled
        pulled = values[self.p2p21.clip(0)]
        if absent.any():
            pulled = pulled if pulled.dtype.kind in "fc" else pulled.astype(np.float64)
            pulled[absent] = np.nan
        return pulled

    def show(self) -> Page:
        """The interactive viewer: both meshes, linked. A notebook shows what this returns; ``save`` and ``open`` it
        elsewhere.
        """
        from pullback.figures.viewer import viewer_html  # draws, which is slow to import
        from pullback.tasks.mesh.viewed import viewed_match

        title = f"{self.shape2.name} → {self.shape1.name}"
        told = () if self._result.verdict is None else (f"Verdict: {self._result.verdict.verdict.sentence}.",)
        return Page(viewer_html(viewed_match(self._result, title=title, view=self._matcher.view, told=told)))

    def land(self, points: Any, *, on: str = "source") -> "Landing":
        """Where points land on the other mesh: vertices (t,), counted from 0, or places (t, 3) in the coordinates of
        the mesh that they are ``on``, source or target.

        Raises ValuesError for anything else. The answer has ``lands_vertex`` and ``lands_place``, among others, a row
        for each point.
        """
        from pullback.data.mesh.query_points import QueryPoints
        from pullback.tasks.mesh.landing import SIDES, land

        values = np.asarray(points)
        n = len((self._result.source if on == "source" else self._result.target).relabel.successor)
        if on not in SIDES:
            raise ValuesError(f"points lie on the source or on the target, and on {on!r} there are none")
        if values.ndim == 1 and values.dtype.kind in "iu" and len(values) and 0 <= values.min() <= values.max() < n:
            return land(self._result, QueryPoints.of_vertices(values.astype(np.int64)), side=on)
        if values.ndim == 2 and values.shape[1] == 3 and len(values) and np.isfinite(values).all():
            return land(self._result, QueryPoints.of_places(values.astype(np.float64)), side=on)
        raise ValuesError(f"points: give vertices of the {on}, whole numbers from 0 to {n - 1}, or coordinates (t, 3)")

    @cached_property
    def barycentric(self) -> "SurfacePoints":
        """For each given vertex of mesh 2 a point of a triangle of mesh 1: ``face``, ``weights``, ``matrix()``."""
        from pullback.tasks.mesh.barycentric import barycentric_map

        return barycentric_map(self._result, self._result.source.as_given())

    def save(self, folder: str | Path) -> Path:
        """Writes what ``pullback match`` writes: p2p21.txt, match.npz, metrics.json, config.yaml, files for other
        programs (option ``export``), a picture and the report, whose path is returned.
        """
        return self._matcher.write(Path(folder), self._result)[0]

    def __repr__(self) -> str:
        maps = f"p2p21[{len(self.p2p21)}], fmap12[{', '.join(map(str, self.fmap12.shape))}]"
        return f"MeshMatch({self.shape2.name} → {self.shape1.name}: {maps}; {self.method})"


class ImageMatch(_Made["ImageMatcher"]):
    """The match of two photographs, from ``pullback.match``. Arrays are numpy's.

    A patch is counted row by row on its grid. Without a functional map (a baseline) ``fmap12`` is None.
    """

    def __init__(self, matcher: "ImageMatcher", pair: ImagePair, patches: PatchPair, match: PatchMatch):
        self._matcher, self._pair, self._patches, self._match = matcher, pair, patches, match
        image1, image2 = patches.image1, patches.image2
        # for each pixel of photograph 2 the displacement (x, y) to its match in photograph 1; NaN outside its mask
        self.flow21: Float[ndarray, "2 H2 W2"] = pixel_flow(pair, patches, match).numpy()
        # for each patch of photograph 2 in the graph one of photograph 1
        self.p2p21: Int[ndarray, " n2"] = image1.patches[match.p2p21].numpy()
        self.fmap12: Float[ndarray, "k2 k1"] | None = None if match.fmap12 is None else match.fmap12.numpy()
        self.basis1: Eigenbasis = image1.basis
        self.basis2: Eigenbasis = image2.basis
        self.feat1: Float[ndarray, "n1 c"] = image1.feat.numpy()
        self.feat2: Float[ndarray, "n2 c"] = image2.feat.numpy()
        self.grid1: tuple[int, int] = image1.grid
        self.grid2: tuple[int, int] = image2.grid

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of how the photographs were read, in words."""
        return self._pair.notes

    def land(self, points: Any, *, on: str = "source") -> "PlacesLanding":
        """Where places (t, 2) land on the other photograph: x, y in pixels of the one that they are ``on``, source or
        target, counted from 0; a path is a file of them. The answer has ``lands_place``, ``returns`` and
        ``confidence``, a row for each. Raises UserError for a place outside.
        """
        if on not in ("source", "target"):
            raise ValuesError(f"on={on!r}: points lie on the source or on the target")
        from pullback.runtime.match_images import places_on

        places = places_on(self._pair.image1 if on == "source" else self._pair.image2, points, side=on)
        return self._matcher.land(self._pair, self._patches, self._match, places, side=on, verdict=self._judged)

    @cached_property
    def _judged(self) -> "ImageVerdict | None":
        return self._matcher.verdict(self._pair, self._patches, self._match)

    @property
    def verdict(self) -> "Verdict | None":
        """What is to be thought of the match: ``level`` (good, doubtful, probably wrong), ``expected_error`` in shares
        of the longer side of photograph 1, ``why``, ``advice``, and all of it in one ``sentence``.
        """
        return None if self._judged is None else self._judged.verdict

    @cached_property
    def confidence2(self) -> Float[ndarray, "H2 W2"] | None:
        """For each pixel of photograph 2 the probability that its match is at most 0.10 of the longer side off; 0
        outside its mask.
        """
        if self._judged is None:
            return None
        return pixel_confidence(self._pair, self._patches, self._judged).numpy()

    def pull_back(self, values1: Any) -> Shaped[ndarray, "H2 W2 *c"]:
        """Values at the pixels of photograph 1, carried to those of photograph 2.

        An array of shape (H1, W1, …) gives one of (H2, W2, …): floating-point values bilinear, all others (bytes,
        labels) those of the nearest pixel; places outside get what the border has. Pixels outside the mask
        of photograph 2 get NaN, or 0 where values are not floating-point. Raises ValuesError for another size.
        """
        from pullback.api.inputs import as_numpy

        values = as_numpy(values1)
        size1 = self._patches.image1.size
        if values.shape[:2] != size1:
            raise ValuesError(f"values of shape {values.shape} are not those of {size1[0]} × {size1[1]} pixels")
        unmatched = np.isnan(self.flow21[0])
        x, y = np.where(unmatched, 0, self.flow21 + np.indices(self.flow21.shape[1:])[::-1])
        x, y = x.clip(0, size1[1] - 1), y.clip(0, size1[0] - 1)
        if values.dtype.kind != "f":
            found = values[y.round().astype(np.int64), x.round().astype(np.int64)]
            found[unmatched] = 0
            return found
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        right, bottom = np.minimum(left + 1, size1[1] - 1), np.minimum(top + 1, size1[0] - 1)
        across, down = (
            (part - whole).reshape(*x.shape, *[1] * (values.ndim - 2)) for part, whole in ((x, left), (y, top))
        )
        above = values[top, left] * (1 - across) + values[top, right] * across
        below = values[bottom, left] * (1 - across) + values[bottom, right] * across
        carried = (above * (1 - down) + below * down).astype(values.dtype)
        carried[unmatched] = np.nan
        return carried

    def show(self) -> Page:
        """The interactive viewer: point at either photograph, slide from one to the other. A notebook shows what this
        returns; ``save`` and ``open`` it elsewhere.
        """
        from pullback.figures.photo_viewer import ViewedPhotos, photo_viewer_html  # draws, which is slow to import

        one, two = self._pair.image1, self._pair.image2
        told = (*verdict_line(self._judged), *self._pair.notes)
        viewed = ViewedPhotos(f"{two.name} → {one.name}", one, two, self.flow21, told=told)
        return Page(photo_viewer_html(viewed))

    def save(self, folder: str | Path) -> Path:
        """Writes what ``pullback match`` writes: flow21.flo, match.npz, metrics.json, config.yaml, a picture and the
        report, whose path is returned.
        """
        return self._matcher.write(Path(folder), self._pair, self._patches, self._match, self._judged)

    def __repr__(self) -> str:
        fmap = "no fmap12" if self.fmap12 is None else f"fmap12[{', '.join(map(str, self.fmap12.shape))}]"
        names = f"{self._pair.image2.name} → {self._pair.image1.name}"
        return f"ImageMatch({names}: flow21[{', '.join(map(str, self.flow21.shape))}], {fmap}; {self.method})"
