"""How long the preparation of a data set takes, and how that splits: writes preprocessing.json beside this file.

    python -m experiments.benchmarks.preprocessing [--full] [--data humans]

FAUST_r where PULLBACK_DATA_DIR holds it, else the embedded humans. Three things: the stages of one shape (one thread,
median over a few seeded shapes), the geodesics of one test shape by each method, and the whole data set by
``prepare_all`` with as many processes as --threads: shapes, and distances from the landmarks of the test shapes.
Without --full the last is extrapolated from a few shapes, and the row says so. What the processes prepared must equal
what one process prepares.
"""

import os
import re
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from experiments.benchmarks.conditions import arguments, set_threads, start
from experiments.benchmarks.harness import Report, Row

from pullback.data.mesh.dataset import MeshDataset, ShapeFiles
from pullback.data.mesh.library import ShapeLibrary
from pullback.data.mesh.preparation import Job, prepare_all
from pullback.data.mesh.sets.faust import Faust
from pullback.data.mesh.sets.humans import Humans
from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.geometry.geodesic import METHODS, geodesic_rows
from pullback.stages import StageClock, listening

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = PreparationSettings()
REST = "stiffness, masses and the rest"


def dataset_of(name: str | None) -> MeshDataset:
    """The data set of that name; by default FAUST_r if it is there."""
    faust = Path(os.environ.get("PULLBACK_DATA_DIR", ROOT / "data")) / "FAUST_r"
    if name == "faust" or (name is None and faust.is_dir()):
        return Faust(faust)
    return Humans(ROOT / "data" / "humans")


def stage_rows(shapes: Sequence[ShapeFiles], cache: Path, sizes: Mapping[str, int | str]) -> list[Row]:
    """A row for each stage of preparing one shape, in their order, and one for all of them."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for files in shapes:
        with listening(StageClock()) as clock:
            load_shape(files.mesh, SETTINGS, cache, name=files.name)
        whole = next(stage for stage in clock.stages if stage.name.startswith("preparation of"))
        inside = [stage for stage in clock.stages if stage.depth == 1 and stage.begun < whole.begun + whole.seconds]
        for stage in (*inside, *(stage for stage in clock.stages if stage.depth == 0 and stage is not whole)):
            seconds[re.sub(r"of \d+ ", "of ", stage.name)].append(stage.seconds)
        seconds[REST].append(whole.seconds - sum(stage.seconds for stage in inside))
        seconds["all of it"].append(clock.seconds)
    total = statistics.median(seconds["all of it"])
    shares = {name: {"share": f"{100 * statistics.median(values) / total:.0f} %"} for name, values in seconds.items()}
    return [_row(f"one shape: {name}", sizes, values, figures=shares[name]) for name, values in seconds.items()]


def geodesic_method_rows(
    files: ShapeFiles, cache: Path, sizes: Mapping[str, int | str], *, sources: int, rounds: int
) -> list[Row]:
    """A row for each method: its distances from ``sources`` landmarks to all vertices.

    And what all landmarks take at that pace.
    """
    loaded = ShapeLibrary(SETTINGS, cache).load(files)
    verts, faces = loaded.shape.verts.double().numpy(), loaded.shape.faces.numpy()
    everything = np.unique(loaded.corr.numpy())
    few = np.sort(np.random.default_rng(0).permutation(everything)[:sources])
    seconds: dict[str, list[float]] = {method: [] for method in METHODS}
    for _ in range(rounds):
        for method in METHODS:
            begun = time.perf_counter()
            geodesic_rows(verts, faces, few, method=method, name=files.name)
            seconds[method].append(time.perf_counter() - begun)
    paces = {method: statistics.median(values) * len(everything) / len(few) for method, values in seconds.items()}
    return [
        _row(
            "geodesics of one test shape",
            {**sizes, "rows": len(few)},
            seconds[method],
            backend=method,
            figures={f"seconds for all {len(everything):,} landmarks, extrapolated": paces[method]}
            if len(few) < len(everything)
            else {},
        )
        for method in METHODS
    ]


def whole_rows(
    shapes: Sequence[ShapeFiles], test: Sequence[ShapeFiles], folder: Path, *, workers: int, some: int, few: int
) -> list[Row]:
    """The data set in parallel: its shapes, and the distances of its test shapes.
    ``some`` shapes and ``few`` test shapes are timed.
    """
    rows = []
    kinds = (
        ("all shapes", shapes, some, None),
        ("all geodesics of the test shapes", test, few, "dijkstra"),
    )
    for work, files, count, method in kinds:
        timed_shapes, cache = files[:count], folder / work.replace(" ", "-")
        if method is not None:
            # distances alone are timed
            prepare_all([Job(each, SETTINGS) for each in timed_shapes], cache, workers=workers)
        seconds, note = in_parallel([Job(each, SETTINGS, method) for each in timed_shapes], len(files), cache, workers)
        rows.append(
            _row(
                work,
                {"shapes": len(files), "processes": workers},
                [seconds],
                backend=method or "prepare_all",
                note=note,
            )
        )
    check_same(shapes[0], folder / "one", folder / "all-shapes")
    return rows


def in_parallel(jobs: Sequence[Job], total: int, cache: Path, workers: int) -> tuple[float, str]:
    """Seconds for ``total`` shapes, and how they were found.

    Some are measured; the others are taken at the pace of the later jobs.
    """
    kind = "operators/*.npz" if jobs[0].geodesics is None else "geodesics/*.npy"
    begun = time.perf_counter()
    prepare_all(jobs, cache, workers=workers)
    seconds = time.perf_counter() - begun
    if total == len(jobs):
        return seconds, ""
    finished = sorted(path.stat().st_mtime for path in cache.glob(kind))
    pace = (finished[-1] - finished[workers - 1]) / (len(jobs) - workers)  # without the start of the processes
    return seconds + pace * (total - len(jobs)), f"extrapolated from {len(jobs)} shapes, one finished each {pace:.2f} s"


def check_same(files: ShapeFiles, cache1: Path, cache2: Path) -> None:
    """Raises AssertionError unless both caches hold the same operators of a shape."""
    shape1, shape2 = (load_shape(files.mesh, SETTINGS, cache, name=files.name).shape for cache in (cache1, cache2))
    for name in ("evals", "evecs", "mass"):
        np.testing.assert_allclose(
            getattr(shape1.basis, name), getattr(shape2.basis, name), rtol=1e-5, atol=1e-5, err_msg=name
        )


def _row(
    work: str,
    sizes: Mapping[str, int | str],
    seconds: Sequence[float],
    *,
    backend: str = "pullback",
    figures: Mapping[str, float | str] | None = None,
    note: str = "",
) -> Row:
    median = statistics.median(seconds)
    spread = (max(seconds) - min(seconds)) / median if len(seconds) > 1 and median > 0 else None
    return Row(
        work,
        sizes,
        backend,
        "cpu",
        median,
        spread=spread,
        rounds=len(seconds),
        ours=True,
        figures=figures or {},
        note=note,
    )


def main(command: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", choices=("faust", "humans"), help="default: faust if it is there")
    parser.add_argument(
        "--some", type=int, default=10, help="shapes that stand for all of them, without --full (default: %(default)s)"
    )
    options = start(parser, command)
    dataset = dataset_of(options.data)
    test = dataset.shapes("test")
    shapes = [*dataset.shapes("train"), *test]
    chosen = [shapes[i] for i in np.random.default_rng(0).permutation(len(shapes))]
    report, sizes = Report(__file__, options), {"data": dataset.name, "k": SETTINGS.k}
    with tempfile.TemporaryDirectory(prefix="pullback-") as name:
        folder = Path(name)
        set_threads(1)  # as in the processes that prepare shapes
        report.add(stage_rows(chosen[: 1 + 2 * options.rounds], folder / "one", sizes))
        few = 10**9 if options.full else 200
        report.add(
            geodesic_method_rows(
                test[0], folder / "one", sizes, sources=few, rounds=1 if options.full else options.rounds
            )
        )
        some, few = (
            (len(shapes), len(test)) if options.full else (max(options.some, options.threads + 1), 2 * options.threads)
        )
        report.add(whole_rows(chosen, test, folder, workers=options.threads, some=some, few=few))
        set_threads(options.threads)
    report.finish()


if __name__ == "__main__":
    main()
