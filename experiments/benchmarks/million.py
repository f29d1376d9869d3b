"""``match.py`` on two meshes of a million vertices, as a user runs it.

Seconds and peak memory of each stage, and the error of the map.

    python -m experiments.benchmarks.million                 about 80,000 vertices each, a minute or two
    python -m experiments.benchmarks.million --full          a million and more (FAUST_r: 1.28 million, humans: 2)
    python -m experiments.benchmarks.million --levels 3 --options solver=zoomout data.basis=sampled

Two scans of FAUST_r, or two embedded humans where there is none, are subdivided (every triangle in four, as often as
``--levels`` says), so that their vertices come first and keep their ground truth. Six of these, far apart, are the
landmarks; the error is measured at the others, along the edges of the subdivided source.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from experiments.benchmarks.conditions import arguments, start
from experiments.benchmarks.harness import Report, Row
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse.csgraph import dijkstra

from pullback.data.mesh.io import read_mesh, read_vts, write_off
from pullback.files import read_json
from pullback.geometry.geodesic import edge_graph
from pullback.geometry.mesh import normalise_area
from pullback.geometry.subdivision import subdivide

ROOT = Path(__file__).resolve().parents[2]
FAUST = Path(os.environ.get("PULLBACK_DATA_DIR", ROOT / "data")) / "FAUST_r"
# (folder, shape 1, shape 2): two bodies of different people in different poses
PAIRS = {"faust": (FAUST, "tr_reg_080", "tr_reg_095"), "humans": (ROOT / "data" / "humans", "human_020", "human_027")}
SIZES = {False: 80_000, True: 1_000_000}  # vertices aimed at, without and with --full
OPTIONS = ["solver=sampled_zoomout", "solver.k_init=20", "solver.n_steps=11"]
LANDMARKS, MEASURED = 6, 200
NEAR = 0.2  # units of √area: so far the first search along edges goes


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--pair",
        choices=PAIRS,
        default="faust" if FAUST.is_dir() else "humans",
        help="which scans (default: %(default)s)",
    )
    parser.add_argument("--levels", type=int, help="subdivisions (default: as many as the size takes)")
    parser.add_argument("--options", nargs="*", default=OPTIONS, help="for match.py (default: %(default)s)")
    options = start(parser)
    report = Report(__file__, options)
    with tempfile.TemporaryDirectory() as folder:
        report.add(measured(Path(folder), options.pair, options.levels, options.full, options.options))
    report.finish()


def measured(folder: Path, pair: str, levels: int | None, full: bool, options: list[str]) -> list[Row]:
    """A row for the whole command and one for each of its stages."""
    place, *names = PAIRS[pair]
    meshes, truths = [], []
    for name in names:
        mesh = read_mesh(place / "off" / f"{name}.off")
        truths.append(read_vts(place / "corres" / f"{name}.vts", n_vertices=len(mesh[0])))
        needed = 0 if levels is None else levels
        while levels is None and len(mesh[0]) * 4**needed < 0.9 * SIZES[full]:
            needed += 1
        for _ in range(needed):
            mesh = subdivide(*mesh)
        write_off(folder / f"{name}.off", *mesh)
        meshes.append(mesh)
    corr1, corr2 = truths
    chosen = spread_points(meshes[0][0][corr1], LANDMARKS)
    pairs = np.stack([corr1[chosen], corr2[chosen]], axis=1) + 1
    (folder / "landmarks.txt").write_text("".join(f"{a} {b}\n" for a, b in pairs.tolist()))
    seconds, found = run_match(folder, names, options)

    p2p21 = np.load(folder / "run" / "match.npz")["p2p21"]
    others = np.setdiff1d(np.linspace(0, len(corr1) - 1, MEASURED).astype(int), chosen)
    errors = geodesic_errors(*meshes[0], corr1[others], p2p21[corr2[others]])
    sizes = {"n1": len(meshes[0][0]), "n2": len(meshes[1][0]), "pair": pair}
    figures = {
        "error ×100": float(100 * errors.mean()),
        "median ×100": float(100 * np.median(errors)),
        "landmarks ×100": 100 * found["landmarks"]["mean"],
        "coverage": found["coverage"],
    }
    peak = max(entry["peak_bytes"] for entry in found["stages"])
    command, measures = " ".join(options), {"peak_by": "VmHWM", "figures": figures, "ours": True}
    rows = [Row("match.py, whole command", sizes, command, "cpu", seconds, peak_bytes=peak, **measures)]
    for name, spent, top in summed(found["stages"]):
        rows.append(Row(f"match.py: {name}", sizes, "stage", "cpu", spent, peak_bytes=top, peak_by="VmHWM"))
    return rows


def summed(stages: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, int]]:
    """Name, seconds and peak of each stage, those inside another one after a dot.

    The steps of the refinement are put together.
    """
    result: dict[str, tuple[float, int]] = {}
    outer = ""
    for entry in stages:
        outer = entry["stage"] if entry["depth"] == 0 else outer
        step = entry["stage"].startswith("refinement ")
        name = (
            "all steps of the refinement"
            if step
            else entry["stage"]
            if entry["depth"] == 0
            else f"{outer} · {entry['stage']}"
        )
        seconds, peak = result.get(name, (0.0, 0))
        result[name] = (seconds + entry["seconds"], max(peak, entry["peak_bytes"]))
    return [(name, *figures) for name, figures in result.items()]


def run_match(folder: Path, names: list[str], options: list[str]) -> tuple[float, dict]:
    """Seconds of the whole process, with nothing cached, and the metrics.json that it leaves."""
    files = [
        f"source={folder / names[0]}.off",
        f"target={folder / names[1]}.off",
        f"landmarks={folder / 'landmarks.txt'}",
    ]
    places = [f"paths.cache_dir={folder / 'cache'}", f"hydra.run.dir={folder / 'run'}"]
    before = time.perf_counter()
    subprocess.run([sys.executable, ROOT / "match.py", *files, *places, "device=cpu", *options], cwd=ROOT, check=True)
    return time.perf_counter() - before, read_json(folder / "run" / "metrics.json")


def spread_points(points: Float[ndarray, "t 3"], count: int) -> Int[ndarray, " count"]:
    """Indices of points far from one another, each the farthest from those before."""
    chosen = [int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmax())]
    near = np.full(len(points), np.inf)
    while len(chosen) < count:
        near = np.minimum(near, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(near.argmax()))
    return np.array(chosen)


def geodesic_errors(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], expected: Int[ndarray, " t"], found: Int[ndarray, " t"]
) -> Float[ndarray, " t"]:
    """Shortest paths along edges between expected and found vertices, in units of √area."""
    edges = edge_graph(normalise_area(verts, faces), faces)
    errors = np.array([dijkstra(edges, indices=i, limit=NEAR)[j] for i, j in zip(expected, found, strict=True)])
    for row in np.flatnonzero(~np.isfinite(errors)):
        errors[row] = dijkstra(edges, indices=expected[row])[found[row]]
    return errors


if __name__ == "__main__":
    main()
