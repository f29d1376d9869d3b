"""From a mesh file to a prepared ``Shape``: cleaned, perhaps simplified, of unit area, with its operators.

Computed once.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pullback.brief import OneLine
from pullback.data.cache import cached, check_arrays, content_hash
from pullback.data.mesh.formats import content_of
from pullback.data.mesh.io import mesh_name, read_mesh_file
from pullback.data.mesh.readers.source import FileMesh, inner_suffix
from pullback.geometry.cleaning import COMPONENTS, MeshError, Relabelling, clean_mesh
from pullback.geometry.coarsening import coarsen, nearest_vertices
from pullback.geometry.eigenbasis import EigenbasisError
from pullback.geometry.operators import BASES, MeshOperators, compute_operators
from pullback.ranges import at_least
from pullback.stages import stage
from pullback.types import Eigenbasis, PointSample, Shape
from pullback.warned import own_warnings

# Part of every cache key: to be raised whenever reading, cleaning, simplification or the operators change their
# results.
_VERSION = 4
# The same for simplification, in the keys of simplified shapes alone.
_COARSENING = 2

# What a cached shape holds: n vertices, f faces, k eigenfunctions, s samples; z values in a gradient; m vertices in the
# file.
_KINDS = {
    **{"verts": "float32 n 3", "faces": "int32 f 3", "mass": "float32 n", "evals": "float32 k", "evecs": "float32 n k"},
    **{"sample_points": "int32 s", "sample_mass": "float32 s"},
    **{"grad_x_values": "float32 zx", "grad_x_columns": "int32 zx", "grad_x_rows": "int32 n+1"},
    **{"grad_y_values": "float32 zy", "grad_y_columns": "int32 zy", "grad_y_rows": "int32 n+1"},
    **{"successor": "int32 m", "moved": "float32 m", "notes": "text c"},
}
_VERTEX_NUMBERS = ("faces", "sample_points", "grad_x_columns", "grad_y_columns", "successor")

LAPLACIANS = ("cotangent", "robust")


@dataclass(frozen=True)
class PreparationSettings:
    """What is computed of each mesh."""

    k: int = 200  # eigenfunctions; all of a mesh that has no more vertices than that
    # cotangent | robust (intrinsic, tufted: for non-manifold or badly triangulated meshes)
    laplacian: str = "cotangent"
    components: str = "dust"  # which pieces of a mesh are kept: dust (all but dust) | largest | all
    coarsen: int | None = None  # vertices of a simplified copy that takes the place of the mesh; None: the mesh itself
    samples: int = 3000  # well-spread vertices kept with each shape for solvers that work on a part of the points
    # exact | sampled: eigenfunctions approximated from local functions around the samples, for dense meshes
    basis: str = "exact"

    def __post_init__(self) -> None:
        if self.laplacian not in LAPLACIANS:
            raise ValueError(f"data.laplacian={self.laplacian} is unknown; use one of {', '.join(LAPLACIANS)}")
        if self.components not in COMPONENTS:
            raise ValueError(f"data.components={self.components} is unknown; use one of {', '.join(COMPONENTS)}")
        if self.basis not in BASES:
            raise ValueError(f"data.basis={self.basis} is unknown; use one of {', '.join(BASES)}")
        at_least(2, k=self.k, coarsen=self.coarsen, samples=self.samples)
        if self.coarsen is not None and self.coarsen < self.k:
            raise ValueError(
                f"data.coarsen={self.coarsen} is less than data.k={self.k}, but k eigenfunctions need k vertices; "
                "use a larger one"
            )
        if self.samples < self.k:
            raise ValueError(
                f"data.samples={self.samples} points cannot tell data.k={self.k} eigenfunctions apart; use "
                "data.samples=3000"
            )


@dataclass(frozen=True, repr=False)
class PreparedShape(OneLine):
    """A shape in float32, and what its file's vertex numbers have become."""

    shape: Shape
    relabel: Relabelling  # ids in the file → ids of the shape
    notes: tuple[str, ...]  # what was changed on the way
    given: FileMesh | None = None  # the mesh as it was, where it is in no file

    def as_given(self) -> FileMesh:
        """The mesh as it was before it was prepared; read again from its file."""
        return read_mesh_file(self.relabel.name) if self.given is None else self.given


def load_shape(
    path: str | Path, settings: PreparationSettings, cache_dir: str | Path, *, name: str | None = None
) -> PreparedShape:
    """The prepared shape of a mesh file, from the cache where bytes and settings were seen before.

    ``name`` is what the shape is called, by default as its file. Raises FileNotFoundError and MeshError, which name the
    file.
    """
    path = Path(path)
    arrays = _loaded(operators_entry(path, settings, cache_dir), path, lambda: read_mesh_file(path), settings)
    return _prepared_shape(path, mesh_name(path) if name is None else name, arrays)


def shape_of(
    mesh: FileMesh, settings: PreparationSettings, cache_dir: str | Path, *, name: str = "mesh"
) -> PreparedShape:
    """As ``load_shape``, for a mesh that is in no file; errors call it by its ``name``."""
    key = {"version": _VERSION, "format": "arrays", "verts": mesh.verts, "faces": mesh.faces, **_in_key(settings)}
    entry = Path(cache_dir) / "operators" / f"{content_hash(key)}.npz"
    arrays = _loaded(entry, Path(name), lambda: mesh, settings)
    return replace(_prepared_shape(Path(name), name, arrays), given=mesh)


def bare_shape(mesh: FileMesh, settings: PreparationSettings, *, name: str = "mesh") -> PreparedShape:
    """As ``shape_of``, kept nowhere: for meshes that are made on the way."""
    return replace(_prepared_shape(Path(name), name, _prepared_arrays(Path(name), mesh, settings)), given=mesh)


def _loaded(entry: Path, path: Path, read: Callable[[], FileMesh], settings: PreparationSettings) -> dict[str, ndarray]:
    return cached(
        entry,
        lambda: _prepare(path, read, settings),
        save=_save_arrays,
        load=lambda source: _checked(_load_arrays(source), settings),
        what=path.name,
    )


def operators_entry(path: Path, settings: PreparationSettings, cache_dir: str | Path) -> Path:
    """Where the prepared shape of a mesh file is, or will be, cached. Raises MissingFileError."""
    key = content_hash(
        {"version": _VERSION, "format": inner_suffix(path), "file": content_of(path), **_in_key(settings)}
    )
    return Path(cache_dir) / "operators" / f"{key}.npz"


def _in_key(settings: PreparationSettings) -> dict[str, Any]:
    return asdict(settings) | ({} if settings.coarsen is None else {"coarsening": _COARSENING})


def _prepare(path: Path, read: Callable[[], FileMesh], settings: PreparationSettings) -> dict[str, ndarray]:
    with stage(f"preparation of {path.name}"):
        return _prepared_arrays(path, read(), settings)


def _prepared_arrays(path: Path, read: FileMesh, settings: PreparationSettings) -> dict[str, ndarray]:
    mesh = clean_mesh(read.verts, read.faces, name=str(path), components=settings.components)
    verts, faces, relabel, notes = mesh.verts, mesh.faces, mesh.relabel, [*read.notes, *mesh.notes]
    if settings.coarsen is not None:
        verts, faces, remarks = coarsen(mesh.verts, mesh.faces, settings.coarsen)
        relabel, notes = relabel.then(nearest_vertices(mesh.verts, verts)), notes + remarks
    k = min(settings.k, len(verts))
    if k < settings.k:
        notes.append(
            f"{k} vertices have no {settings.k} eigenfunctions: all {k} are used, and features and maps of that size"
        )
    try:
        operators = compute_operators(
            verts, faces, k=k, laplacian=settings.laplacian, samples=settings.samples, basis=settings.basis
        )
    except (ValueError, EigenbasisError) as error:
        advice = "Try data.laplacian=robust, or remesh it" if settings.laplacian == "cotangent" else "Remesh it"
        raise MeshError(f"{path}: its operators cannot be computed ({error}). {advice}") from error
    notes += operators.notes
    return {
        **_operator_arrays(operators),
        "successor": relabel.successor.astype(np.int32),
        "moved": relabel.moved.astype(np.float32),
        "notes": np.array(notes, dtype=np.str_),
    }


def _operator_arrays(operators: MeshOperators) -> dict[str, ndarray]:
    arrays = {
        name: getattr(operators, name).astype(np.float32) for name in ("verts", "mass", "evals", "evecs", "sample_mass")
    }
    arrays |= {name: getattr(operators, name).astype(np.int32) for name in ("faces", "sample_points")}
    for name in ("grad_x", "grad_y"):
        matrix = sp.csr_matrix(getattr(operators, name))
        matrix.sort_indices()
        arrays |= {
            f"{name}_values": matrix.data.astype(np.float32),
            f"{name}_columns": matrix.indices.astype(np.int32),
            f"{name}_rows": matrix.indptr.astype(np.int32),
        }
    return arrays


def _save_arrays(file: BufferedIOBase, arrays: Mapping[str, ndarray]) -> None:
    with stage("writing to the cache"):
        np.savez(file, allow_pickle=False, **arrays)


def _load_arrays(source: Path | BufferedIOBase) -> dict[str, ndarray]:
    # reading a member checks its CRC
    with stage("reading from the cache"), np.load(source, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _checked(arrays: dict[str, ndarray], settings: PreparationSettings) -> dict[str, ndarray]:
    """The arrays. Raises ValueError unless they are a shape prepared with these settings."""
    check_arrays(arrays, _KINDS)
    n = len(arrays["verts"])
    k = min(settings.k, n)  # a small mesh has no more
    if len(arrays["evals"]) != k:
        raise ValueError(f"it holds {len(arrays['evals'])} eigenfunctions, not {k}")
    for name in _VERTEX_NUMBERS:
        values = arrays[name]
        if values.size and (values.min() < 0 or values.max() >= n):
            raise ValueError(f"its {name} names vertices from {values.min()} to {values.max()}, but there are {n}")
    for name in ("grad_x", "grad_y"):
        rows = arrays[f"{name}_rows"]
        if rows[0] != 0 or rows[-1] != len(arrays[f"{name}_values"]) or (np.diff(rows) < 0).any():
            raise ValueError(f"its {name} is no sparse matrix")
    return arrays


def _prepared_shape(path: Path, name: str, arrays: Mapping[str, ndarray]) -> PreparedShape:
    verts, evals, evecs, mass = (torch.from_numpy(arrays[name]) for name in ("verts", "evals", "evecs", "mass"))
    faces = torch.from_numpy(arrays["faces"].astype(np.int64))
    gradients = [_sparse(arrays, name, len(verts)) for name in ("grad_x", "grad_y")]
    sample = PointSample(
        torch.from_numpy(arrays["sample_points"].astype(np.int64)), torch.from_numpy(arrays["sample_mass"])
    )
    shape = Shape(name, verts, faces, Eigenbasis(evals, evecs, mass, sample), *gradients)
    relabel = Relabelling(str(path), arrays["successor"], arrays["moved"])
    return PreparedShape(shape, relabel, tuple(arrays["notes"].tolist()))


def _sparse(arrays: Mapping[str, ndarray], name: str, n: int) -> Float[Tensor, "n n"]:
    rows, columns = (torch.from_numpy(arrays[f"{name}_{part}"].astype(np.int64)) for part in ("rows", "columns"))
    with own_warnings():  # torch calls its compressed sparse tensors a beta feature, once a process
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        return torch.sparse_csr_tensor(
            rows, columns, torch.from_numpy(arrays[f"{name}_values"]), (n, n), check_invariants=False
        )
