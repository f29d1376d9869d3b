"""The published figures of published.yaml, and in what a run of ours differs from the protocol behind them."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pullback.comparison.records import Record, seedless
from pullback.comparison.run_files import read_yaml

_FILE = Path(__file__).with_suffix(".yaml")


class PublishedTables:
    """Tables of a paper, as a yaml file has them."""

    def __init__(self, path: Path):
        self.content = read_yaml(path)

    @property
    def sheets(self) -> list[Mapping[str, Any]]:
        return self.content["sheets"]


class Published(PublishedTables):
    """Tables 1 and 2 of the paper, figures on other sets, and the rules under which they were measured."""

    def __init__(self, path: Path = _FILE):
        super().__init__(path)

    @property
    def others(self) -> list[Mapping[str, Any]]:
        """Figures on sets that the paper has no table for."""
        return self.content["others"]

    @cached_property
    def names(self) -> dict[str, str]:
        """Methods as tables call them."""
        rows = [row for sheet in self.sheets for row in sheet["rows"] if row["method"] and not row.get("tuned")]
        return {row["method"]: row["label"] for row in rows} | self.content["labels"]

    def role(self, dataset: str) -> str:
        """The set in whose column a set stands: itself, or the one that it stands in for."""
        return self.content["stand_ins"].get(dataset, {"for": dataset})["for"]

    def remarks(self, record: Record) -> list[str]:
        """In what a record differs from the published protocol, and what else its figure cannot be read without."""
        remarks = [*self._sets(record), *self._pairs(record), *self._measure(record), *self._training(record)]
        if record.method is None:
            remarks.append("an older run that did not write its method down: told from its solver")
        if record.fine_tuning is None:
            remarks.append("an older run that did not write down whether weights were tuned to each pair")
        elif record.fine_tuning != "off":
            remarks.append(f"tuned to each test pair: {record.fine_tuning}")
        return remarks

    def _sets(self, record: Record) -> list[str]:
        stand_ins = self.content["stand_ins"]
        trained = [name for name in record.trained_on or () if name in stand_ins]
        remarks = [f"trained on {name}, not {stand_ins[name]['for']}: {stand_ins[name]['what']}" for name in trained]
        if record.dataset in stand_ins:
            entry = stand_ins[record.dataset]
            remarks.append(f"tested on {record.dataset}, not {entry['for']}: {entry['what']}")
        return remarks

    def _pairs(self, record: Record) -> list[str]:
        rule, total = str(record.protocol.get("pairs")), self.content["counts"].get(record.dataset)
        remarks = [] if rule in self.content["protocol"]["pairs"] else [f"pairs {rule}"]
        notes = [seedless(note) for note in (record.protocol.get("notes") or "").split(" | ") if note]
        pairs, failed = record.result["pairs"], record.result.get("failed", 0)
        if total and pairs + failed < total and not any(re.match(r"\d+ of \d+ pairs", note) for note in notes):
            remarks.append(f"{pairs + failed} of {total} pairs")
        if failed:
            remarks.append(f"{failed} pairs failed and are in no figure")
        return remarks + [note for note in notes if note not in self.content["protocol"]["listed"]]

    def _measure(self, record: Record) -> list[str]:
        rules, remarks = self.content["protocol"], []
        words = self.content["geodesics"]
        ours = record.protocol.get("geodesics")
        if ours != rules["geodesics"]:
            remarks.append(f"{words.get(ours, ours)} (published: {words[rules['geodesics']]})")
        averaging = str(record.protocol.get("averaging", rules["averaging"]))
        if averaging.split(":")[0] != rules["averaging"]:
            remarks.append(f"averaging {averaging}")
        return remarks

    def _training(self, record: Record) -> list[str]:
        """Rule of the checkpoint, and how long and on what the network was trained."""
        rule, rules = str(record.protocol.get("checkpoint", "")), self.content["protocol"]
        if rule.startswith("none") or not rule:
            return []
        # of weights from elsewhere the run's own configuration tells nothing
        known = {} if "from elsewhere" in rule else record.part("trainer", "data", learned=True)
        last = re.search(r"^last, step (\d+)", rule)
        steps = int(last[1]) if last else known.get("trainer.max_steps")
        vertices, shapes = known.get("data.coarsen"), known.get("data.train_shapes")
        words = [f"{steps:,} training steps" if isinstance(steps, int) and steps > 0 else "training"]
        words += [f"on meshes simplified to {vertices:,} vertices"] if vertices else []
        words += [f"on {shapes} shapes"] if shapes else []
        words += ["on the test shapes too, without ground truth"] if "their test shapes among them" in rule else []
        words += [text.strip() for text in re.findall(r"begun with the weights of [^,;|()]+", rule)[:1]]
        theirs = {part: rules[part].get(record.method or "simplified") for part in ("checkpoint", "training")}
        chosen = re.split(r", step \d+", rule)[0]
        remarks = [f"checkpoint: {chosen}{_beside(theirs['checkpoint'])}"]
        return remarks if words == ["training"] else [*remarks, f"{' '.join(words)}{_beside(theirs['training'])}"]


def _beside(published: str | None) -> str:
    return f" (published: {published})" if published else ""
