"""What finished runs left behind: a record for each data set that a run was measured on.

Runs that differ by their seed alone have the same `Record.identity`. It is made of everything in ``config.yaml`` that
can change a figure (of the training's, too, where a checkpoint was evaluated), and of the protocol.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pullback.comparison.run_files import MissingRun, read_metrics, read_overrides, read_yaml
from pullback.data.errors import shorten
from pullback.moved import as_typed_now, with_present_names

log = logging.getLogger(__name__)

_METRICS = "metrics.json"
# Keys of config.yaml that change no figure, or that stand there a second time.
_ASIDE = (
    "ckpt",
    "predictions",
    "resume",
    "run",
    "paths",
    "logger",
    "view",
    "module",
    "data.datasets",
    "data.test",
    "data.cache_dir",
)
_ASIDE_BY_END = (
    "seed",
    "root",
    "cache_dir",
    "num_workers",
    "prepare_workers",
    "memory_shapes",
    "backend",
    "enable_progress_bar",
)
_ASIDE_OF_TRAINER = (
    "default_root_dir",
    "accelerator",
    "devices",
    "log_every_n_steps",
    "enable_model_summary",
    "profiler",
)


@dataclass(frozen=True)
class Record:
    """A run on a data set. What older runs did not write down is None."""

    run: Path
    label: str  # a short name of the run
    result: Mapping[str, Any]  # the entry of ``results`` in metrics.json
    facts: Mapping[str, Any]  # what stands beside ``results`` there
    seed: int | None  # of the training where something was trained
    typed: Sequence[str]  # overrides on the command lines of the run and of its checkpoint's training
    # "solver.blur": 0.01, …; "training.…" are those of a checkpoint; empty without config.yaml
    settings: Mapping[str, Any]

    @property
    def dataset(self) -> str:
        return self.result["dataset"]

    @property
    def metrics(self) -> Mapping[str, float | None]:
        return self.result["metrics"]

    @property
    def protocol(self) -> Mapping[str, Any]:
        return self.result["protocol"]

    @property
    def method(self) -> str | None:
        return self.facts.get("method")

    @cached_property
    def trained_on(self) -> tuple[str, ...] | None:
        """The data sets of the training; empty where nothing was trained."""
        if self.facts.get("trained_on") is not None:
            return tuple(self.facts["trained_on"])
        rule = str(self.protocol.get("checkpoint", ""))
        known = re.search(r"trained on ([\w-]+(?: \+ [\w-]+)*)", rule)
        return tuple(known[1].split(" + ")) if known else () if rule.startswith("none") else None

    @property
    def fine_tuning(self) -> str | None:
        """ "off", or how the weights were tuned to each test pair."""
        return self.facts.get("fine_tuning") or self.protocol.get("fine_tuning")

    @cached_property
    def identity(self) -> str:
        """The same for runs that differ by their seed alone."""
        rules = {key: seedless(value) for key, value in self.protocol.items() if key != "seed"}
        told = self.settings or {"run": str(self.run)}  # of a run without config.yaml nothing is known to be the same
        said = [self.dataset, self.result["split"], self.method, self.trained_on, self.fine_tuning]
        return json.dumps([said, rules, told], sort_keys=True, default=str)

    def part(self, *names: str, learned: bool = False) -> dict[str, Any]:
        """The settings of some parts, "solver" or "loss"; with ``learned`` those of the training."""
        prefix = "training." if learned and any(key.startswith("training.") for key in self.settings) else ""
        kept = {key.removeprefix(prefix): value for key, value in self.settings.items() if key.startswith(prefix)}
        return {key: value for key, value in kept.items() if key.split(".")[0] in names}


def run_folders(folders: Sequence[Path]) -> list[Path]:
    """The folders that hold a metrics.json, in the order given; jobs of a sweep by their numbers.

    Says which folders hold none. Raises MissingRun where none of them does, and for a folder that is not there.
    """
    found: list[Path] = []
    without: list[str] = []
    for folder in folders:
        if not folder.exists():
            raise MissingRun(f"there is no folder {folder}; give the folder of a run, or one that holds runs")
        if folder.name == _METRICS:
            folder = folder.parent
        below = [folder] if (folder / _METRICS).is_file() else [path.parent for path in folder.rglob(_METRICS)]
        if not below:
            without.append(str(folder))
        found += sorted(
            below, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(path))]
        )
    if without:
        none = f"no {_METRICS} in {shorten(without)} or below: no run there has finished its evaluation"
        if not found:
            raise MissingRun(none)
        log.warning("left out: %s", none)
    return list(dict.fromkeys(found))


def labels(runs: Sequence[Path]) -> list[str]:
    """Short names of the runs: the end of each path that tells them apart."""
    parts = [run.resolve().parts for run in runs]
    longest = max(map(len, parts), default=0)
    depth = next((n for n in range(1, longest) if len({path[-n:] for path in parts}) == len(parts)), longest)
    return ["/".join(path[-depth:]) for path in parts]


def all_records(folders: Sequence[Path]) -> list[Record]:
    """The records of all runs in the folders, under short names of the runs. Raises as ``run_folders``."""
    runs = run_folders(folders)
    return [record for label, run in zip(labels(runs), runs, strict=True) for record in records_of(run, label)]


def records_of(run: Path, label: str) -> Iterator[Record]:
    """A record for each data set of a run. Raises RunError for a metrics.json that no evaluation wrote."""
    content = read_metrics(run)
    config = with_present_names(read_yaml(run / "config.yaml"))
    trained = training_of(config, content.get("checkpoint"))
    of_training = None if trained is None else with_present_names(read_yaml(trained / "config.yaml"))
    settings, seed = settings_of(config, content.get("checkpoint"), of_training)
    typed = [
        as_typed_now(text)
        for folder in (run, trained)
        if folder
        for text in read_overrides(folder / ".hydra" / "overrides.yaml")
    ]
    facts = {key: value for key, value in content.items() if key != "results"}
    for result in content["results"]:
        yield Record(
            run, label, result, facts, seed if seed is not None else result["protocol"].get("seed"), typed, settings
        )


def by_seed(records: Iterable[Record]) -> list[tuple[list[Record], list[Record]]]:
    """Records grouped with those that differ by their seed alone, one of each seed: the newest.

    And those that a newer one replaces.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.identity, []).append(record)
    result = []
    for group in groups.values():
        ordered = sorted(group, key=lambda record: str(record.facts.get("started") or ""))
        newest = {record.seed: record for record in ordered}
        kept = [newest[seed] for seed in sorted(newest, key=lambda seed: (seed is None, seed))]
        result.append((kept, [record for record in ordered if record not in kept]))
    return result


def training_of(config: Mapping[str, Any], checkpoint: str | None) -> Path | None:
    """The folder of the run that wrote a checkpoint; None without one, and where its config.yaml is gone."""
    if checkpoint is None:
        return None
    places = [Path(checkpoint), Path((config.get("paths") or {}).get("root") or ".") / checkpoint]
    return next((place.parent.parent for place in places if (place.parent.parent / "config.yaml").is_file()), None)


def settings_of(
    config: Mapping[str, Any], checkpoint: str | None, trained: Mapping[str, Any] | None
) -> tuple[dict[str, Any], int | None]:
    """Everything in a configuration that can change a figure, in one level, and the seed.

    A checkpoint brings the configuration of its training; where that is gone, its path stands for it.
    """
    if not config:
        return {}, None
    settings, seed = dict(_flat(config)), config.get("seed")
    if "match" not in config.get("run", ["match"]):
        settings["predictions"] = config.get("predictions")
    if checkpoint is None:
        return settings, seed
    if not trained:
        return settings | {"ckpt": checkpoint}, seed
    rule = {"training.rule": Path(checkpoint).stem}
    return settings | rule | {f"training.{key}": value for key, value in _flat(trained)}, trained.get("seed")


def differences_in_words(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """In what some settings differ from others: "solver.blur 0.02", "solver ZoomOut", "without loss.consistency".

    Where a part is another object altogether its name stands for all that is in it. An option that one of them does not
    have is passed over: another version of the program wrote it.
    """
    keys = [key for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key)]
    parts = [key.removesuffix("._target_") for key in keys if key.endswith("._target_")]
    parts = [part for part in parts if not any(part.startswith(f"{above}.") for above in parts)]
    words = [_part_in_words(ours.get(f"{part}._target_"), theirs.get(f"{part}._target_"), part) for part in parts]
    options = [
        key for key in keys if key in ours and key in theirs and not any(key.startswith(f"{part}.") for part in parts)
    ]
    return words + [f"{key} {ours[key]}" for key in options]


def _part_in_words(ours: str | None, theirs: str | None, part: str) -> str:
    if ours is None or theirs is None:
        return f"{'without' if ours is None else 'with'} {part}"
    return f"{part} {ours.rsplit('.', 1)[-1]}"


def seedless(value: Any) -> Any:
    """A rule of a protocol without what a seed changes: the seed itself, and the step that turned out best."""
    text = re.sub(r"seed \d+", "a seed", value) if isinstance(value, str) else value
    return re.sub(r", step \d+", "", text) if isinstance(text, str) and text.startswith("best") else text


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    folder = (config.get("paths") or {}).get("output_dir")
    for key, value in _leaves(config):
        top, end = key.split(".")[0], key.rsplit(".", 1)[-1]
        aside = any(key == name or key.startswith(f"{name}.") for name in _ASIDE) or (
            top == "trainer" and end in _ASIDE_OF_TRAINER
        )
        if aside or end in _ASIDE_BY_END or (folder and folder in str(value)):
            continue
        yield key, value


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, below in value.items():
        if isinstance(below, Mapping) and below:
            yield from _leaves(below, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", below
