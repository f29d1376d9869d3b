"""Make the embedded data set `data/humans`: posed human bodies, remeshed one by one, with exact ground truth.

    pip install -c constraints.txt -e .[humans]
    python experiments/makers/make_humans.py --out data/humans

Each body is an identity of the CC0 body model `anny` in a pose of `embedded_humans/tables.py`, jittered. Its surface is
clustered by `pyacvd` in a random vertex order; the dual mesh of the clusters, repaired and relaxed, is the shape. The
ground truth does not search the space around a surface: a landmark is a vertex of the model, its cluster is known, and
the answer is the nearest vertex within two edges of that cluster's, so it cannot jump between limbs that touch.

Same packages, machine and seed: same bytes. The first run builds anny's cache (minutes, 0.8 GB, in ANNY_CACHE_DIR).
"""

import argparse
from pathlib import Path

import numpy as np
from embedded_humans.body import Body, jittered, mirrored
from embedded_humans.remesh import defects, remesh
from embedded_humans.surface import face_cross, undirected_edges
from embedded_humans.tables import IDENTITIES, POSES, SCHEDULE, TRAIN_SHAPES
from rich.progress import track
from scipy.sparse import coo_matrix


def choose_landmarks(body, rest, n_pairs):
    """Farthest-point sample of the model's left half and its mirror image.

    Returns vertex ids (t,), and for each row the mirrored row (t,).
    """
    half = np.flatnonzero(rest[:, 0] >= -1e-4)
    chosen, distance = [int(half[rest[half, 2].argmax()])], np.full(len(half), np.inf)
    while len(chosen) < n_pairs:
        distance = np.minimum(distance, np.linalg.norm(rest[half] - rest[chosen[-1]], axis=1))
        chosen.append(int(half[distance.argmax()]))
    landmarks = np.unique(np.concatenate([chosen, body.mirror[chosen]]))
    return landmarks, np.searchsorted(landmarks, body.mirror[landmarks])


def ring_nearest(points, faces, owner, targets):
    """For each target (t, 3), whose cluster's vertex is `owner`, the nearest within two edges of it:
    ids and distances.
    """
    edges = undirected_edges(faces)[0]
    both = np.concatenate([edges, edges[:, ::-1], np.arange(len(points))[:, None].repeat(2, axis=1)])
    ring = coo_matrix((np.ones(len(both)), both.T), shape=(len(points),) * 2).tocsr()
    rings = ring @ ring
    ids = np.empty(len(targets), dtype=np.int64)
    for t, vertex in enumerate(owner):
        near = rings.indices[rings.indptr[vertex] : rings.indptr[vertex + 1]]
        ids[t] = near[np.linalg.norm(points[near] - targets[t], axis=1).argmin()]
    return ids, np.linalg.norm(points[ids] - targets, axis=1)


def check_mesh(name, points, faces):
    """Raise unless the mesh is a closed manifold of one component and genus 0, oriented outward."""
    from trimesh import Trimesh

    mesh = Trimesh(points, faces, process=False)
    found = {
        "non-manifold vertices": len(defects(faces, len(points))),
        "Euler characteristic": mesh.euler_number,
        "components": len(mesh.split(only_watertight=False)),
        "consistent orientation": mesh.is_winding_consistent,
        "volume": round(mesh.volume, 4),
    }
    if list(found.values())[:4] != [0, 2, 1, True] or mesh.volume <= 0:
        raise RuntimeError(f"{name} is not a closed outward sphere: {found}; try another --seed")


def write_off(path, points, faces):
    """Write a mesh as OFF, coordinates to 10 micrometres; y up and facing +z (the model has z up and faces -y)."""
    rows = [f"{x:.5f} {z:.5f} {0.0 - y:.5f}" for x, y, z in points] + [f"3 {a} {b} {c}" for a, b, c in faces]
    path.write_text(f"OFF\n{len(points)} {len(faces)} 0\n" + "\n".join(rows) + "\n")


def write_ids(path, ids):
    """Write vertex ids one a line, counted from 1."""
    path.write_text("\n".join(map(str, ids + 1)) + "\n")


def make_shape(body, index, settings):
    """Shape `index` of the schedule: points, faces, the vertex of every model vertex, and the posed model vertices."""
    identity, pose = SCHEDULE[index]
    rng = np.random.default_rng([settings.seed, index])
    angles = mirrored(POSES[pose[1:]]) if pose.startswith("~") else POSES[pose]
    posed, _ = body.shape(IDENTITIES[identity], jittered(angles, settings.jitter, rng))
    points, faces, owner = remesh(posed, body.faces, body.density[:, 0], n_vertices=settings.clusters, rng=rng)
    return points.round(5), faces, owner, posed


def write_shape(folder, name, points, faces, ids, mirror_row):
    """Write the mesh and its two correspondence files."""
    write_off(folder / "off" / f"{name}.off", points, faces)
    write_ids(folder / "corres" / f"{name}.vts", ids)
    write_ids(folder / "corres" / f"{name}.sym.vts", ids[mirror_row])


def facts(points, faces, residual):
    """One row of shapes.csv after the name, identity and pose."""
    edge = np.linalg.norm(np.diff(points[undirected_edges(faces)[0]], axis=1), axis=2).mean()
    area = np.linalg.norm(face_cross(points, faces), axis=1).sum() / 2
    numbers = (area, 1e3 * edge, 1e3 * residual.mean(), 1e3 * residual.max(), 100 * residual.mean() / np.sqrt(area))
    return ",".join([str(len(points)), *(f"{x:.2f}" for x in numbers)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=Path("data/humans"), help="folder to write off/, corres/, train.txt, test.txt into"
    )
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--clusters", type=int, default=1540, help="clusters asked of pyacvd; repair adds some")
    parser.add_argument(
        "--landmark-pairs", type=int, default=1000, help="landmarks on one half of the body, mirrored to the other"
    )
    parser.add_argument("--jitter", type=float, default=4.0, help="standard deviation of the angles, degrees")
    parser.add_argument("--only", type=int, nargs="*", help="make these shapes alone (0, 1, …), and no lists")
    settings = parser.parse_args()

    body = Body()
    _, rest = body.shape(IDENTITIES["woman_average"], {})
    landmarks, mirror_row = choose_landmarks(body, rest, settings.landmark_pairs)
    for folder in ("off", "corres"):
        (settings.out / folder).mkdir(parents=True, exist_ok=True)
    names = [f"human_{i:03d}" for i in range(len(SCHEDULE))]
    rows = ["name,identity,pose,vertices,area_m2,mean_edge_mm,residual_mean_mm,residual_max_mm,residual_mean_x100"]
    for i in track(settings.only or range(len(SCHEDULE)), description="remeshing"):
        points, faces, owner, posed = make_shape(body, i, settings)
        check_mesh(names[i], points, faces)
        ids, residual = ring_nearest(points, faces, owner[landmarks], posed[landmarks])
        write_shape(settings.out, names[i], points, faces, ids, mirror_row)
        rows.append(f"{names[i]},{','.join(SCHEDULE[i])},{facts(points, faces, residual)}")
    if settings.only is None:
        (settings.out / "shapes.csv").write_text("\n".join(rows) + "\n")
        (settings.out / "train.txt").write_text("\n".join(names[:TRAIN_SHAPES]) + "\n")
        (settings.out / "test.txt").write_text("\n".join(names[TRAIN_SHAPES:]) + "\n")
    print(f"{len(rows) - 1} shapes, {len(landmarks)} landmarks: {settings.out}")


if __name__ == "__main__":
    main()
