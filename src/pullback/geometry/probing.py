"""What is read of a shape to judge maps from and to it: points, derivatives of eigenfunctions, curvature."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.geometry.connectivity import face_edges
from pullback.geometry.geodesic import edge_graph
from pullback.geometry.mesh import vertex_normals
from pullback.geometry.point_sample import nearest_source, sample_points
from pullback.probe import Probe
from pullback.types import Eigenbasis, Shape

# Curvature is smoothed by heat for these times, in units of area.
_TIMES = (1e-3, 4e-3, 1.6e-2)
_NEIGHBOURS = 6


def compute_probe(shape: Shape, *, count: int = 700, k: int = 60) -> Probe:
    """The probe of a shape at ``count`` points (all of a smaller shape), with its first k eigenfunctions."""
    verts, faces = shape.verts.double().cpu().numpy(), shape.faces.cpu().numpy()
    mass = shape.basis.mass.double().cpu().numpy()
    ids, _ = sample_points(verts, faces, mass, count=count)
    cell = nearest_source(edge_graph(verts, faces), ids)[0]
    weight = np.bincount(cell, weights=mass, minlength=len(ids))
    basis = shape.basis.first(min(k, shape.basis.k))
    points = torch.from_numpy(ids).to(shape.verts.device)
    normals = torch.from_numpy(vertex_normals(verts, faces)).to(shape.verts)
    uses = face_edges(faces)[1]
    part = Eigenbasis(basis.evals, basis.evecs[points], torch.from_numpy(weight).to(shape.verts))
    return Probe(
        points=points,
        cell=torch.from_numpy(cell).to(points.device),
        verts=shape.verts[points],
        basis=part,
        grad_x=(shape.grad_x @ basis.evecs)[points],
        grad_y=(shape.grad_y @ basis.evecs)[points],
        near=_neighbours(part),
        coords=basis.project(shape.verts),
        curvature=mean_curvatures(shape.verts, normals, basis)[points],
        boundary=float((uses == 1).mean()),
    )


def mean_curvatures(
    verts: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], basis: Eigenbasis
) -> Float[Tensor, "n c"]:
    """Signed mean curvature at several scales: the Laplacian of the positions along the normal, smoothed by heat.

    Positive where the surface bulges outward. Each scale is squashed into (-1, 1), so that finger tips do not outweigh
    the rest, and has variance 1 over the surface. Unlike spectral signatures it changes with the embedding: it tells a
    belly from a back.
    """
    along = (basis.synthesise(basis.evals[:, None] * basis.project(verts)) * normals).sum(dim=1)
    coeffs = basis.project(along)
    scales = torch.stack([coeffs * torch.exp(-time * basis.evals) for time in _TIMES], dim=1)
    values = basis.synthesise(scales)
    tiny, mass = torch.finfo(values.dtype).eps, basis.mass / basis.mass.sum()
    squashed = (values / values.abs().median(dim=0).values.clamp_min(tiny) / 2).tanh()
    centred = squashed - mass @ squashed
    return centred / (mass @ centred**2).sqrt().clamp_min(tiny)


def _neighbours(basis: Eigenbasis) -> Int[Tensor, "s neighbours"]:
    """The nearest points along the surface, by the eigenfunctions, so that two sheets that touch stay apart."""
    varying = basis.evals > 1e-3 * basis.evals[-1]
    rows = basis.evecs[:, varying] / basis.evals[varying].sqrt()
    return torch.cdist(rows, rows).topk(min(_NEIGHBOURS + 1, basis.n), largest=False).indices[:, 1:]
