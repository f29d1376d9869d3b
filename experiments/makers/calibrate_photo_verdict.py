"""Makes the constants of the verdict on matches of photographs, and the tables that say how far they are to be trusted.

    python -m experiments.makers.calibrate_photo_verdict --data DIR --work DIR [--fusion NAME] [--out FILE]

DIR of the data holds PF-dataset-WILLOW and TSS_CVPR2016 (the authors' sample of 7 pairs); the embedded photographs are
read from data/photos. The constants come from one half of the photographs, the tables from the other
(``experiments.makers.photo_pairs``), all by ``pullback match`` with the features of that fusion. FILE is
configs/judge/image.yaml, where the calibrations of other features stay as they are. Half an hour; an interrupted run
goes on with the same --work, which is that of one fusion.
"""

import argparse
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from experiments.makers.error_models import Limits, Row, fitted, flag_table, reliability_table
from experiments.makers.photo_pairs import Found, found_in

from pullback.api.matching import configured
from pullback.mapping.grid_match import patch_of
from pullback.mapping.patch_energies import OF_MAPS, match_signals, patch_energies
from pullback.runtime.match_images import ImageMatcher
from pullback.runtime.settings import instantiate
from pullback.tasks.image.judging import without_features

ROOT = Path(__file__).resolve().parents[2]
# Mean errors in shares of the longer side: what is right is so within some patches, what is wrong lies elsewhere.
_LIMITS = Limits(right=0.06, wrong=0.20, near=0.10, margin=1.0, floor=0.08)
_POINTS = 20  # of each pair, for the confidence of points
_OF_FMAPS = ("bijectivity", "orthogonality", "commutativity")
_TURNED = ("mirrored", "turned_180", "turned_90")


def main(command: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m experiments.makers.calibrate_photo_verdict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of PF-dataset-WILLOW and TSS_CVPR2016")
    parser.add_argument("--work", type=Path, required=True, help="a folder for what is kept between runs")
    parser.add_argument("--fusion", default="gradients_cnn", help="the features: a name of configs/fusion")
    parser.add_argument("--out", type=Path, help="the file that the constants are written to")
    options = parser.parse_args(command)
    with configured(None, {"files": "image", "fusion": options.fusion, "solver.two_way": True}, None) as cfg:
        matcher = ImageMatcher.of(cfg)
    fit, report = (rows_of(part, matcher, options.data, options.work) for part in ("fit", "report"))
    content = calibrated(fit, matcher.features)
    if options.out is not None:
        options.out.write_text(with_calibration(options.out, content))
    print(tables(content, report))


def with_calibration(path: Path, content: dict[str, Any]) -> str:
    """The file of all calibrations with this one, in the place of an earlier one of the same features."""
    before = yaml.safe_load(path.read_text()) if path.is_file() else {"calibrations": []}
    names = [each["features"] for each in before["calibrations"]]
    place = names.index(content["features"]) if content["features"] in names else len(names)
    before["calibrations"][place : place + 1] = [content]
    whole = {"_target_": "pullback.metrics.verdict.Judges", "calibrations": before["calibrations"]}
    return _HEADER + yaml.safe_dump(whole, sort_keys=False, width=120, default_flow_style=None, allow_unicode=True)


def calibrated(rows: Sequence[Row], features: str) -> dict[str, Any]:
    """The configuration of a judge: what knows functional maps, what knows features alone, and what knows neither.

    A model that is the same as the one before is left out. Mirrored and turned copies are for the report alone: what
    flags them is mostly their orientation, whatever error is expected.
    """
    rows = [row for row in rows if row.set not in _TURNED]
    models: list[dict[str, Any]] = []
    for known in _KINDS:
        model = fitted(known(rows), list(known(rows)[0].energies), _LIMITS)
        models += [] if model in models else [model]
    return {"_target_": "pullback.metrics.verdict.Judge", "features": [features], "models": models}


def without_fmaps(rows: Sequence[Row]) -> list[Row]:
    """The rows of matches that have no functional map."""
    kept = [{name: value for name, value in row.energies.items() if name not in _OF_FMAPS} for row in rows]
    return [replace(row, energies=energies) for row, energies in zip(rows, kept, strict=True)]


def of_other_features(rows: Sequence[Row]) -> list[Row]:
    """The rows as they are where features are not those of the constants."""
    return [
        replace(row, energies=without_features(row.energies), signals=row.signals * row.signals.new_tensor(OF_MAPS))
        for row in without_fmaps(rows)
    ]


_KINDS: tuple[Callable[[Sequence[Row]], list[Row]], ...] = (list, without_fmaps, of_other_features)
_HEADER = (
    "# What to expect of a match of photographs from its energies, as a share of the longer side of the source. Made\n"
    "# for each of the features by: python -m experiments.makers.calibrate_photo_verdict --data DIR --work DIR\n"
    "# --fusion NAME --out configs/judge/image.yaml. Logarithms of energies: weight, typical value, spread.\n"
    "# With other features no match is called good.\n"
)


def rows_of(part: str, matcher: ImageMatcher, data: Path, work: Path) -> list[Row]:
    """The rows of a part; kept in ``work``."""
    kept = work / "rows"
    kept.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, found in found_in(part, matcher.match, data=data, embedded=ROOT / "data" / "photos", work=work):
        path = kept / f"{name}.pkl"
        if not path.exists():
            path.write_bytes(pickle.dumps(row_of(found())))
        rows.append(pickle.loads(path.read_bytes()))
    return rows


def row_of(found: Found) -> Row:
    """The energies and the true errors of a match."""
    match, image2 = found.match, found.patches.image2
    assert match.reverse is not None
    signals = match_signals(found.patches, match, match.reverse)
    energies = patch_energies(found.patches, match, match.reverse, signals)
    points, errors = found.points2[:_POINTS], found.errors[:_POINTS]
    at = signals.there.stacked()[patch_of(points, image2.grid, image2.size)]
    return Row(found.set, found.name, "match", float(found.errors.mean()), energies, at, errors)


def tables(content: dict[str, Any], rows: Sequence[Row]) -> str:
    """Flags by kind of pair and by true error, and reliability, on pairs that the constants have not seen."""
    parts, judge = [], instantiate(content)
    for kind, name in ((list, "these features"), (of_other_features, "maps alone")):
        of = kind(rows)
        real = [row for row in of if row.set not in ("unrelated", *_TURNED)]
        for what, part in (
            (f"{name}: real pairs", real),
            (f"{name}: unrelated", [row for row in of if row.set == "unrelated"]),
            (f"{name}: mirrored, turned", [row for row in of if row.set in _TURNED]),
        ):
            parts.append(flag_table(judge, part, what, _LIMITS))
        parts.append(reliability_table(judge, of, name, near=_LIMITS.near))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
