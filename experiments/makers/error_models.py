"""What the makers of verdicts share: constants fitted to maps with known errors, and tables of how far they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import lsq_linear, minimize
from torch import Tensor

from pullback.comparison.markup import markdown
from pullback.metrics.verdict import FLOOR, Judge

_RIDGE = 3.0


class Limits(NamedTuple):
    """Errors that matter, in the unit of a kind of map."""

    right: float  # of maps that must not be flagged
    wrong: float  # of maps that must be
    near: float  # a point farther from its place than this is one that is not to be trusted
    margin: float  # by which the best deceiver may be outdone
    floor: float = 0.0  # expected errors below this say no more about single points


@dataclass(frozen=True)
class Row:
    """The map of one start for one pair."""

    set: str
    pair: str
    start: str
    error: float  # mean geodesic error in units of √area
    energies: Mapping[str, float]
    signals: Float[Tensor, "t c"]  # at the points of shape 2 that stand for the landmarks
    errors: Float[Tensor, " t"]  # at the landmarks


def fitted(rows: Sequence[Row], names: Sequence[str], limits: Limits) -> dict[str, Any]:
    """The constants of one model, which asks these energies.

    Non-negative least squares: no energy may speak for a map by being large. Good maps weigh more, because telling 2
    from 4 matters more than 40 from 80.
    """
    logs = np.log([[row.energies[name] + FLOOR for name in names] for row in rows])
    target = np.log([row.error for row in rows])
    typical, spread = logs.mean(axis=0), logs.std(axis=0) + 1e-6
    weight = np.exp(-target / 4)[:, None]
    design = np.concatenate([(logs - typical) / spread, np.ones((len(rows), 1))], axis=1)
    damping = np.sqrt(_RIDGE) * np.eye(len(names) + 1)[: len(names)]
    stacked = np.concatenate([design * weight, damping]), np.concatenate([target * weight[:, 0], np.zeros(len(names))])
    solution = lsq_linear(*stacked, bounds=(np.append(np.zeros(len(names)), -np.inf), np.inf)).x
    expected = np.exp(design @ solution)
    good, wrong = thresholds(expected, rows, limits)
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
        **({"point_floor": limits.floor} if limits.floor else {}),
        "points": [
            round(float(value), 4)
            for value in point_weights(rows, np.maximum(expected, limits.floor), near=limits.near)
        ],
    }


def thresholds(expected: Float[ndarray, " r"], rows: Sequence[Row], limits: Limits) -> tuple[float, float]:
    """``good_below`` and ``wrong_above``.

    ``good_below``: between what is expected of right and wrong maps, or where 97 % of the wrong ones are
    flagged and, with a margin, all of those that would have been chosen. ``wrong_above``: where 85 % of the wrong maps
    are.
    """
    errors = np.array([row.error for row in rows])
    best: dict[tuple[str, str], int] = {}
    for i in np.argsort(-expected):
        best[rows[i].set, rows[i].pair] = int(i)
    wrong, right, chosen = (
        expected[errors > limits.wrong],
        expected[errors < limits.right],
        np.array(list(best.values())),
    )
    deceiving = expected[chosen[errors[chosen] > limits.wrong]]
    flagging = min(np.quantile(wrong, 0.03), deceiving.min(initial=np.inf) / limits.margin)
    return float(min(flagging, np.sqrt(flagging * np.quantile(right, 0.97)))), float(np.quantile(wrong, 0.15))


def point_weights(rows: Sequence[Row], expected: Float[ndarray, " r"], *, near: float) -> Float[ndarray, " w"]:
    """Logistic regression of whether a point is near its place."""
    signals = np.concatenate([row.signals.numpy() for row in rows])
    whole = np.repeat(np.log(expected), [len(row.signals) for row in rows])
    is_near = np.concatenate([row.errors.numpy() for row in rows]) <= near
    design = np.column_stack([signals, whole, np.ones(len(whole))])
    sign = np.where(is_near, 1.0, -1.0)

    def loss(weights: Float[ndarray, " w"]) -> tuple[float, Float[ndarray, " w"]]:
        margin = sign * (design @ weights)
        slope = -sign / (1 + np.exp(np.clip(margin, -50, 50)))
        return float(np.logaddexp(0, -margin).mean()), design.T @ slope / len(slope)

    return minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x


def flag_table(judge: Judge, rows: Sequence[Row], name: str, limits: Limits) -> str:
    """How many maps of each true error get each verdict: of all starts, and of the choice alone."""
    chosen = [chosen_row(judge, of) for of in by_pair(rows).values()]
    lines = []
    several = [("all starts", rows), ("the choice", chosen)]
    for what, part in several if len(chosen) < len(rows) else [("each pair", rows)]:
        for low, high in ((0, limits.right), (limits.right, limits.wrong), (limits.wrong, np.inf)):
            levels = [level_of(judge, row) for row in part if low <= row.error < high]
            counts = [f"{levels.count(level)}" for level in ("good", "doubtful", "probably wrong")]
            lines.append([what, f"{100 * low:g} to {100 * high:g}", f"{len(levels)}", *counts])
    return markdown([f"{name}", "error", "maps", "good", "doubtful", "probably wrong"], lines)


def reliability_table(judge: Judge, rows: Sequence[Row], name: str, *, near: float) -> str:
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
    is_near = torch.cat([row.errors for row in rows]).numpy() <= near
    points = []
    for low in np.arange(0, 1, 0.2):
        inside = (sure >= low) & (sure < low + 0.2 + (low > 0.7))
        points.append([f"{low:.1f} to {low + 0.2:.1f}", f"{inside.sum()}", f"{100 * is_near[inside].mean():.0f} %"])
    first = markdown([f"{name}: expected error", "maps", "true, median", "10 % to 90 %"], lines)
    return first + "\n\n" + markdown([f"{name}: confidence of points", "points", f"within {100 * near:g}"], points)


def chosen_row(judge: Judge, rows: Sequence[Row]) -> Row:
    """The row of a pair that match.py would keep."""
    return rows[judge.order([row.energies for row in rows])[0]]


def level_of(judge: Judge, row: Row) -> str:
    model = judge.model(row.energies)
    return model.level(model.expected_error(row.energies))


def by_pair(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows of each pair."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.set, row.pair), []).append(row)
    return found
