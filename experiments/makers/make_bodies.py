"""Make the bodies on which the shipped weights are trained, and those of another make that select among them.

    pip install -c constraints.txt -e .[humans]
    python experiments/makers/make_bodies.py --out bodies/train --count 865
    python experiments/makers/make_bodies.py --out bodies/validation --count 24 --validation

Each shape is a random identity of the CC0 body model `anny` in a random pose, bent and dented at random, smoothed,
and meshed anew: by quadric collapse (uneven, anisotropic) or from voxels (limbs that touch are glued), with noise and
holes. Every third body is there twice, in two meshes. Validation shapes are other people, meshed evenly by `pyacvd` or
finely from voxels, with noise. Folders are those of `dataset=folder`: off/, corres/, lists.

Same packages, machine and seed: same shapes, whatever the number of workers.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from embedded_humans.body import Body
from embedded_humans.decimate import clustered, largest_piece, opened, pierced, quadric, roughened, smoothed, voxelised
from embedded_humans.tables import IDENTITIES
from embedded_humans.variety import carried, hair_and_features, random_identity, random_pose, smooth_field
from make_humans import choose_landmarks, ring_nearest, write_ids, write_off
from scipy.spatial import cKDTree

MAKES = {"quadric": quadric, "voxelised": voxelised, "clustered": clustered}
FACES = ("sealed", "open", "cavities")  # holes for eyes and mouth; or what lies behind them, as artists model it
VALIDATION_SEED = 10**6  # other people and poses than any training shape's


def shape_of(body, index, settings):
    """Points, faces, owner of every model vertex, the posed model, and a word on how the mesh was made."""
    seed = settings.seed + VALIDATION_SEED * settings.validation
    person = index - 1 if index % 3 == 2 else index  # shapes 1 and 2, 4 and 5, … are one body in two meshes
    rng = np.random.default_rng([seed, person])
    posed, rest = body.shape(random_identity(rng), random_pose(rng), inner=True)
    head = carried(hair_and_features(rest, body.head, rng), rest, posed, body.head)
    posed = posed + head + smooth_field(rest, rng, size=rng.uniform(0.0, 0.02))
    rng = np.random.default_rng([seed, index, 1])
    if settings.validation:
        make, n_vertices = ("clustered", "voxelised")[index % 4 == 3], int(rng.uniform(2500, 6000))
    else:
        make = "voxelised" if rng.random() < 0.2 else "quadric"
        n_vertices = int(np.exp(rng.uniform(np.log(settings.least), np.log(settings.most))))
    face = rng.choice(FACES, p=(0.4, 0.2, 0.4) if make != "voxelised" else (0.7, 0.3, 0.0))
    faces = body.faces_with_cavities if face == "cavities" else body.faces
    used = np.unique(faces)
    faces, near = np.searchsorted(used, faces), cKDTree(posed[used]).query(posed)[1]
    points = smoothed(posed[used], faces, int(rng.integers(0, 12)))
    points, faces, owner = MAKES[make](points, faces, n_vertices, rng)
    owner = owner[near]  # of what is not there, that of the nearest vertex that is
    if face == "open":
        points, faces, owner = opened(points, faces, owner, [posed[rim] for rim in body.rims])
    if rng.random() < 0.5:
        points = roughened(points, faces, rng, share=rng.uniform(0.0, 0.15))
    if rng.random() < 0.25 and make != "voxelised":
        points, faces, owner = pierced(points, faces, owner, rng, count=int(rng.integers(1, 4)))
    return *largest_piece(points, faces, owner), posed, f"{make} {face}"


_STATE: dict[str, Any] = {}  # of this process


def _begin():
    _STATE["body"] = body = Body()
    _STATE["landmarks"] = choose_landmarks(body, body.shape(IDENTITIES["woman_average"], {})[1], 1000)[0]


def make_one(index, settings):
    """Write shape `index`; returns its row of shapes.csv."""
    if not _STATE:
        _begin()
    landmarks = _STATE["landmarks"]
    points, faces, owner, posed, make = shape_of(_STATE["body"], index, settings)
    ids, residual = ring_nearest(points, faces, owner[landmarks], posed[landmarks])
    name = f"body_{index:04d}"
    write_off(settings.out / "off" / f"{name}.off", points, faces)
    write_ids(settings.out / "corres" / f"{name}.vts", ids)
    return f"{name},{make},{len(points)},{1e3 * residual.mean():.1f},{1e3 * residual.max():.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bodies/train"), help="folder for off/, corres/, train.txt …")
    parser.add_argument("--count", type=int, default=865, help="shapes")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--least", type=int, default=1200, help="vertices of the coarsest training shapes")
    parser.add_argument("--most", type=int, default=3600, help="vertices of the finest ones")
    parser.add_argument("--listed", type=int, default=2400, help="the lists name shapes of at most so many vertices")
    parser.add_argument("--validation", action="store_true", help="other people, of another make")
    parser.add_argument("--workers", type=int, default=1)
    settings = parser.parse_args()
    for folder in ("off", "corres"):
        (settings.out / folder).mkdir(parents=True, exist_ok=True)
    started, indices = time.time(), range(settings.count)
    if settings.workers > 1:
        with ProcessPoolExecutor(settings.workers, mp_context=get_context("spawn")) as pool:
            rows = list(pool.map(make_one, indices, [settings] * settings.count))
    else:
        rows = [make_one(index, settings) for index in indices]
    (settings.out / "shapes.csv").write_text("name,make,vertices,residual_mean_mm,residual_max_mm\n" + "\n".join(rows))
    names = [row.split(",")[0] for row in rows if settings.validation or int(row.split(",")[2]) <= settings.listed]
    empty, full = ("train", "test") if settings.validation else ("test", "train")
    (settings.out / f"{full}.txt").write_text("".join(f"{name}\n" for name in names))
    (settings.out / f"{empty}.txt").write_text("")
    print(f"{settings.count} shapes, {len(names)} listed, in {time.time() - started:.0f} s: {settings.out}")


if __name__ == "__main__":
    main()
