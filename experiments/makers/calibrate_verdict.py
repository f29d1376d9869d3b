"""Makes the constants of the verdict on mesh maps, and the tables that say how far they are to be trusted.

    python -m experiments.makers.calibrate_verdict CKPT --data DIR --work DIR [--out configs/judge/mesh.yaml]

DIR of the data holds FAUST_r, SMAL_r and SCAPE_acvd; the embedded bodies are read from data/humans. The constants come
from some shapes, the tables from others (``experiments.makers.verdict_pairs``). Twenty minutes; an
interrupted run goes on with the same --work.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from experiments.makers.error_models import Limits, Row, by_pair, chosen_row, fitted, flag_table, reliability_table
from experiments.makers.verdict_pairs import rows_of
from torch import nn

from pullback.comparison.markup import markdown
from pullback.metrics.verdict import Judge
from pullback.runtime.settings import instantiate
from pullback.solvers.best_of_starts import BestOfStarts
from pullback.tasks.training.weights import load_checkpoint, load_weights

ROOT = Path(__file__).resolve().parents[2]
# Of several maps the one that deceives best is chosen, and other shapes have better deceivers yet: hence the margin.
_LIMITS = Limits(right=0.03, wrong=0.10, near=0.10, margin=1.5)
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
    models = [model(rows, features) for features in _KINDS]
    return {"_target_": "pullback.metrics.verdict.Judge", "models": models}


def model(rows: Sequence[Row], features: Sequence[str]) -> dict[str, Any]:
    """The constants of one model, which knows of these features."""
    rows = rows if "features_learned" in features else without_learned(rows)
    names = [name for name in rows[0].energies if not name.startswith(("features", "dissent")) or name in features]
    return fitted(rows, names, _LIMITS)


def tables(judge: Judge, rows: Sequence[Row]) -> str:
    """Starts, flags and reliability on pairs that the constants have not seen."""
    parts = []
    for name, of in (("learned", rows), ("nothing learned", without_learned(rows))):
        parts.append(starts_table(judge, of))
        parts += [flag_table(judge, of, name, _LIMITS), reliability_table(judge, of, name, near=_LIMITS.near)]
    return "\n\n".join(parts)


def starts_table(judge: Judge, rows: Sequence[Row]) -> str:
    """Mean error of each start, of the choice, and of the best start of each pair."""
    sets = list(dict.fromkeys(row.set for row in rows))
    pairs = by_pair(rows)
    chosen = {pair: chosen_row(judge, of) for pair, of in pairs.items()}
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
