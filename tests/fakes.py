"""Writers of small data sets in the true on-disk formats. Independent of the package, which is tested on them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tests.meshes import sphere


def body(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(verts, faces, vertex of each template point): a lop-sided blob of 162 vertices, mirror-symmetric in x,
    in an order of its own.
    """
    verts, faces = sphere(2)
    _, y, z = verts.T
    radius = 1 + (0.1 + 0.01 * number) * np.sin(2 * y + 0.5) + 0.1 * np.cos(3 * z + 0.1 * number)
    verts = verts * radius[:, None] * [1.0, 1.2, 1.6]
    order = np.random.default_rng(number).permutation(len(verts))
    place = np.argsort(order)
    return verts[order], place[faces], place


def mirrored_points() -> np.ndarray:
    """For each template point of ``body`` the one on the other side of x = 0."""
    verts, _ = sphere(2)
    return np.array([np.linalg.norm(verts - point * [-1, 1, 1], axis=1).argmin() for point in verts])


def write_mesh(path: Path, verts: np.ndarray, faces: np.ndarray) -> None:
    """ASCII OFF as in FAUST_r."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [" ".join(f"{value:.16g}" for value in vertex) for vertex in verts] + [
        f"3 {a} {b} {c} " for a, b, c in faces
    ]
    path.write_text(f"OFF\n{len(verts)} {len(faces)} 0\n" + "\n".join(rows) + "\n")


def write_numbers(path: Path, ids: np.ndarray) -> None:
    """A ``.vts`` file: 1-based."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(str(i + 1) for i in ids) + "\n")


def write_shape(root: Path, name: str, number: int, *, layout: Sequence[str] = ("off", "corres")) -> None:
    """The mesh of a body with its ground truth and the mirrored one."""
    verts, faces, place = body(number)
    write_mesh(root / layout[0] / f"{name}.off", verts, faces)
    write_numbers(root / layout[1] / f"{name}.vts", place)
    write_numbers(root / layout[1] / f"{name}.sym.vts", place[mirrored_points()])


def write_faust(root: Path, numbers: Sequence[int], *, layout: Sequence[str] = ("off", "corres")) -> None:
    """FAUST_r with the shapes of these numbers."""
    for number in numbers:
        write_shape(root, f"tr_reg_{number:03d}", number, layout=layout)
