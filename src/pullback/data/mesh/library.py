"""Prepared shapes with their ground truth and geodesic distances, held in memory while they are in use."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BufferedIOBase
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.data.cache import cached, content_hash
from pullback.data.mesh.dataset import PairTruth, ShapeFiles
from pullback.data.mesh.io import read_vts
from pullback.data.mesh.placing import doubt, placement, placement_entry
from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.geometry.cleaning import MeshError, Relabelling
from pullback.geometry.geodesic import geodesic_rows
from pullback.types import GeodesicRows, Shape

# Part of the cache keys of distances: to be raised whenever geodesic_rows changes its results.
_VERSION = 1


@dataclass(frozen=True)
class LoadedShape:
    """A shape and what is known of its landmarks. The ids are those of the prepared shape."""

    shape: Shape
    corr: Int[Tensor, " t"] | None  # the vertex of each landmark
    mirrored: Int[Tensor, " t"] | None  # the vertex of each landmark with left and right exchanged
    relabel: Relabelling  # ids in the file → ids of the shape
    notes: tuple[str, ...]
    as_it_lies: Float[Tensor, "n 3"]  # the vertices before the shape was turned into a common frame


class ShapeLibrary:
    """Shapes by their files: from memory (the ``capacity`` last used ones), from the cache, or prepared now."""

    def __init__(self, settings: PreparationSettings, cache_dir: str | Path, *, capacity: int = 128):
        self.settings = settings
        self.cache_dir = Path(cache_dir)
        self.capacity = capacity
        self._loaded: OrderedDict[ShapeFiles, LoadedShape] = OrderedDict()
        self._sources: dict[tuple[ShapeFiles, tuple[PairTruth, ...]], Int[np.ndarray, " r"]] = {}

    def load(self, files: ShapeFiles) -> LoadedShape:
        """The shape with its landmarks. Raises MeshError, FileNotFoundError."""
        if files in self._loaded:
            self._loaded.move_to_end(files)
            return self._loaded[files]
        loaded = self._loaded[files] = self._load(files)
        while len(self._loaded) > self.capacity:
            self._loaded.popitem(last=False)
        return loaded

    def geodesics(self, files: ShapeFiles, method: str, *, truths: Sequence[PairTruth] = ()) -> GeodesicRows | None:
        """Distances from some vertices of a shape to all of them; None where there are no such vertices.

        They are the shape's landmarks and their mirror images or, with the ``truths`` of pairs in which it stands
        first, the vertices that any of these has on it.
        """
        loaded, sources = self.load(files), self._sources_of(files, tuple(truths))
        if sources is None:
            return None
        path = self._geodesics_entry(loaded, method, sources)
        verts, faces = loaded.as_it_lies.double().numpy(), loaded.shape.faces.numpy()

        def read(source: Path | BufferedIOBase) -> np.ndarray:
            # pages are read when they are asked for
            mapped: Literal["c"] | None = "c" if isinstance(source, Path) else None
            rows = np.load(source, mmap_mode=mapped, allow_pickle=False)
            if rows.dtype != np.float32 or rows.shape != (len(sources), len(verts)):
                raise ValueError(
                    f"{rows.shape} {rows.dtype} values are not the distances of {len(sources)} × {len(verts)} vertices"
                )
            if rows[np.arange(len(sources)), sources].any() or np.isnan(rows[[0, -1]]).any():
                raise ValueError("not distances from the landmarks of this shape")
            return rows

        rows = cached(
            path,
            lambda: geodesic_rows(verts, faces, sources, method=method, name=str(files.mesh)),
            save=lambda file, rows: np.save(file, rows, allow_pickle=False),
            load=read,
            what=f"the distances on {files.name}",
        )
        return GeodesicRows(torch.from_numpy(sources), torch.from_numpy(rows))

    def has_geodesics(self, files: ShapeFiles, method: str, *, truths: Sequence[PairTruth] = ()) -> bool:
        """Whether there is nothing left to compute of the distances of this (prepared) shape."""
        sources = self._sources_of(files, tuple(truths))
        return sources is None or self._geodesics_entry(self.load(files), method, sources).exists()

    def is_placed(self, files: ShapeFiles) -> bool:
        """Whether there is nothing left to compute of how the shape lies."""
        return not files.references or placement_entry(files.mesh, files.references, self.cache_dir).exists()

    def _load(self, files: ShapeFiles) -> LoadedShape:
        prepared = load_shape(files.mesh, self.settings, self.cache_dir, name=files.name)
        corr, mirrored = (
            None
            if path is None
            else torch.from_numpy(prepared.relabel(read_vts(path, n_vertices=len(prepared.relabel.successor))))
            for path in (files.vts, files.mirrored_vts)
        )
        if corr is not None and mirrored is not None and len(corr) != len(mirrored):
            raise MeshError(
                f"{files.mirrored_vts} has {len(mirrored)} rows but {files.vts} has {len(corr)}: remove it, or "
                "copy both again"
            )
        shape, doubts = self._turned(files, prepared.shape)
        mirrored = mirrored if corr is not None else None
        notes = prepared.notes + doubts
        return LoadedShape(shape, corr, mirrored, prepared.relabel, notes, prepared.shape.verts)

    def _turned(self, files: ShapeFiles, shape: Shape) -> tuple[Shape, tuple[str, ...]]:
        """The shape in the frame of its references, and what is in doubt about it."""
        if not files.references:
            return shape, ()
        placed = placement(files.mesh, files.references, self.cache_dir)
        rotation = torch.from_numpy(placed.rotation).to(shape.verts)
        return replace(shape, verts=shape.verts @ rotation.T), doubt(placed)

    def _sources_of(self, files: ShapeFiles, truths: tuple[PairTruth, ...]) -> Int[np.ndarray, " r"] | None:
        if (files, truths) not in self._sources:  # files of pairs are not read again for each of the pairs
            loaded = self.load(files)
            if truths:
                known = [loaded.relabel(truth.first(n1=len(loaded.relabel.successor))) for truth in truths]
            else:
                known = [ids.numpy() for ids in (loaded.corr, loaded.mirrored) if ids is not None]
            if not known:
                return None
            self._sources[files, truths] = np.unique(np.concatenate(known))
        return self._sources[files, truths]

    def _geodesics_entry(self, loaded: LoadedShape, method: str, sources: Int[np.ndarray, " r"]) -> Path:
        verts, faces = loaded.as_it_lies.numpy(), loaded.shape.faces.numpy()
        key = content_hash({"version": _VERSION, "method": method, "verts": verts, "faces": faces, "sources": sources})
        return self.cache_dir / "geodesics" / f"{key}.npy"
