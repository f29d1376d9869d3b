"""Small meshes with looks, in the formats of strangers."""

from pathlib import Path

import numpy as np
from PIL import Image
from tests.meshes import sphere


def halves() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A sphere in two charts: the upper half lies in the left half of the texture, the lower one in the right."""
    verts, faces = sphere(2)
    upper = verts[faces].mean(axis=1)[:, 2] > 0
    uv = 0.2 * verts[faces][:, :, :2] + 0.25
    uv[~upper, :, 0] += 0.5
    return verts, faces, uv


def rolled() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A tube in one chart that is cut open along a line: its two sides lie at the two ends of the texture."""
    rows, columns = 12, 24
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    height = np.linspace(0, 3, rows)
    verts = np.array([[np.cos(a), np.sin(a), h] for h in height for a in angle])
    i, j = (part.ravel() for part in np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij"))
    a, b = i * columns + j, i * columns + (j + 1) % columns
    faces = np.concatenate([np.stack([a, b, b + columns], 1), np.stack([a, b + columns, a + columns], 1)])
    turn = np.concatenate([np.stack([j, j + 1, j + 1], 1), np.stack([j, j + 1, j], 1)]) / columns
    up = np.concatenate([np.stack([i, i, i + 1], 1), np.stack([i, i + 1, i + 1], 1)]) / (rows - 1)
    return verts, faces, np.stack([turn, up], axis=2)


def image(path: Path, *, size: int = 64) -> np.ndarray:
    """Red to the left, green to the right, saved; its pixels."""
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    pixels[:, : size // 2, 0], pixels[:, size // 2 :, 1] = 200, 200
    Image.fromarray(pixels).save(path)
    return pixels


def write_textured(folder: Path, verts, faces, uv, *, name="s", picture="skin.png") -> Path:
    """``NAME.obj`` with its ``.mtl``, which names the picture."""
    flat, inverse = np.unique(uv.reshape(-1, 2), axis=0, return_inverse=True)
    lines = [f"mtllib {name}.mtl", *(f"v {x!r} {y!r} {z!r}" for x, y, z in verts.tolist())]
    lines += [f"vt {u!r} {v!r}" for u, v in flat.tolist()] + ["usemtl skin"]
    for face, corner in zip((faces + 1).tolist(), (inverse.reshape(-1, 3) + 1).tolist(), strict=True):
        lines.append("f " + " ".join(f"{v}/{t}" for v, t in zip(face, corner, strict=True)))
    (folder / f"{name}.mtl").write_text(f"newmtl skin\nKd 1 1 1\nmap_Kd {picture}\n")
    path = folder / f"{name}.obj"
    path.write_text("\n".join(lines) + "\n")
    return path
