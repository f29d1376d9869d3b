"""Point maps from files of any origin: for each vertex of the target's file one of the source's."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from jaxtyping import Int
from numpy import ndarray

from pullback.data.mesh.io import entry_of, read_numbers
from pullback.files import read_bytes
from pullback.geometry.cleaning import MeshError

_NAMES = ("p2p21", "p2p", "T21", "T", "map", "matches")
_NEVER = 5  # so many times more often than any vertex comes a number that means: none


def read_point_map(path: str | Path, *, n1: int, n2: int) -> Int[ndarray, " {n2}"]:
    """The vertex of the source (``n1`` of them, from 0) for each vertex of the target (``n2``); -1 where there is none.

    A text file has one number a line, counted from 1, with 0 or -1 for none; so has ``p2p21`` of a ``.mat`` file.
    ``.npy`` and ``.npz`` (``p2p21`` of ``match.npz``) count from 0, as Python does, with -1 for none. Raises
    MissingFileError, and MeshError with line or entry for another number of entries, for one that names no vertex, and
    for text that counts from 0.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        values, first, where = _array(path), 0, _entry
    elif suffix == ".mat":
        values, first, where = _matlab(path), 1, _entry
    else:
        values, first, where = read_numbers(path, what="point map"), 1, lambda i: _line(path, i)
    if len(values) != n2:
        hint = "the two files of the pair may be the wrong way round" if len(values) == n1 else "is it of other meshes?"
        raise MeshError(f"{path}: {len(values)} entries, but the target has {n2} vertices and needs one each; {hint}")
    if first == 1:
        _check_counted_from_one(path, values, n1, where)
    ids = np.where(values < first, -1, values - first)
    wrong = np.flatnonzero((values < -1) | (ids >= n1))
    if len(wrong):
        count = f"{first}..{n1 - 1 + first}"
        raise MeshError(
            f"{path}, {where(int(wrong[0]))}: the source has no vertex {values[wrong[0]]}, but the vertices {count}. "
            "Does the map belong to other meshes, or run from the source to the target? It must run from the target"
        )
    if (ids < 0).all():
        raise MeshError(f"{path}: no vertex of the target has a partner. Leave the option out to match without it")
    return ids


def _check_counted_from_one(path: Path, values: Int[ndarray, " m"], n1: int, where: Callable[[int], str]) -> None:
    """A 0 is none where the map needs it often, or names the last vertex too; else the file counts from 0."""
    zeros = np.flatnonzero(values == 0)
    if not len(zeros) or values.max() >= n1:
        return
    usual = np.bincount(values[values > 0]).max(initial=0)
    if len(zeros) <= max(_NEVER, _NEVER * usual):
        raise MeshError(
            f"{path}, {where(int(zeros[0]))}: vertex 0, and none is called {n1}: it seems to count from 0. Add 1 to "
            "each number, or write -1 where a vertex has no partner"
        )


def _line(path: Path, i: int) -> str:
    return f"line {entry_of(path, i)[0]}"


def _entry(i: int) -> str:
    return f"entry {i + 1}"


def _array(path: Path) -> Int[ndarray, " m"]:
    read_bytes(path, what="point map")  # says why where it cannot be read
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, ndarray):
            return _whole(path, stored)
        with stored:
            return _whole(path, _chosen(path, {name: stored[name] for name in stored.files if name in _NAMES}))
    except MeshError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise MeshError(f"{path}: is no {path.suffix} file of numbers ({error}). Save the map again") from None


def _matlab(path: Path) -> Int[ndarray, " m"]:
    read_bytes(path, what="point map")
    try:
        stored = scipy.io.loadmat(path, variable_names=_NAMES)
    except Exception as error:  # whatever the reader makes of a damaged file, or of one of version 7.3
        said = " ".join(str(error).split())[:200]
        raise MeshError(f"{path}: cannot be read as a .mat file ({said}). Save it with -v7, or as text") from None
    return _whole(path, _chosen(path, {name: value for name, value in stored.items() if name in _NAMES}))


def _chosen(path: Path, arrays: dict[str, Any]) -> ndarray:
    found = next((arrays[name] for name in _NAMES if name in arrays), None)
    if found is None:
        raise MeshError(f"{path}: holds no array called {' or '.join(_NAMES)}. Call the map p2p21")
    return found


def _whole(path: Path, values: ndarray) -> Int[ndarray, " m"]:
    values = np.asarray(values)
    values = values[0] if values.ndim == 2 and len(values) == 1 else values
    flat = values.ravel() if values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1) else None
    if flat is None or flat.dtype.kind not in "iuf":
        raise MeshError(f"{path}: an array of {values.dtype} and shape {values.shape} is no list of vertex numbers")
    if flat.dtype.kind == "f":
        flat = np.where(np.isnan(flat), -1, flat)
        if not (flat == np.round(flat)).all() or (np.abs(flat) > 2**53).any():
            bad = int(np.flatnonzero(~(flat == np.round(flat)) | (np.abs(flat) > 2**53))[0])
            raise MeshError(f"{path}, entry {bad + 1}: {flat[bad]:g} is no vertex number")
    return flat.astype(np.int64)
