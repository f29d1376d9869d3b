"""Embeddings as maps meet them: eigenfunctions of two human bodies brought together by a functional map."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from pullback.data.mesh.io import read_mesh, read_vts
from pullback.geometry.operators import compute_operators
from pullback.geometry.subdivision import subdivide
from pullback.mapping.fmap import fmap_from_pointmap, pointmap_from_fmap, spectral_embeddings
from pullback.types import Eigenbasis

FOLDER = Path(__file__).parents[2] / "data" / "humans"
BODIES = ("human_020", "human_021")
# Subdivisions of the mesh, 2,000 vertices, of which eigenfunctions are computed; on finer ones they are interpolated.
_COMPUTED = 1
_COLUMNS = 130


def embeddings(n: int, columns: int) -> tuple[Float[Tensor, "n p"], Float[Tensor, "n p"]]:
    """``(query, reference)``, float32, n points each, in random order.

    Cotangent eigenfunctions of two embedded humans, subdivided once to 8,000 vertices; more points by linear
    interpolation on further subdivisions; the functional map from the ground truth, refined twice by nearest
    neighbours.
    """
    levels = 0
    while 4**levels * 7_700 < n:
        levels += 1
    query, reference = (_some(_finer(face, x, levels), n, seed) for seed, (face, x) in enumerate(_coarse(columns)))
    return query, reference


@cache
def _coarse(columns: int) -> list[tuple[Int[ndarray, "f 3"], Float[Tensor, "n p"]]]:
    bodies = [_body(name) for name in BODIES]
    (basis2, _, marks2), (basis1, _, marks1) = ((basis.first(columns), faces, marks) for basis, faces, marks in bodies)
    fmap12 = torch.linalg.lstsq(basis2.evecs[marks2], basis1.evecs[marks1]).solution
    for _ in range(2):
        fmap12 = fmap_from_pointmap(pointmap_from_fmap(fmap12, basis1, basis2), basis1, basis2)
    query, reference = spectral_embeddings(fmap12, basis1, basis2)
    return [(bodies[0][1], query), (bodies[1][1], reference)]


@cache
def _body(name: str) -> tuple[Eigenbasis, Int[ndarray, "f 3"], Int[Tensor, " t"]]:
    verts, faces = read_mesh(FOLDER / "off" / f"{name}.off")
    marks = read_vts(FOLDER / "corres" / f"{name}.vts", n_vertices=len(verts))
    for _ in range(_COMPUTED):
        verts, faces = subdivide(verts, faces)
    ops = compute_operators(verts, faces, k=_COLUMNS)
    evals, evecs, mass = (torch.from_numpy(x) for x in (ops.evals, ops.evecs, ops.mass))
    return Eigenbasis(evals, evecs, mass), faces, torch.from_numpy(marks)


def _finer(faces: Int[ndarray, "f 3"], values: Float[Tensor, "n p"], levels: int) -> Float[ndarray, "m p"]:
    dense = values.numpy()
    for _ in range(levels):
        dense, faces = subdivide(dense, faces)
    return dense


def _some(points: Float[ndarray, "m p"], n: int, seed: int) -> Float[Tensor, "n p"]:
    chosen = np.random.default_rng(seed).permutation(len(points))[:n]
    return torch.from_numpy(points[chosen]).float()
