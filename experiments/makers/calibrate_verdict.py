"""Makes the constants of the verdict on mesh maps, and the tables that say how far they are to be trusted.

    python -m experiments.makers.calibrate_verdict CKPT --data DIR --work DIR [--out configs/judge/mesh.yaml]

DIR of the data holds FAUST_r, SMAL_r and SCAPE_acvd; the embedded bodies are read from data/humans. The constants come
from some shapes, the tables from others (``experiments.makers.verdict_pairs``). Twenty minutes; an
interrupted run goes on with the same --work.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from experiments.makers.verdict_pairs import Row, by_pair, rows_of
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import lsq_linear, minimize
from torch import nn

from pullback.comparison.markup import markdown
from pullback.metrics.verdict import FLOOR, Judge
from pullback.runtime.settings import instantiate
from pullback.solvers.best_of_starts import BestOfStarts
from pullback.tasks.training.weights import load_checkpoint, load_weights

ROOT = Path(__file__).resolve().parents[2]
_WRONG, _RIGHT = 0.10, 0.03  # errors that must be flagged, and that must not
_RIDGE = 3.0
_MARGIN = 1.5  # of several maps the one that deceives best is chosen, and other shapes have better deceivers yet
_NEAR = 0.10  # a point farther from its place than this is one that is not to be trusted
_LEARNED = ("features_learned", "features_tilted", "dissent")
# What is known beside the maps, in the order in which models are tried.
_KINDS = (("features_learned", "features_wks", "dissent"), ("features_learned", "features_wks"), ("features_wks",), ())


def main(command: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m experiments.makers.calibrate_verdict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="the weights that match.py uses")
    parser.add_argument("--data", type=Path, required=True, help="the folder of FAUST_r, SMAL_r and SCAPE_acvd")
    parser.add_argument("--work", type=Path, required=True, help="a folder for what is kept between runs")
    parser.add_argument("--out", type=Path, help="the file that the constants are written to")
    options = parser.parse_args(command)
    chooser = BestOfStarts(starts=_starts(), judge=Cycle())
    backbone = _backbone(options.checkpoint)
    places = {"data": options.data, "embedded": ROOT / "data" / "humans", "work": options.work}
    fit, report = (rows_of(part, backbone, chooser, **places) for part in ("fit", "report"))
    content = calibrated(fit)
    if options.out is not None:
        options.out.write_text(
            header(options.checkpoint) + yaml.safe_dump(content, sort_keys=False, width=120, default_flow_style=None)
        )
    print(tables(instantiate(content), report))


class Cycle:
    """Any judge will do where all candidates are wanted."""

    def expected_error(self, energies: Mapping[str, float]) -> float:
        return energies["cycle"]

    def order(self, candidates: Sequence[Mapping[str, float]]) -> list[int]:
        return list(range(len(candidates)))


def calibrated(rows: Sequence[Row]) -> dict[str, Any]:
    """The configuration of a judge."""
    models = [fitted(rows, features) for features in _KINDS]
    return {"_target_": "pullback.metrics.verdict.Judge", "models": models}


def fitted(rows: Sequence[Row], features: Sequence[str]) -> dict[str, Any]:
    """The constants of one model, which knows of these features.

    Non-negative least squares: no energy may speak for a map by being large. Good maps weigh more, because telling 2
    from 4 matters more than 40 from 80.
    """
    rows = rows if "features_learned" in features else without_learned(rows)
    names = [name for name in rows[0].energies if not name.startswith(("features", "dissent")) or name in features]
    logs = np.log([[row.energies[name] + FLOOR for name in names] for row in rows])
    target = np.log([row.error for row in rows])
    typical, spread = logs.mean(axis=0), logs.std(axis=0) + 1e-6
    weight = np.exp(-target / 4)[:, None]
    design = np.concatenate([(logs - typical) / spread, np.ones((len(rows), 1))], axis=1)
    damping = np.sqrt(_RIDGE) * np.eye(len(names) + 1)[: len(names)]
    stacked = np.concatenate([design * weight, damping]), np.concatenate([target * weight[:, 0], np.zeros(len(names))])
    solution = lsq_linear(*stacked, bounds=(np.append(np.zeros(len(names)), -np.inf), np.inf)).x
    expected = np.exp(design @ solution)
    good, wrong = thresholds(expected, rows)
    kept = {
        name: [round(float(value), 4) for value in (solution[i], typical[i], spread[i])]
        for i, name in enumerate(names)
        if solution[i] > 1e-3
    }
    return {
        "_target_": "pullback.metrics.verdict.ErrorModel",
        "intercept": round(float(solution[-1]), 4),
        "good_below": round(good, 4),
        "wrong_above": round(max(wrong, good), 4),
        "energies": kept,
        "points": [round(float(value), 4) for value in point_weights(rows, expected)],
    }


def thresholds(expected: Float[ndarray, " r"], rows: Sequence[Row]) -> tuple[float, float]:
    """``good_below``: amid what is expected of right and wrong maps, or where 97 % of the wrong ones are flagged and,
    with a margin, all of those that would have been chosen; ``wrong_above``: where 85 % of the wrong maps are.
    """
    errors = np.array([row.error for row in rows])
    best: dict[tuple[str, str], int] = {}
    for i in np.argsort(-expected):
        best[rows[i].set, rows[i].pair] = int(i)
    wrong, right, chosen = expected[errors > _WRONG], expected[errors < _RIGHT], np.array(list(best.values()))
    deceiving = expected[chosen[errors[chosen] > _WRONG]]
    flagging = min(np.quantile(wrong, 0.03), deceiving.min(initial=np.inf) / _MARGIN)
    return float(min(flagging, np.sqrt(flagging * np.quantile(right, 0.97)))), float(np.quantile(wrong, 0.15))


def point_weights(rows: Sequence[Row], expected: Float[ndarray, " r"]) -> Float[ndarray, " w"]:
    """Logistic regression of whether a point is near its place."""
    signals = np.concatenate([row.signals.numpy() for row in rows])
    whole = np.repeat(np.log(expected), [len(row.signals) for row in rows])
    near = np.concatenate([row.errors.numpy() for row in rows]) <= _NEAR
    design = np.column_stack([signals, whole, np.ones(len(whole))])
    sign = np.where(near, 1.0, -1.0)

    def loss(weights: Float[ndarray, " w"]) -> tuple[float, Float[ndarray, " w"]]:
        margin = sign * (design @ weights)
        slope = -sign / (1 + np.exp(np.clip(margin, -50, 50)))
        return float(np.logaddexp(0, -margin).mean()), design.T @ slope / len(slope)

    return minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x


def tables(judge: Judge, rows: Sequence[Row]) -> str:
    """Starts, flags and reliability on pairs that the constants have not seen."""
    parts = []
    for name, of in (("learned", rows), ("nothing learned", without_learned(rows))):
        parts.append(starts_table(judge, of))
        parts += [flag_table(judge, of, name), reliability_table(judge, of, name)]
    return "\n\n".join(parts)


def starts_table(judge: Judge, rows: Sequence[Row]) -> str:
    """Mean error of each start, of the choice, and of the best start of each pair."""
    sets = list(dict.fromkeys(row.set for row in rows))
    pairs = by_pair(rows)
    chosen = {pair: _chosen(judge, of) for pair, of in pairs.items()}
    best = {pair: min(of, key=lambda row: row.error) for pair, of in pairs.items()}
    starts = list(dict.fromkeys(row.start for row in rows))
    lines = [[start, *_means([row for row in rows if row.start == start], sets)] for start in starts]
    lines.append(["**the choice**", *_means(list(chosen.values()), sets)])
    lines.append(["best start of each pair", *_means(list(best.values()), sets)])
    worse = sum(chosen[pair].error > best[pair].error + 0.02 for pair in pairs)
    said = f"In {worse} of {len(pairs)} pairs the choice is worse than the best start by more than 2."
    return markdown(["start", *sets, "all"], lines) + "\n\n" + said


def _means(rows: Sequence[Row], sets: Sequence[str]) -> list[str]:
    by_set = [[row.error for row in rows if row.set == name] for name in sets]
    return [f"{100 * np.mean(errors):.2f}" for errors in (*by_set, [row.error for row in rows])]


def flag_table(judge: Judge, rows: Sequence[Row], name: str) -> str:
    """How many maps of each true error get each verdict: of all starts, and of the choice alone."""
    chosen = [_chosen(judge, of) for of in by_pair(rows).values()]
    lines = []
    for what, part in (("all starts", rows), ("the choice", chosen)):
        for low, high in ((0, 0.03), (0.03, 0.10), (0.10, np.inf)):
            levels = [_level(judge, row) for row in part if low <= row.error < high]
            counts = [f"{levels.count(level)}" for level in ("good", "doubtful", "probably wrong")]
            lines.append([what, f"{100 * low:g} to {100 * high:g}", f"{len(levels)}", *counts])
    return markdown([f"{name}", "error", "maps", "good", "doubtful", "probably wrong"], lines)


def reliability_table(judge: Judge, rows: Sequence[Row], name: str) -> str:
    """Expected against true errors, and the confidence of points against how many of them are near their place."""
    expected = np.array([judge.expected_error(row.energies) for row in rows])
    errors = np.array([row.error for row in rows])
    edges = np.array([0, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4, np.inf])
    lines = []
    for low, high in pairwise(edges):
        inside = (expected >= low) & (expected < high)
        if inside.any():
            spread = " to ".join(f"{100 * value:.1f}" for value in np.quantile(errors[inside], [0.1, 0.9]))
            lines.append(
                [
                    f"{100 * low:g} to {100 * high:g}",
                    f"{inside.sum()}",
                    f"{100 * np.median(errors[inside]):.1f}",
                    spread,
                ]
            )
    pairs = zip(rows, expected, strict=True)
    sure = torch.cat([judge.model(row.energies).confidence(row.signals, value) for row, value in pairs]).numpy()
    near = torch.cat([row.errors for row in rows]).numpy() <= _NEAR
    points = []
    for low in np.arange(0, 1, 0.2):
        inside = (sure >= low) & (sure < low + 0.2 + (low > 0.7))
        points.append([f"{low:.1f} to {low + 0.2:.1f}", f"{inside.sum()}", f"{100 * near[inside].mean():.0f} %"])
    first = markdown([f"{name}: expected error", "maps", "true, median", "10 % to 90 %"], lines)
    return first + "\n\n" + markdown([f"{name}: confidence of points", "points", "within 10"], points)


def _chosen(judge: Judge, rows: Sequence[Row]) -> Row:
    """The row of a pair that match.py would keep."""
    return rows[judge.order([row.energies for row in rows])[0]]


def _level(judge: Judge, row: Row) -> str:
    model = judge.model(row.energies)
    return model.level(model.expected_error(row.energies))


def without_learned(rows: Sequence[Row]) -> list[Row]:
    """The rows that a user without weights would see."""
    return [
        replace(row, energies={name: row.energies[name] for name in row.energies if name not in _LEARNED})
        for row in rows
        if not row.start.startswith(("learned", "tilted"))
    ]


def header(checkpoint: Path) -> str:
    """What the file of constants says of itself."""
    return (
        "# What to expect of a mesh map from its energies. Made by: python -m experiments.makers.calibrate_verdict\n"
        f"# {checkpoint.name} --data DIR --work DIR --out configs/judge/mesh.yaml. Logarithms of energies: weight, "
        "typical value, spread.\n"
    )


def _starts() -> list[Any]:
    content = yaml.safe_load((ROOT / "configs" / "starts" / "several.yaml").read_text())
    return instantiate(content["starts"])


def _backbone(checkpoint: Path) -> nn.Module:
    loaded = load_checkpoint(checkpoint)
    model = nn.ModuleDict({"backbone": instantiate(loaded["config"]["backbone"])})
    load_weights(model, loaded)
    return model["backbone"].eval()


if __name__ == "__main__":
    main()
