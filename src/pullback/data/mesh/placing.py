"""Turning the shapes of a set into one frame, as a step of their preparation: cached, and no ground truth is asked.

Coordinates are an input only where shapes lie alike, and published copies do not always (SMAL_r).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from pullback.data.cache import cached, check_arrays, content_hash
from pullback.data.mesh.formats import content_of
from pullback.data.mesh.io import read_mesh_file
from pullback.geometry.cleaning import clean_mesh
from pullback.geometry.common_frame import CommonFrame, Placement
from pullback.geometry.rigid import (
    SurfaceSample,
    best_rotation,
    mean_rotation,
    rotation_angles,
    rotations_to_mean,
    surface_sample,
)
from pullback.stages import stage

# Part of the cache keys: to be raised whenever a rotation changes.
_METHOD = "closest points, votes of references, 1"
_DOUBTFUL = 1.04  # least margin of a placement; of SMAL_r's 49 shapes one (rightly placed) has less
_LARGE, _SHARE = 45.0, 0.8  # degrees: a set of which a fifth is turned by more does not lie alike; poses alone are less


@dataclass(frozen=True)
class Misalignment:
    """By how many degrees the shapes of a set are turned against their mean shape, or those of pairs."""

    angles: tuple[float, ...]
    how: str  # known by
    what: str = "shapes are turned against their mean shape"

    @property
    def is_large(self) -> bool:
        """Whether coordinates as input would mean something else on every shape."""
        return bool(np.quantile(self.angles, _SHARE) > _LARGE)

    def __str__(self) -> str:
        median, most_of_them, most = np.quantile(self.angles, [0.5, 0.9, 1])
        figures = f"{median:.0f}° (median), {most_of_them:.0f}° (90 %), {most:.0f}° (at most)"
        return f"{len(self.angles)} {self.what} by {figures}, {self.how}"


def misalignment(points: Sequence[Float[ndarray, "t 3"]]) -> Misalignment:
    """Of shapes of which the same t points are known: against their mean shape, each turned as fits it best."""
    centred = [each - each.mean(axis=0) for each in points]
    sizes = [max(float(np.linalg.norm(each)), np.finfo(float).tiny) for each in centred]
    angles = rotation_angles(
        rotations_to_mean(np.stack([each / size for each, size in zip(centred, sizes, strict=True)]))
    )
    return Misalignment(tuple(angles.tolist()), "by ground truth")


def misalignment_of_pairs(points: Sequence[tuple[Float[ndarray, "_ 3"], Float[ndarray, "_ 3"]]]) -> Misalignment:
    """Of pairs of shapes of which corresponding points are known."""
    turned = np.stack([best_rotation(one, other) for one, other in points])
    return Misalignment(
        tuple(rotation_angles(turned).tolist()), "by ground truth", "pairs of shapes are turned against each other"
    )


def estimated_misalignment(paths: Sequence[Path], references: Sequence[Path]) -> Misalignment:
    """Of shapes of which nothing is known: rotations out of the frame of some of them."""
    frame = CommonFrame.of([_sample(path) for path in references])
    turned = np.stack([frame.place(_sample(path)).rotation for path in paths])
    angles = rotation_angles(mean_rotation(turned).T @ turned)
    return Misalignment(tuple(angles.tolist()), "estimated without ground truth")


def placement(mesh: Path, references: tuple[Path, ...], cache_dir: Path) -> Placement:
    """How a mesh is turned into the frame of the references, from the cache where it was asked before.

    Raises MeshError for what cannot be read.
    """
    path = placement_entry(mesh, references, cache_dir)

    def compute() -> Placement:
        with stage(f"rotation of {mesh.name}"):
            return _frame(references, cache_dir).place(_sample(mesh))

    return cached(path, compute, save=_save_placement, load=_load_placement, what=f"the rotation of {mesh.name}")


def placement_entry(mesh: Path, references: tuple[Path, ...], cache_dir: Path) -> Path:
    """Where the cache has it."""
    key = content_hash({"method": _METHOD, "references": _identity(references), "file": content_of(mesh)})
    return cache_dir / "alignment" / f"{key}.npz"


def doubt(placed: Placement) -> tuple[str, ...]:
    """What is to be said of a shape that fits in another way nearly as well."""
    if placed.margin >= _DOUBTFUL:
        return ()
    share = 100 * (placed.margin - 1)
    return (
        f"data.align is in doubt how this shape lies: turned by more than 45° it would fit only {share:.1f} % worse. "
        "Look at it, or train with backbone.descriptor.axes=full",
    )


@lru_cache(maxsize=8)
def _identity(references: tuple[Path, ...]) -> str:
    return content_hash({f"{i:03d}": content_of(path) for i, path in enumerate(references)})


@lru_cache(maxsize=2)
def _frame(references: tuple[Path, ...], cache_dir: Path) -> CommonFrame:
    key = content_hash({"method": _METHOD, "references": _identity(references)})

    def compute() -> CommonFrame:
        with stage(f"common frame of {len(references)} shapes"):
            return CommonFrame.of([_sample(path) for path in references])

    return cached(
        cache_dir / "alignment" / f"frame-{key}.npz",
        compute,
        save=_save_frame,
        load=_load_frame,
        what="the frame of the set",
    )


def _sample(path: Path) -> SurfaceSample:
    read = read_mesh_file(path)
    mesh = clean_mesh(read.verts, read.faces, name=str(path), components="largest")
    return surface_sample(mesh.verts, mesh.faces)


def _save_frame(file: BufferedIOBase, frame: CommonFrame) -> None:
    parts = {f"points{i}": sample.points for i, sample in enumerate(frame.samples)}
    np.savez(file, allow_pickle=False, **parts, **{f"normals{i}": each.normals for i, each in enumerate(frame.samples)})


def _load_frame(source: Path | BufferedIOBase) -> CommonFrame:
    with np.load(source, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    count = len(arrays) // 2
    kinds = {f"points{i}": f"float64 s{i} 3" for i in range(count)}
    check_arrays(arrays, kinds | {f"normals{i}": f"float64 s{i} 3" for i in range(count)})
    return CommonFrame([SurfaceSample(arrays[f"points{i}"], arrays[f"normals{i}"]) for i in range(count)])


def _save_placement(file: BufferedIOBase, placed: Placement) -> None:
    margin = min(placed.margin, 1e9)  # of a shape that fits in one way only it has no end
    np.savez(file, allow_pickle=False, rotation=placed.rotation, margin=np.array([margin]))


def _load_placement(source: Path | BufferedIOBase) -> Placement:
    with np.load(source, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    check_arrays(arrays, {"rotation": "float64 3 3", "margin": "float64 1"})
    return Placement(arrays["rotation"], float(arrays["margin"][0]))
