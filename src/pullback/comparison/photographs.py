"""Runs on photographs as tables take them: which method on which networks, and what its figures stand under."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from statistics import fmean, stdev
from typing import Any

from pullback.comparison.published import PublishedTables
from pullback.comparison.records import Record, by_seed, seedless

_FILE = Path(__file__).with_name("published_photographs.yaml")
_NAMES = {"EfficientNetLite0": "EfficientNet-lite0", "DenseGradients": "gradients"}


class PublishedPhotographs(PublishedTables):
    """Tables of Cheng et al. 2024, their networks, and the rules under which they were measured."""

    def __init__(self, path: Path = _FILE):
        super().__init__(path)

    @property
    def rules(self) -> Mapping[str, Any]:
        return self.content["protocol"]

    def network(self, branch: Mapping[str, Any]) -> tuple[str, str]:
        """Name and label of a branch's network: a published one's, or what its weights and block say."""
        kind = str(branch.get("_target_", "")).rsplit(".", 1)[-1]
        weights = str(branch.get("weights"))
        for name, known in self.content["networks"].items():
            if all(branch.get(key) == value for key, value in known.items() if key != "label"):
                return name, known["label"]
        if branch.get("weights") is None:
            return kind, _NAMES.get(kind, kind)
        base = next((k["label"] for k in self.content["networks"].values() if k["weights"] == weights), None)
        stem = base.split(" block")[0] if base else PurePath(weights).name
        words = [stem, *([str(branch["facet"])] if branch.get("facet", "token") != "token" else [])]
        words += [f"block {branch['layer']}"] if "layer" in branch else []
        return " ".join(words), " ".join(words)

    def label(self, name: str) -> str:
        known = self.content["networks"].get(name)
        return known["label"] if known else name


@dataclass(frozen=True)
class PhotoEntry:
    """A run on a data set of photographs, or several that differ by their seed alone."""

    records: tuple[Record, ...]
    older: tuple[Record, ...]
    published: PublishedPhotographs

    @property
    def first(self) -> Record:
        return self.records[0]

    @property
    def dataset(self) -> str:
        return self.first.dataset

    @cached_property
    def branches(self) -> list[dict[str, Any]]:
        """The options of both networks: of the basis, and of the descriptors."""
        prefixes = [f"fusion.{part}.backbone." for part in ("basis", "descriptors")]
        return [
            {key.removeprefix(start): value for key, value in self.first.settings.items() if key.startswith(start)}
            for start in prefixes
        ]

    @property
    def is_told(self) -> bool:
        """Whether the run's configuration is there, which tells networks and graph."""
        return any(self.branches)

    @cached_property
    def mode(self) -> str:
        """What makes the functional map, as the protocol has it; an early one had it not, and the settings tell."""
        optimiser = self.first.settings.get("solver.optimiser._target_")
        told = self.first.protocol.get("mode") or (str(optimiser).rsplit(".", 1)[-1] if optimiser else "raw")
        return str(told)

    @cached_property
    def method(self) -> str:
        """``raw``, ``concat``, ``fmap``, or ``foreign`` of another program."""
        if self.mode == "foreign":
            return "foreign"
        if self.mode != "raw":
            return "fmap"
        return "concat" if len(self._read()) > 1 else "raw"

    def _read(self) -> list[str]:
        return [str(name) for name in self.first.settings.get("solver.readout.embedding") or ["descriptors"]]

    @cached_property
    def networks(self) -> tuple[tuple[str, str], ...]:
        """Names and labels of the networks that count: one of a raw method, else the basis's and the descriptors'.

        None where nothing tells.
        """
        if self.method == "foreign" or not self.is_told:
            return ()
        both = [self.published.network(branch) for branch in self.branches]
        return (both[0 if self._read() == ["basis"] else 1],) if self.method == "raw" else tuple(both)

    @property
    def form(self) -> str:
        """What the fusion of the run is an example of: same, pair, layers, facets, losses; or foreign: not told."""
        if self.method == "foreign" or not self.is_told:
            return "foreign"
        one, other = self.branches
        if self.terms not in ("", "all"):
            return "losses"
        alike = [one.get(key) == other.get(key) for key in ("_target_", "weights")]
        if not all(alike):
            return "pair"
        if one.get("facet") != other.get("facet"):
            return "facets"
        return "same" if one.get("layer") == other.get("layer") else "layers"

    @property
    def terms(self) -> str:
        """Which terms of the paper's loss are on; empty where there is none."""
        weights = {key: self.first.settings.get(f"solver.optimiser.loss.{key}") for key in ("diag", "cons")}
        if None in weights.values():
            return ""
        on = [key for key, weight in weights.items() if weight]
        return "all" if len(on) == 2 else " + ".join(["feature", *on])

    @property
    def solver(self) -> str:
        """The solver as it was chosen, with what was typed of it; else the mode."""
        typed = [text for text in self.first.typed if text.startswith("solver")]
        chosen = [text.split("=", 1)[1] for text in typed if text.startswith("solver=")]
        changed = [text for text in typed if text.startswith("solver.")]
        return ", ".join([*(chosen[-1:] or [self.mode]), *changed])

    @property
    def label(self) -> str:
        names = [name for _, name in self.networks]
        if self.method == "foreign":
            return str(self.first.method or self.first.protocol.get("solver"))
        if not self.is_told:
            return f"{self.first.protocol.get('fusion')}, {self.solver}"
        if self.method == "raw":
            return f"{names[0]}, raw"
        if self.method == "concat":
            return f"{names[0]} + {names[1]}, side by side"
        return f"{names[0]} → {names[1]}, {self.solver}"

    def value(self, column: Mapping[str, Any], average: str) -> str | None:
        """A figure of a column: of a subset, or averaged over ``pairs`` or ``subsets``; over seeds with its spread."""
        found = [_value(record.result, column, average) for record in self.records]
        known = [value for value in found if value is not None]
        if not known:
            return None
        scale, digits = (100, 1) if column["metric"].startswith("pck") else (1, 2)
        spread = f" ± {scale * stdev(known):.{digits}f}" if len(known) > 1 else ""
        return f"{scale * fmean(known):.{digits}f}{spread}"

    @property
    def subsets(self) -> list[str]:
        return list(self.first.result.get("subsets") or {})

    @cached_property
    def remarks(self) -> list[str]:
        """In what the figures differ from the published protocol, and what else they stand under."""
        rules, settings, protocol = self.published.rules, self.first.settings, self.first.protocol
        seeds = [str(record.seed) for record in self.records]
        remarks = [f"mean ± standard deviation over the seeds {', '.join(seeds)}"] if len(seeds) > 1 else []
        remarks += [self._pairs(), f"PCK in units of {protocol.get('pck_reference')}" + self._published_reference()]
        remarks += [f"crop {protocol['crop']}"] if protocol.get("crop") else []
        if self.method == "foreign":
            return [*remarks, "predictions of another program, as it wrote them"]
        if not self.is_told:
            return [*remarks, f"sizes, k and read-out not known: {self.first.label} has no config.yaml"]
        remarks += self._sizes()
        if self.method == "fmap":
            k = settings.get("graph.k")
            told = "" if k == rules["k"] else f" (published: {rules['k']})"
            remarks.append(
                f"k = {k}{told}, edges {settings.get('graph.weights')}, {settings.get('graph.normalisation')}"
            )
            remarks.append(f"read-out {_readout(settings)}; {seedless(protocol.get('solver'))}")
        return remarks

    def _pairs(self) -> str:
        pairs, total = self.first.result["pairs"], self.published.rules["counts"].get(self.dataset)
        beside = f" (published: {total} pairs)" if total and pairs != total else ""
        return f"{pairs} pairs scored: {seedless(self.first.protocol.get('pairs'))}{beside}"

    def _published_reference(self) -> str:
        theirs = self.published.rules["pck_reference"].get(self.dataset)
        return f" (published: {theirs})" if theirs and theirs != self.first.protocol.get("pck_reference") else ""

    def _sizes(self) -> list[str]:
        told = []
        for branch in self.branches if len(self.networks) > 1 else self._branch():
            name, label = self.published.network(branch)
            theirs = self.published.rules["sizes"].get(name)
            if branch.get("size") != theirs:
                told.append(f"{label} at {branch.get('size')} px" + (f" (published: {theirs})" if theirs else ""))
        resampled = self.form == "pair" or len({branch.get("size") for branch in self.branches}) > 1
        if self.method == "raw" and self._read() != ["basis"] and resampled:
            told.append(f"on the patches of {self.published.network(self.branches[0])[1]}")
        return list(dict.fromkeys(told))

    def _branch(self) -> list[dict[str, Any]]:
        return self.branches[:1] if self._read() == ["basis"] else self.branches[1:]


def photo_entries(records: Iterable[Record], published: PublishedPhotographs) -> list[PhotoEntry]:
    """The entries in the order of their first records; of runs with equal settings and seed the newest."""
    return [PhotoEntry(tuple(kept), tuple(older), published) for kept, older in by_seed(records)]


def _value(result: Mapping[str, Any], column: Mapping[str, Any], average: str) -> float | None:
    if "subset" in column:
        part = (result.get("subsets") or {}).get(column["subset"])
        return None if part is None else part["metrics"].get(column["metric"])
    figures = result["metrics"] if average == "pairs" else result.get("metrics_unweighted") or result["metrics"]
    return figures.get(column["metric"])


def _readout(settings: Mapping[str, Any]) -> str:
    read = settings.get("solver.readout.embedding") or []
    return f"{' + '.join(map(str, read))}, {settings.get('solver.readout.position')}"
