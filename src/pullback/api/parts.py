"""Parts of a match for those who want one alone: shapes with their bases, features, refinement, spectra.

Arrays are numpy's; a row belongs to a vertex as it was given, and is NaN where cleaning dropped the vertex.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from pullback.api.feature_grids import PhotoFeatures
from pullback.api.inputs import Given, GivenError, as_numpy, is_image, read_given
from pullback.api.matching import matcher_for, prepared, random_numbers_apart
from pullback.data.mesh.shapes import PreparedShape
from pullback.mapping.fmap import fmap_from_pointmap
from pullback.solvers.zoomout import hard_map
from pullback.solvers.zoomout import zoomout as refined
from pullback.tasks.mesh.two_meshes import file_ids, in_given_numbers

# Nothing is matched here: any number of eigenfunctions is enough for the solver.
_UNSOLVED = {"solver": "nearest", "solver.k": 3}


class Refined(NamedTuple):
    """A map after ZoomOut."""

    p2p21: Int[ndarray, " m2"]  # for each given vertex of mesh 2 one of mesh 1; -1 where cleaning dropped the vertex
    fmap12: Float[ndarray, "k2 k1"]


class Spectrum(NamedTuple):
    """Eigenfunctions of a mesh that is scaled to unit area, ``stiffness φ = λ mass φ``."""

    evals: Float[ndarray, " k"]  # to be divided by the area for those of the mesh as it is
    evecs: Float[ndarray, "m k"]  # orthonormal in the mass
    mass: Float[ndarray, " m"]  # sums to 1


def prepare(
    mesh: Any, *, k: int = 200, options: Mapping[str, Any] | None = None, config_dir: str | Path | None = None
) -> PreparedShape:
    """A mesh (as in ``match``) cleaned, of unit area, with k eigenfunctions and its operators in ``.shape``.

    It may stand wherever a mesh is asked for, and saves preparing it again. ``options`` are those of ``pullback match``
    (``{"data.laplacian": "robust"}``). Raises UserError for a mesh that cannot be used as it is.
    """
    return _one(mesh, {"data.k": k, "backbone.descriptor.k": min(k, 128), **_UNSOLVED, **(options or {})}, config_dir)


def features(
    mesh: Any,
    branch: str | None = None,
    *,
    landmarks: Any = None,
    options: Mapping[str, Any] | None = None,
    config_dir: str | Path | None = None,
    **named: Any,
) -> Float[ndarray, "m c"] | PhotoFeatures:
    """Features at the vertices of a mesh (as in ``match``): wave kernel signatures, or those of a trained network,
    ``ckpt=FILE``. Or features of a photograph on a grid of patches, with the places of these.

    ``landmarks`` are vertices, counted from 0, for the features of ``backbone="landmarks"``. Options as in ``match``.
    Of a photograph, ``branch`` names the network, a file of ``configs/branch`` (``"dinov2_s14"``; by default the best
    at hand), and options are those of that file (``size=560``, ``layer=[9, 11]``) and ``device``.
    """
    given = read_given(mesh, name="mesh")
    if is_image(given):
        from pullback.api.photo_features import photo_features

        more = {} if landmarks is None else {"landmarks": landmarks}
        return photo_features(given, branch, {**(options or {}), **named, **more}, config_dir)
    if branch is not None:
        raise GivenError("a branch is a network for photographs; leave it out for a mesh, whose network is ckpt=FILE")
    chosen, known = {**_UNSOLVED, **(options or {}), **named}, {}
    if landmarks is not None:
        chosen, known = {"backbone": "landmarks", **chosen}, {"landmarks": max(1, as_numpy(landmarks).size)}
    with random_numbers_apart(), torch.no_grad():
        matcher = matcher_for(None, chosen, config_dir, given=known)
        shape = prepared(matcher, given, "mesh")
        points = () if landmarks is None else (_vertices(landmarks, shape).to(matcher.device),)
        found = matcher.backbone.to(matcher.device).eval()(shape.shape.to(matcher.device), *points)
    return _for_given(found.cpu().numpy(), shape)


def zoomout(
    start: Any,
    source: Any,
    target: Any,
    *,
    k_init: int = 30,
    step: int = 10,
    n_steps: int = 10,
    options: Mapping[str, Any] | None = None,
) -> Refined:
    """A map 2 → 1 refined by ZoomOut (Melzi et al. 2019): from ``k_init`` eigenfunctions on, ``n_steps`` times ``step``
    more.

    ``start`` is a point map, for each vertex of ``target`` one of ``source`` (m2 whole numbers, counted from 0), or a
    functional map (k2, k1), whose size takes the place of ``k_init``. Source and target are meshes as in ``match``.
    """
    given = as_numpy(start)
    k_init = max(given.shape) if given.ndim == 2 else k_init
    sizes = [k_init + step * (i + 1) for i in range(n_steps)]
    most = max([k_init, *sizes])
    shape1, shape2 = (prepare(mesh, k=max(3, most), options=options) for mesh in (source, target))
    basis1, basis2 = shape1.shape.basis, shape2.shape.basis
    if given.ndim == 2:
        fmap12 = torch.from_numpy(np.array(given, dtype=np.float32))
    else:
        p2p21 = _point_map(given, shape1, shape2)
        fmap12 = fmap_from_pointmap(p2p21, basis1.first(k_init), basis2.first(k_init))
    fmap12, map21 = refined(fmap12, basis1, basis2, sizes=sizes, convert=hard_map)
    return Refined(in_given_numbers(map21.nearest(), shape1, shape2), fmap12.numpy())


def spectrum(verts: Any, faces: Any = None, k: int = 200, *, options: Mapping[str, Any] | None = None) -> Spectrum:
    """The first k eigenvalues and eigenfunctions of the Laplacian of a mesh, and its lumped mass.

    The mesh is given by vertices and faces, or by the first argument alone, as in ``match``.
    """
    shape = prepare(verts if faces is None else (verts, faces), k=k, options=options)
    basis = shape.shape.basis
    mass = np.zeros(len(shape.relabel.successor))
    mass[file_ids(shape)] = basis.mass.numpy()
    return Spectrum(basis.evals.numpy(), _for_given(basis.evecs.numpy(), shape), mass)


def _one(mesh: Any, options: Mapping[str, Any], config_dir: str | Path | None) -> PreparedShape:
    side = _mesh(mesh, "mesh")
    with random_numbers_apart():
        return prepared(matcher_for(None, options, config_dir), side, "mesh")


def _mesh(thing: Any, name: str) -> Given:
    given = read_given(thing, name=name)
    if is_image(given):
        raise GivenError(f"{name} is a photograph; give a mesh")
    return given


def _for_given(values: Float[ndarray, "n c"], shape: PreparedShape) -> Float[ndarray, "m c"]:
    """Rows of a shape as rows of the mesh that was given."""
    rows = values[shape.relabel.successor]
    rows[shape.relabel.dropped] = np.nan
    return rows


def _vertices(given: Any, shape: PreparedShape) -> Int[Tensor, " t"]:
    vertices, m = as_numpy(given), len(shape.relabel.successor)
    if vertices.ndim != 1 or vertices.dtype.kind not in "iu" or vertices.min() < 0 or vertices.max() >= m:
        raise GivenError(f"landmarks: give vertices of the mesh, whole numbers from 0 to {m - 1}")
    return torch.from_numpy(shape.relabel(vertices))


def _point_map(given: ndarray, shape1: PreparedShape, shape2: PreparedShape) -> Int[Tensor, " n2"]:
    m1, m2 = (len(shape.relabel.successor) for shape in (shape1, shape2))
    kept = given[file_ids(shape2)] if given.shape == (m2,) else np.array([-1])
    if given.dtype.kind not in "iu" or kept.min() < 0 or kept.max() >= m1:
        raise GivenError(
            f"a point map 2 → 1 of these meshes has {m2} whole numbers from 0 to {m1 - 1}, one for each vertex of the "
            f"target; a functional map has two axes. This is an array of {given.dtype} and shape {given.shape}"
        )
    return torch.from_numpy(shape1.relabel.successor[kept].astype(np.int64))
