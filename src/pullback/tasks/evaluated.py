"""A data set after its evaluation, and what the files of a run tell of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pullback.figures.camera import View
from pullback.figures.correspondence import representative_pairs
from pullback.figures.report import ReportContent
from pullback.files import MissingFileError
from pullback.tasks.results import Result, load_results
from pullback.tasks.scoring import Pairs, Predictions
from pullback.tasks.store import Prediction


@dataclass(frozen=True)
class Evaluated:
    """One data set after its evaluation: the pairs, what was predicted for them, and how good it is.

    All in the same order.
    """

    pairs: Pairs[Any]
    store: Predictions
    result: Result
    view: View = field(default_factory=View)  # the camera of its pictures, where its shapes are meshes

    def prediction(self, i: int) -> Prediction:
        """What is stored of a scored pair. Raises MissingFileError or DamagedPrediction if it has changed since."""
        name = self.pairs[i].name
        found = self.store.read(name)
        if found is None:
            raise MissingFileError(f"{self.store.path(name)} is gone since it was scored; run the evaluation anew")
        return found

    def chosen(self) -> dict[str, int]:
        """The best, the median and the worst pair; without ground truth the first ones."""
        ok = {str(i): pair.score for i, pair in enumerate(self.result.pairs) if pair.score is not None}
        errors = {key: score.mean for key, score in ok.items() if score.mean is not None}
        if errors:
            return {label: int(key) for label, key in representative_pairs(errors).items()}
        return {f"pair {int(key) + 1}": int(key) for key in list(ok)[:3]}


def run_content(folder: Path, *, title: str) -> ReportContent:
    """What the files of a run tell without pictures: results, pairs, configuration, command, environment."""
    content, config = load_results(folder), folder / "config.yaml"
    return ReportContent(
        title=title,
        subtitle=f"{content['started']} · {folder}",
        results=content["results"],
        pair_rows=content["pair_rows"],
        config=config.read_text() if config.is_file() else "",
        command=content["command"],
        environment={
            key: content[key]
            for key in ("commit", "dirty", "started", "seconds", "versions", "hardware")
            if key in content
        },
    )
