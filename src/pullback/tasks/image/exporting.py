"""Our matches in the formats of other programs: flows as ``.flo``, keypoints as a table.

What is written here is what ``run=[score] predictions=`` reads: the flow of each pair where its data set lays it, and
for data sets of keypoints a table with the place on image 1 of each.
"""

import csv
import io
from pathlib import Path
from typing import Any

from pullback.data.image.truth import write_flo
from pullback.errors import UserError
from pullback.mapping.grid_match import flow_from_match, keypoints_from_match
from pullback.tasks.evaluated import Evaluated
from pullback.tasks.image.scoring import stored_match
from pullback.writing import write_text_atomically


class ExportError(UserError, ValueError):
    """Matches that cannot be written for other programs."""


def export_predictions(folder: Path, part: Evaluated) -> Path:
    """Writes the scored matches of a data set below ``folder``; returns the folder of flows, or the table.

    Raises ExportError for matches of cropped photographs, whose pixels other programs do not know.
    """
    name = part.result.dataset
    pairs: Any = part.pairs  # TestPairs: layers above data are given them as pairs of any kind
    if pairs.crop != "none":
        raise ExportError(
            f"{name} was cropped to the {pairs.crop}, and other programs count pixels on whole photographs; "
            "match it with data.crop=none to export it"
        )
    scored = [i for i, pair in enumerate(part.result.pairs) if pair.score is not None]
    if all(part.result.pairs[i].score.flow is None and pairs[i].keypoints2 is not None for i in scored):
        return _keypoints(folder / f"{name}.csv", part, scored)
    places = pairs.flow_places()
    for i in scored:
        path = folder / name / places[pairs.name(i)][0]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flo(path, flow_from_match(**stored_match(part.prediction(i), pairs[i])))
    return folder / name


def _keypoints(path: Path, part: Evaluated, scored: list[int]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["pair", "keypoint", "x", "y"])
    interpolation = part.result.protocol.interpolation
    for i in scored:
        pair = part.pairs[i]
        match = stored_match(part.prediction(i), pair)
        points = keypoints_from_match(pair.keypoints2, **match, interpolation=interpolation)
        writer.writerows([pair.name, number, f"{x:.7g}", f"{y:.7g}"] for number, (x, y) in enumerate(points.tolist()))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, text.getvalue())
    return path
