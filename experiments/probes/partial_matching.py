"""Parts cut out of whole shapes, matched with other whole shapes: errors, regions and verdicts.

    python -m experiments.probes.partial_matching --data DIR --work DIR --split report
    python -m experiments.probes.partial_matching --data DIR --work DIR --split report --table

``--data`` holds FAUST_r, SCAPE_acvd and SMAL_r; the embedded bodies come with the project. Half a minute of a processor
for each case, ``--share 0/2`` and ``--share 1/2`` on two of them; an interrupted run goes on with the same --work.
Errors are mean geodesic errors of the part's landmarks in units of √area of the whole, ×100.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from experiments.probes.partial_cuts import KINDS, Cut, cases_of

from pullback.api.matching import matcher_for
from pullback.comparison.markup import markdown
from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import PreparedShape
from pullback.geometry.geodesic import geodesic_rows
from pullback.mapping.pointmap import nearest
from pullback.metrics.verdict import LEVELS
from pullback.runtime.match_meshes import MeshMatcher
from pullback.tasks.mesh.partial.detection import likely_part
from pullback.tasks.mesh.partial.matching import match_part, more_likely
from pullback.tasks.mesh.two_meshes import FileMatch, match_shapes

_LANDMARKS = 150


def main(command: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m experiments.probes.partial_matching",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--split", choices=("fit", "report"), default="report")
    parser.add_argument("--sets", nargs="*", help="of these data sets alone")
    parser.add_argument("--count", type=int, help="only so many cases, drawn with a fixed seed")
    parser.add_argument("--share", default="0/1", help="I/N: every Nth case from the Ith on")
    parser.add_argument("--table", action="store_true", help="only the table of what is there")
    options = parser.parse_args(command)
    if not options.table:
        first, every = map(int, options.share.split("/"))
        cases = [case for case in cases_of(options.split, options.data) if not options.sets or case.set in options.sets]
        random.Random(0).shuffle(cases)
        run(cases[: options.count][first::every], options.work, options.split)
    print(tables([json.loads(path.read_text()) for path in sorted((options.work / options.split).glob("*.json"))]))


def run(cases: Sequence[Cut], work: Path, split: str) -> None:
    """Measures each case that was not measured yet."""
    (work / split).mkdir(parents=True, exist_ok=True)
    matcher = matcher_for(None, {"ckpt": "humans", "paths.cache_dir": work / "cache"}, None)
    for case in cases:
        kept = work / split / f"{case.name}.json"
        if not kept.exists():
            row = measured(case, matcher)
            kept.write_text(json.dumps(row))
            print(row, flush=True)


@torch.no_grad()
def measured(case: Cut, matcher: MeshMatcher) -> dict[str, Any]:
    """The part as the target, so that each of its vertices gets one of the whole."""
    whole = matcher.prepare(case.whole_file, side="source")
    small = matcher.prepare(FileMesh(case.verts, case.faces), side="target")
    error = _errors(case, whole, small)
    choosing = {"starts": matcher.starts, "judge": matcher.judge, "device": matcher.device}
    ordinary = match_shapes(whole, small, matcher.backbone, matcher.solver, **choosing)
    row: dict[str, Any] = {"set": case.set, "kind": case.kind, "name": case.name, "share": case.share}
    row["nearest"] = error(nearest(ordinary.feat2, ordinary.feat1))
    row["ordinary"] = {"error": error(ordinary.p2p21), **_told(ordinary)}
    part = likely_part(whole, small)
    row["noticed"] = None if part is None else part.names[0]
    found = part and match_part(
        whole, small, part, matcher.backbone, matcher.solver, settings=matcher.settings, **choosing
    )
    if found:
        row["part"] = {"error": error(found.p2p21), "iou": _iou(case, whole, found), **_told(found)}
        row["taken"] = "part" if more_likely(found, ordinary) is found else "whole"
    return row


def _told(match: FileMatch) -> dict[str, Any]:
    assert match.verdict is not None
    told = match.verdict.verdict
    return {"expected": told.expected_error, "level": told.level, "start": match.verdict.choice.best.name}


def _errors(case: Cut, whole: PreparedShape, small: PreparedShape) -> Any:
    stands = ~small.relabel.dropped[case.part_ids]  # a cut leaves slivers, which cleaning drops
    part_ids, whole_ids = case.part_ids[stands], case.whole_ids[stands]
    some = np.random.default_rng(0).permutation(len(part_ids))[:_LANDMARKS]
    here, there = small.relabel(part_ids[some]), whole.relabel(whole_ids[some])
    rows = torch.from_numpy(geodesic_rows(whole.shape.verts.double().numpy(), whole.shape.faces.numpy(), there))
    return lambda p2p21: float(rows[torch.arange(len(here)), p2p21[here]].mean())


def _iou(case: Cut, whole: PreparedShape, found: FileMatch) -> float:
    """Of the landmarks that are marked and those that have a partner."""
    assert found.matched1 is not None
    inside, outside = (whole.relabel(ids) for ids in (np.unique(case.whole_ids), case.lost_ids))
    marked, false = found.matched1[inside].sum(), found.matched1[outside].sum()
    return float(marked / (len(inside) + false))


def tables(rows: Sequence[dict[str, Any]]) -> str:
    """Errors by data set and by kind of cut, and verdicts against errors."""
    by_set = [(name, [row for row in rows if row["set"] == name]) for name in dict.fromkeys(row["set"] for row in rows)]
    by_kind = [(kind, [row for row in rows if row["kind"] == kind]) for kind in KINDS]
    head = [
        "cases",
        "nearest features",
        "as wholes",
        "as a part",
        "median",
        "IoU",
        "match.py",
        "below 5",
        "taken as part",
    ]
    lines = [_line(name, of) for name, of in (*by_set, *by_kind, ("all", list(rows))) if of]
    verdicts = []
    for low, high in ((0, 0.03), (0.03, 0.10), (0.10, np.inf)):
        told = [of["level"] for row in rows if low <= (of := _final(row))["error"] < high]
        verdicts.append(
            [f"{100 * low:g} to {100 * high:g}", f"{len(told)}", *(f"{told.count(each)}" for each in LEVELS)]
        )
    return markdown(["", *head], lines) + "\n\n" + markdown(["error", "matches", *LEVELS], verdicts)


def _final(row: dict[str, Any]) -> dict[str, Any]:
    return row["part"] if row.get("taken") == "part" else row["ordinary"]


def _line(name: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    tried = [row["part"] for row in rows if "part" in row]
    final = np.array([_final(row)["error"] for row in rows])
    means = [np.mean([row["nearest"] for row in rows]), np.mean([row["ordinary"]["error"] for row in rows])]
    of_part = [of["error"] for of in tried] or [np.nan]
    numbers = [*means, np.mean(of_part), np.median(of_part)]
    return [
        name,
        f"{len(rows)}",
        *(f"{100 * value:.1f}" for value in numbers),
        f"{np.mean([of['iou'] for of in tried] or [np.nan]):.2f}",
        f"{100 * final.mean():.1f}",
        f"{100 * (final < 0.05).mean():.0f} %",
        f"{sum(row.get('taken') == 'part' for row in rows)}",
    ]


if __name__ == "__main__":
    main()
