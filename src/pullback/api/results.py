"""What a match is to its caller: arrays in the numbers of what was given, and a folder of results if asked for."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from pullback.api.pages import Page
from pullback.errors import UserError
from pullback.tasks.mesh.two_meshes import FileMatch, file_ids
from pullback.tasks.point_tables import SIDES
from pullback.types import Eigenbasis, Shape

if TYPE_CHECKING:
    from pullback.runtime.match_images import ImageMatcher
    from pullback.runtime.match_meshes import MeshMatcher
    from pullback.tasks.mesh.barycentric import SurfacePoints
    from pullback.tasks.mesh.landing import Landing


Matcher = TypeVar("Matcher", "MeshMatcher", "ImageMatcher")


class ValuesError(UserError, ValueError):
    """Values that do not belong to the points of what was matched."""


def check_side(side: str) -> None:
    """Raises ValuesError for what is neither source nor target."""
    if side not in SIDES:
        raise ValuesError(f"points lie on the source or on the target, and on {side!r} there are none")


class Made(Generic[Matcher]):
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


class MeshMatch(Made["MeshMatcher"]):
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
        from pullback.tasks.mesh.landing import land

        check_side(on)
        values = np.asarray(points)
        n = len((self._result.source if on == SIDES[0] else self._result.target).relabel.successor)
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
