"""What every benchmark is made of: contenders, rows, a report.

The results of all contenders must agree before they are timed, in turn, A B A B.

    options = start(arguments(__doc__, conditions=True))   # once for each number of threads, quiet and busy
    report = Report(__file__, options)
    contenders = {"dense": dense, "ours": ours}
    report.add(compare("soft map", {"n": 5000}, contenders, ours="ours", same=same, rounds=options.rounds))
    report.finish()                                        # the table and the JSON file
"""

import argparse
import gc
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from experiments.benchmarks.cells import HEADS, cells
from experiments.benchmarks.memory import PeakMemory
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pullback.files import read_json
from pullback.tasks.provenance import commit_of, hardware, versions
from pullback.writing import write_atomically

FAILED, DISAGREES = "failed with ", "does not agree with "  # how notes begin of contenders that are not timed


@dataclass(frozen=True)
class Contender:
    """A way to do the work, with a number of rounds of its own where it is slow (None: as many as the others)."""

    run: Callable[[], Any]
    rounds: int | None = None


@dataclass(frozen=True)
class Row:
    """One line of a benchmark. A row that could not be measured has no seconds, and its note says why."""

    work: str
    sizes: Mapping[str, int | float | str]
    backend: str
    device: str
    seconds: float | None  # median
    spread: float | None = None  # (slowest - fastest) / median; None after a single round
    rounds: int = 1
    peak_bytes: int | None = None  # above what was in use at the start
    peak_by: str | None = None  # how that was measured
    ratio: float | None = None  # median of the fastest peer / median of this one: above 1 is faster than every peer
    ours: bool = False
    figures: Mapping[str, float | str] = field(default_factory=dict)  # what else was measured, such as a residual
    note: str = ""
    threads: int | None = None  # of everybody in this comparison
    busy: int | None = None  # processes that computed beside
    processor: str = ""


def compare(
    work: str,
    sizes: Mapping[str, int | float | str],
    contenders: Mapping[str, Callable[[], Any] | Contender],
    *,
    ours: str,
    same: Callable[[Any, Any], None] | None,
    also_ours: Collection[str] = (),
    rounds: int = 3,
    device: str = "cpu",
    figures: Mapping[str, Mapping[str, float | str]] | None = None,
    notes: Mapping[str, str] | None = None,
    lenient: bool = False,
) -> list[Row]:
    """Times all contenders in turn, after one run each to warm up.

    In that run ``same(result, result of the first contender)`` must not raise.

    The first contender is the readable reference. All that are neither ``ours`` nor in ``also_ours`` are peers. A
    contender that disagrees raises AssertionError with its name, before anything is timed. With ``lenient`` one that
    disagrees or fails gets a row that says so, without a time, and the others go on.
    """
    mine = {ours, *also_ours}
    if not mine <= set(contenders):
        raise ValueError(
            f"{sorted(mine - set(contenders))} are no contenders of {work!r}; there are {list(contenders)}"
        )
    runs = {name: each if isinstance(each, Contender) else Contender(each) for name, each in contenders.items()}
    wrong = _check(work, runs, same, lenient=lenient)
    timed_ones = {name: replace(run, rounds=run.rounds or rounds) for name, run in runs.items() if name not in wrong}
    seconds, peaks = _in_turn(timed_ones, device)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    best_peer = min((median for name, median in medians.items() if name not in mine), default=None)
    return [
        Row(
            work,
            dict(sizes),
            name,
            device,
            seconds=median,
            spread=(max(seconds[name]) - min(seconds[name])) / median if len(seconds[name]) > 1 else None,
            rounds=len(seconds[name]),
            peak_bytes=max((peak.bytes for peak in peaks[name] if peak.bytes is not None), default=None),
            peak_by=peaks[name][0].method,
            ratio=None if best_peer is None else best_peer / median,
            ours=name in mine,
            figures=(figures or {}).get(name, {}),
            note=(notes or {}).get(name, ""),
        )
        for name, median in medians.items()
    ] + [
        Row(work, dict(sizes), name, device, None, rounds=0, ours=name in mine, note=why) for name, why in wrong.items()
    ]


def _check(
    work: str, runs: Mapping[str, Contender], same: Callable[[Any, Any], None] | None, *, lenient: bool
) -> dict[str, str]:
    """What is wrong with which contender. Raises AssertionError for the first of them unless that is borne."""
    reference, first, wrong = None, "", {}
    for name, contender in runs.items():
        try:
            result = contender.run()
        except Exception as error:
            if not lenient:
                raise
            wrong[name] = f"{FAILED}{type(error).__name__}: {error}"[:300]
            continue
        if not first:
            reference, first = result, name
        elif same is not None:
            try:
                same(result, reference)
            except Exception as error:
                if not lenient:
                    told = f"{work}: {name} {DISAGREES}{first}, so nothing is timed: {error}"
                    raise AssertionError(told) from error
                wrong[name] = f"{DISAGREES}{first}: {error}"[:300]
    return wrong


def _in_turn(runs: Mapping[str, Contender], device: str) -> tuple[dict[str, list[float]], dict[str, list[PeakMemory]]]:
    """Seconds and peak memory of every round, A B A B."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    peaks: dict[str, list[PeakMemory]] = {name: [] for name in runs}
    for i in range(max((run.rounds for run in runs.values()), default=0)):
        for name, contender in runs.items():
            if i < contender.rounds:
                spent, peak = timed(contender.run, device)
                seconds[name].append(spent)
                peaks[name].append(peak)
    return seconds, peaks


def timed(run: Callable[[], Any], device: str = "cpu") -> tuple[float, PeakMemory]:
    """Seconds of one run, the device's work included, and the memory it took at its peak."""
    gc.collect()
    with PeakMemory(device) as peak:
        before = time.perf_counter()
        run()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        spent = time.perf_counter() - before
    return spent, peak


class Report:
    """The rows of a benchmark and where they come from, as a JSON file beside the script and as a table."""

    def __init__(self, script: str | Path, options: argparse.Namespace | None = None):
        self.script = Path(script).resolve()
        name = f"{self.script.stem}.json" if getattr(options, "whole", True) else f"{self.script.stem}_brief.json"
        self.path = Path(getattr(options, "output", None) or self.script.with_name(name))
        self.busy: int = getattr(options, "busy", 0)
        part, self.command = getattr(options, "part", None) or ("0", None)
        self.rows = (
            [Row(**row) for row in read_json(self.path)["rows"]] if int(part) > 0 and self.path.is_file() else []
        )

    def add(self, rows: Sequence[Row]) -> None:
        """Keeps rows, prints each at once, and writes the file anew.

        A run that is stopped thus leaves what it measured.
        """
        for row in rows:
            busy, threads = self.busy if row.busy is None else row.busy, row.threads or torch.get_num_threads()
            named = replace(row, threads=threads, busy=busy, processor=row.processor or processor_of(row.device))
            self.rows.append(replace(named, figures={**row.figures, **beside_others(named, self.rows)}))
            print(" | ".join(cells(asdict(self.rows[-1]))), flush=True)
        self.write()

    def write(self) -> None:
        facts = hardware()
        content = {
            "benchmark": self.script.stem,
            "command": self.command
            or shlex.join(["python", "-m", f"experiments.benchmarks.{self.script.stem}", *sys.argv[1:]]),
            "machine": {**facts, "gpu": [gpu["name"] for gpu in facts["gpu"]]},
            "versions": versions() | peer_versions(),
            **commit_of(self.script),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "rows": [asdict(row) for row in self.rows],
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.path, lambda file: file.write(text.encode()))

    def finish(self) -> None:
        """Prints the table and the name of the file."""
        table = Table(*HEADS, title=self.script.stem)
        for row in self.rows:
            table.add_row(*map(escape, cells(asdict(row))), style="bold" if row.ours else None)
        Console(width=None if sys.stdout.isatty() else 180).print(table)
        print(f"written: {self.path}")


def processor_of(device: str) -> str:
    """The name of what computes: the CPU, or the GPUs and the CPU that feeds them."""
    facts = hardware()
    names = (
        [facts["cpu"]] if torch.device(device).type == "cpu" else [*(gpu["name"] for gpu in facts["gpu"]), facts["cpu"]]
    )
    return ", ".join(dict.fromkeys(names))


def beside_others(row: Row, others: Sequence[Row]) -> dict[str, float]:
    """What its threads gain over one, and what busy processes cost, where the same was measured without them."""
    same = [each for each in others if (each.work, each.backend, each.sizes) == (row.work, row.backend, row.sizes)]
    found = {
        "speed-up": [each.seconds for each in same if each.threads == 1 != row.threads and each.busy == row.busy],
        "slowdown": [each.seconds for each in same if each.threads == row.threads and each.busy == 0 != row.busy],
    }
    known = {name: seconds[0] for name, seconds in found.items() if seconds and seconds[0] and row.seconds}
    return {
        name: seconds / row.seconds if name == "speed-up" else row.seconds / seconds for name, seconds in known.items()
    }


def peer_versions() -> dict[str, str]:
    """The installed versions of what the benchmarks compare with."""
    found = {}
    for package in ("densemaps", "pyfmaps", "scikit-learn", "triton"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
