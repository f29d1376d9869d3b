"""Prepared shapes with their ground truth and geodesic distances, held in memory while they are in use."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from pullback.data.cache import cached, content_hash
from pullback.data.dataset import ShapeFiles
from pullback.data.io import read_vts
from pullback.data.shapes import PreparationSettings, load_shape
from pullback.geometry.cleaning import MeshError
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
    notes: tuple[str, ...]


class ShapeLibrary:
    """Shapes by their files: from memory (the ``capacity`` last used ones), from the cache, or prepared now."""

    def __init__(self, settings: PreparationSettings, cache_dir: str | Path, *, capacity: int = 128):
        self.settings = settings
        self.cache_dir = Path(cache_dir)
        self.capacity = capacity
        self._loaded: OrderedDict[ShapeFiles, LoadedShape] = OrderedDict()

    def load(self, files: ShapeFiles) -> LoadedShape:
        """The shape with its landmarks. Raises MeshError, FileNotFoundError."""
        if files in self._loaded:
            self._loaded.move_to_end(files)
            return self._loaded[files]
        loaded = self._loaded[files] = self._load(files)
        while len(self._loaded) > self.capacity:
            self._loaded.popitem(last=False)
        return loaded

    def geodesics(self, files: ShapeFiles, method: str) -> GeodesicRows | None:
        """Distances from the landmarks of a shape (and from their mirror images) to all of its vertices; None without landmarks."""
        loaded = self.load(files)
        entry = self._geodesics_entry(loaded, method)
        if entry is None:
            return None
        path, sources = entry
        verts, faces = loaded.shape.verts.double().numpy(), loaded.shape.faces.numpy()

        def read(path: Path) -> np.ndarray:
            rows = np.load(path, mmap_mode="c", allow_pickle=False)  # pages are read when they are asked for
            if rows.shape != (len(sources), len(verts)) or rows[np.arange(len(sources)), sources].any():
                raise ValueError("not distances from the landmarks of this shape")
            return rows

        rows = cached(
            path,
            lambda: geodesic_rows(verts, faces, sources, method=method, name=str(files.mesh)),
            save=lambda file, rows: np.save(file, rows, allow_pickle=False),
            load=read,
        )
        return GeodesicRows(torch.from_numpy(sources), torch.from_numpy(rows))

    def has_geodesics(self, files: ShapeFiles, method: str) -> bool:
        """Whether there is nothing left to compute of the distances of this (prepared) shape."""
        entry = self._geodesics_entry(self.load(files), method)
        return entry is None or entry[0].exists()

    def _load(self, files: ShapeFiles) -> LoadedShape:
        prepared = load_shape(files.mesh, self.settings, self.cache_dir, name=files.name)
        corr, mirrored = (
            None if path is None else torch.from_numpy(prepared.relabel(read_vts(path, n_vertices=len(prepared.relabel.successor))))
            for path in (files.vts, files.mirrored_vts)
        )
        if corr is not None and mirrored is not None and len(corr) != len(mirrored):
            raise MeshError(f"{files.mirrored_vts} has {len(mirrored)} rows but {files.vts} has {len(corr)}: remove it, or copy both again")
        return LoadedShape(prepared.shape, corr, mirrored if corr is not None else None, prepared.notes)

    def _geodesics_entry(self, loaded: LoadedShape, method: str) -> tuple[Path, Int[np.ndarray, " r"]] | None:
        if loaded.corr is None:
            return None
        landmarks = [ids.numpy() for ids in (loaded.corr, loaded.mirrored) if ids is not None]
        sources = np.unique(np.concatenate(landmarks))
        verts, faces = loaded.shape.verts.numpy(), loaded.shape.faces.numpy()
        key = content_hash({"version": _VERSION, "method": method, "verts": verts, "faces": faces, "sources": sources})
        return self.cache_dir / "geodesics" / f"{key}.npy", sources
