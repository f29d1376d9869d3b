"""Writers of run folders as an evaluation on meshes leaves them, for the programs in experiments/ that read them."""

import csv
import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

RULES = {
    "pairs": "unordered",
    "geodesics": "dijkstra",
    "refinement": "DiffZoomOut 30 → 130 by 10",
    "averaging": "macro: …",
    "notes": "",
}
TRAINED = "best val/loss on pairs of held-out training shapes, step {step}, trained on {sets}"
SOLVER = {"_target_": "pullback.solvers.zoomout.DiffZoomOut", "k_init": 30, "blur": 0.01}
LOSS = {"orthogonality": {"_target_": "pullback.losses.Orthogonality", "weight": 1.0}}
CONSISTENCY = {"consistency": {"_target_": "pullback.losses.Consistency", "weight": 1.0}}


def mesh_run(
    folder: Path,
    *,
    error: float = 2.0,
    dataset: str = "faust",
    trained_on: tuple[str, ...] | None = ("faust",),
    method: str | None = "simplified",
    seed: int = 0,
    config: Mapping[str, Any] | None = None,
    weights: str | None = None,
    typed: Sequence[str] = (),
    **changed: Any,
) -> Path:
    """A training that tested itself. ``changed``: entries of metrics.json (started, commit, fine_tuning),
    else of its protocol.

    ``weights``: how the protocol says that they were chosen; ``checkpoint`` is the file that was evaluated; ``typed``:
    overrides. ``trained_on=None`` leaves the newer facts out, as older versions did.
    """
    rule = (
        TRAINED.format(step=100 + seed, sets=" + ".join(trained_on or ("faust",)))
        if trained_on != ()
        else "none: nothing to train"
    )
    rule = weights or rule
    facts = {"started": "2026-01-01", "commit": "abcdef012345", "dirty": False, "checkpoint": None, "failed_pairs": []}
    if trained_on is not None:
        facts |= {"method": method, "trained_on": list(trained_on), "fine_tuning": "off"}
    facts |= {key: changed.pop(key) for key in list(changed) if key in {*facts, "fine_tuning"}}
    counts = {key: changed.pop(key, value) for key, value in {"pairs_scored": 190, "failed": 0}.items()}
    curve = {"thresholds": [0.0, 0.1, 0.2], "pck": [0.0, 1 - error / 20, 1.0]}
    result = {
        "dataset": dataset,
        "split": "test",
        "pairs": counts["pairs_scored"],
        "failed": counts["failed"],
        "pck_curve": curve,
    }
    result |= {
        "protocol": RULES | {"checkpoint": rule} | changed,
        "metrics": {"geodesic_error_x100": error, "pck@0.10": 0.9},
    }
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({**facts, "results": [result]}))
    settings = {
        "seed": seed,
        "solver": SOLVER,
        "loss": LOSS | CONSISTENCY,
        "trainer": {"max_steps": 1000},
        "data": {"coarsen": 1500},
    }
    settings |= {
        "paths": {"output_dir": str(folder)},
        "predictions": f"{folder}/predictions",
        "callbacks": {"path": f"{folder}/x"},
    }
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(["experiment=x", *typed]))
    (folder / "config.yaml").write_text(yaml.safe_dump(settings | dict(config or {})))
    return folder


def write_pairs(folder: Path, errors: Mapping[tuple[str, str], float | None], *, dataset: str = "faust") -> Path:
    """The pairs.csv of a run; None for a pair that failed."""
    columns = [
        "dataset",
        "split",
        "shape1",
        "shape2",
        "geodesic_error_x100",
        "coverage",
        "seconds",
        "status",
        "message",
    ]
    with open(folder / "pairs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for (shape1, shape2), error in errors.items():
            row = {"dataset": dataset, "split": "test", "shape1": shape1, "shape2": shape2, "status": "failed"}
            if error is not None:
                row |= {"geodesic_error_x100": f"{error:.6g}", "coverage": f"{error / 10:.6g}", "status": "ok"}
            writer.writerow(row)
    return folder


def all_pairs(n: int) -> list[tuple[str, str]]:
    return list(combinations([f"s{i}" for i in range(n)], 2))
