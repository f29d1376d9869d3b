"""Meshes with known geometry, for tests."""

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import ConvexHull


def sphere(subdivisions: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit icosphere with 10·4^s + 2 vertices, counter-clockwise seen from outside."""
    golden = (1 + 5**0.5) / 2
    verts = np.array([[s, t * golden, 0] for s in (-1, 1) for t in (-1, 1)], dtype=float)
    verts = np.concatenate([verts, np.roll(verts, 1, axis=1), np.roll(verts, 2, axis=1)])
    faces = outward(verts, ConvexHull(verts).simplices)
    for _ in range(subdivisions):
        verts, faces = subdivide(verts, faces)
    return verts / np.linalg.norm(verts, axis=1, keepdims=True), faces


def outward(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces of a convex body around the origin, all counter-clockwise from outside."""
    a, b, c = (verts[faces[:, i]] for i in range(3))
    inside_out = np.einsum("fd,fd->f", np.cross(b - a, c - a), a + b + c) < 0
    return np.where(inside_out[:, None], faces[:, ::-1], faces).astype(np.int64)


def subdivide(verts: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle split in four at the midpoints of its edges; radii are kept."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, inverse = np.unique(edges, axis=0, return_inverse=True)
    middle = verts[unique].mean(axis=1)
    radius = np.linalg.norm(verts[unique], axis=2).mean(axis=1, keepdims=True)
    middle = middle / np.linalg.norm(middle, axis=1, keepdims=True) * radius
    ab, bc, ca = inverse.reshape(3, -1) + len(verts)
    a, b, c = faces.T
    split = np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))])
    return np.concatenate([verts, middle]), split.astype(np.int64)


def plane(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit square of n × n vertices in the xy plane, normals along +z."""
    grid = np.stack(np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="xy"), axis=-1).reshape(-1, 2)
    index = np.arange(n * n).reshape(n, n)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    return np.column_stack([grid, np.zeros(n * n)]), faces


def rolled_frames(shape):
    """The same shape with every tangent frame turned by an angle of its own."""
    angles = torch.linspace(0, 6, shape.n)
    cos, sin = torch.diag(torch.cos(angles)), torch.diag(torch.sin(angles))
    grad_x, grad_y = shape.grad_x.to_dense(), shape.grad_y.to_dense()
    turned = (cos @ grad_x + sin @ grad_y, cos @ grad_y - sin @ grad_x)
    return replace(shape, grad_x=turned[0].to_sparse_csr(), grad_y=turned[1].to_sparse_csr())
