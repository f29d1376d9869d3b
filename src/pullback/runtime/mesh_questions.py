"""What a match of two meshes is asked beside the files: landmarks, a map to begin with, points that are to land."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Int
from omegaconf import DictConfig
from torch import Tensor, from_numpy

from pullback.data.mesh.io import read_landmarks
from pullback.data.mesh.point_maps import read_point_map
from pullback.data.mesh.query_points import QueryPoints, listed_points, read_points
from pullback.data.mesh.shapes import PreparedShape
from pullback.runtime.settings import to_plain
from pullback.tasks.mesh.two_meshes import Landmarks, between_shapes
from pullback.tasks.point_tables import SIDES


@dataclass(frozen=True)
class Questions:
    """What is given or asked of two shapes; all of it None where nothing is."""

    landmarks: Landmarks | None = None  # vertices of the shapes
    initial: Int[Tensor, " n2"] | None = None  # a point map between the shapes
    points: QueryPoints | None = None  # that are to land
    points_on: str = SIDES[0]

    @classmethod
    def of(cls, cfg: DictConfig, source: PreparedShape, target: PreparedShape) -> "Questions":
        """Those of a configuration. Raises MeshError for files that do not fit the shapes."""
        return cls(
            None if cfg.landmarks is None else landmarks_of(cfg.landmarks, source, target),
            None if cfg.initial is None else initial_of(cfg.initial, source, target),
            None if cfg.points is None else _points(to_plain(cfg)["points"], cfg.points_on, source, target),
            cfg.points_on,
        )


def landmarks_of(path: str | Path, source: PreparedShape, target: PreparedShape) -> Landmarks:
    """The landmarks of a file as vertices of the shapes."""
    n1, n2 = (len(prepared.relabel.successor) for prepared in (source, target))
    ids1, ids2 = read_landmarks(path, n1=n1, n2=n2)
    return from_numpy(source.relabel(ids1)), from_numpy(target.relabel(ids2))


def initial_of(path: str | Path, source: PreparedShape, target: PreparedShape) -> Int[Tensor, " n2"]:
    """The point map of a file as one between the shapes."""
    n1, n2 = (len(prepared.relabel.successor) for prepared in (source, target))
    return between_shapes(read_point_map(path, n1=n1, n2=n2), source, target)


def _points(points: Any, side: str, source: PreparedShape, target: PreparedShape) -> QueryPoints:
    n = len((source if side == SIDES[0] else target).relabel.successor)
    return read_points(points, n=n, side=side) if isinstance(points, str) else listed_points(points, n=n, side=side)
