"""The figures of our runs as a table takes them: grouped over seeds, with method and remarks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

from pullback.comparison.published import Published
from pullback.comparison.records import Record, by_seed, differences_in_words, seedless

METRIC = "geodesic_error_x100"
# of runs that do not name theirs
_METHODS = {"DiffZoomOut": "simplified", "ZoomOut": "zoomout", "FeatureNearest": "nearest"}
_LEARNED = ("loss", "optimizer")  # what variants of one method may differ in: these, of the training …
_APPLIED = ("backbone", "solver", "adaptation", "landmarks")  # … and these, of the test


@dataclass(frozen=True)
class Entry:
    """A run on a data set, or several that differ by their seed alone; of two with one seed the newer."""

    records: tuple[Record, ...]
    older: tuple[Record, ...]  # that a newer run of the same settings and seed replaces
    published: Published

    @property
    def first(self) -> Record:
        return self.records[0]

    @property
    def method(self) -> str:
        """The name of the method; of an older run told from its solver."""
        solver = str(self.first.protocol.get("refinement", "unknown")).split(" ")[0]
        return self.first.method or _METHODS.get(solver, solver)

    @property
    def tuned(self) -> bool:
        return self.first.fine_tuning not in (None, "off")

    @property
    def untrained(self) -> bool:
        return "untrained" in str(self.first.protocol.get("checkpoint"))

    @property
    def label(self) -> str:
        words = self.published.names.get(self.method, self.method) + (", untrained network" if self.untrained else "")
        return words + (" + fine-tuning" if self.tuned else "")

    @property
    def role(self) -> str:
        """The data set in whose column it stands."""
        return self.published.role(self.first.dataset)

    @property
    def trained_on(self) -> frozenset[str] | None:
        """The sets of the training, stand-ins under the names of what they stand in for; None where it is not known."""
        return None if self.first.trained_on is None else frozenset(map(self.published.role, self.first.trained_on))

    @property
    def figure(self) -> str:
        """The mean geodesic error × 100, over seeds with its standard deviation."""
        values = [value for record in self.records if (value := record.metrics[METRIC]) is not None]
        return f"{fmean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")

    @cached_property
    def remarks(self) -> list[str]:
        seeds = [str(record.seed) for record in self.records]
        over = [f"mean ± standard deviation over the seeds {', '.join(seeds)}"] if len(seeds) > 1 else []
        return list(
            dict.fromkeys([*over, *(remark for record in self.records for remark in self.published.remarks(record))])
        )

    def is_of(self, method: str | None, *, tuned: bool) -> bool:
        """Whether it stands in the row of a published method."""
        return (self.method, self.tuned, self.untrained) == (method, tuned, False)

    @property
    def changes(self) -> int:
        """How many overrides on the command line change the method: none for the method as configured."""
        return sum(
            text.lstrip("+~").split("=")[0].split(".")[0] in (*_APPLIED, *_LEARNED, "recipe")
            for text in self.first.typed
        )

    @property
    def recipe(self) -> str | None:
        """The recipe that was typed for the training; None for the usual one."""
        return next((text.partition("=")[2] for text in self.first.typed if text.startswith("recipe=")), None)

    def variant(self, other: "Entry") -> str:
        """In what the method differs from that of another entry; empty where it is the same."""
        # the training is not known
        learned = _LEARNED if "ckpt" not in {*self.first.settings, *other.first.settings} else ()
        return _changes(
            *(entry.first.part(*_APPLIED) | entry.first.part(*learned, learned=True) for entry in (self, other))
        )

    def difference(self, other: "Entry") -> str:
        """In what the runs differ at all: rules, else settings, else the names of the runs."""
        rules = [{key: seedless(value) for key, value in entry.first.protocol.items()} for entry in (self, other)]
        training = [entry.first.part("data", "trainer", "scheduler", learned=True) for entry in (self, other)]
        return (
            _changes(*rules)
            or _changes(*training)
            or _changes(self.first.settings, other.first.settings)
            or self.first.label
        )


def entries_of(records: Iterable[Record], published: Published) -> tuple[list[Entry], list[str]]:
    """The entries in the order of their first records, and why the other records make none."""
    placed, left_out = [], []
    for record in records:
        if record.metrics.get(METRIC) is None:
            left_out.append(f"{record.label}, {record.dataset}: no ground truth, or every pair failed")
        else:
            placed.append(record)
    return [Entry(tuple(kept), tuple(older), published) for kept, older in by_seed(placed)], left_out


def _changes(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The first three differences in words."""
    words = differences_in_words(ours, theirs)
    return ", ".join(words[:3] + ([f"{len(words) - 3} more"] if len(words) > 3 else []))
