"""Four-legged bodies, mirror-symmetric in x, y up and z forward, with known correspondence and rotations."""

import numpy as np
from tests.meshes import sphere

_LIMBS = {(0.45, -0.8, 0.45): 0.9, (0.4, -0.8, -0.5): 0.9, (0.0, 0.55, 0.85): 0.8, (0.0, 0.25, -1.0): 0.35}


def animal(number: int, *, subdivisions: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces; vertex i of each is the same point. Another number is another animal in another pose."""
    rng = np.random.default_rng(number)
    verts, faces = sphere(subdivisions)
    radius = np.ones(len(verts))
    for direction, length in _LIMBS.items():
        for side in (1, -1) if direction[0] else (1,):
            aim = np.array(direction) * [side, 1, 1] + 0.08 * rng.standard_normal(3)
            along = verts @ (aim / np.linalg.norm(aim))
            radius += length * (1 + 0.2 * rng.standard_normal()) * np.exp(18 * (along - 1))
    return verts * radius[:, None] * ([0.55, 0.7, 1.2] + 0.05 * rng.standard_normal(3)), faces


def rotation(number: int) -> np.ndarray:
    """Any rotation, the same for the same number."""
    matrix = np.linalg.qr(np.random.default_rng(number).standard_normal((3, 3)))[0]
    return matrix * np.linalg.det(matrix)
