"""What every benchmark is made of: contenders, rows, a report.

The results of all contenders must agree before they are timed, in turn, A B A B.

    parser = arguments(__doc__)
    options = start(parser)                          # reads the command line and sets the threads
    report = Report(__file__, options)
    report.add(compare("soft map", {"n": 5000}, {"dense": dense, "ours": ours}, ours="ours", same=same,
    rounds=options.rounds)) report.finish()                                  # the table and the JSON file
"""

import argparse
import gc
import json
import os
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
from experiments.benchmarks.memory import PeakMemory
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from threadpoolctl import threadpool_limits

from pullback.tasks.provenance import commit_of, hardware, versions
from pullback.writing import write_atomically


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
) -> list[Row]:
    """Times all contenders in turn, after one run each to warm up.

    In that run ``same(result, result of the first contender)`` must not raise.

    The first contender is the readable reference. All that are neither ``ours`` nor in ``also_ours`` are peers. A
    contender that disagrees raises AssertionError with its name, before anything is timed.
    """
    mine = {ours, *also_ours}
    if not mine <= set(contenders):
        raise ValueError(
            f"{sorted(mine - set(contenders))} are no contenders of {work!r}; there are {list(contenders)}"
        )
    runs = {name: each if isinstance(each, Contender) else Contender(each) for name, each in contenders.items()}
    _check(work, runs, same)
    seconds, peaks = _in_turn({name: replace(run, rounds=run.rounds or rounds) for name, run in runs.items()}, device)
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
    ]


def _check(work: str, runs: Mapping[str, Contender], same: Callable[[Any, Any], None] | None) -> None:
    reference, first = None, next(iter(runs))
    for name, contender in runs.items():
        result = contender.run()
        if name == first:
            reference = result
        elif same is not None:
            try:
                same(result, reference)
            except Exception as error:
                raise AssertionError(
                    f"{work}: {name} does not agree with {first}, so nothing is timed: {error}"
                ) from error


def _in_turn(runs: Mapping[str, Contender], device: str) -> tuple[dict[str, list[float]], dict[str, list[PeakMemory]]]:
    """Seconds and peak memory of every round, A B A B."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    peaks: dict[str, list[PeakMemory]] = {name: [] for name in runs}
    for i in range(max(run.rounds for run in runs.values())):
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


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line that all benchmarks share; a script may add options of its own before ``start`` reads it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument(
        "--threads", type=int, default=cores, help="of PyTorch, BLAS and KeOps alike (default: %(default)s, every core)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds of each contender (default: %(default)s)")
    parser.add_argument("--full", action="store_true", help="all sizes, however long they take")
    parser.add_argument("--output", type=Path, help="the JSON file to write (default: beside the script)")
    return parser


def start(parser: argparse.ArgumentParser, command: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line, with the threads set."""
    options = parser.parse_args(command)
    if options.threads < 1 or options.rounds < 1:
        parser.error(f"--threads and --rounds must be 1 or more, not {options.threads} and {options.rounds}")
    set_threads(options.threads)
    return options


def set_threads(threads: int) -> None:
    """So many threads for PyTorch, for BLAS, and through the environment for KeOps and worker processes."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    torch.set_num_threads(threads)
    threadpool_limits(limits=threads)


class Report:
    """The rows of a benchmark and where they come from, as a JSON file beside the script and as a table."""

    def __init__(self, script: str | Path, options: argparse.Namespace | None = None):
        self.script = Path(script).resolve()
        self.path = Path(getattr(options, "output", None) or self.script.with_suffix(".json"))
        self.rows: list[Row] = []

    def add(self, rows: Sequence[Row]) -> None:
        """Keeps rows, prints each at once, and writes the file anew.

        A run that is stopped thus leaves what it measured.
        """
        for row in rows:
            print(" | ".join(cells(asdict(row))), flush=True)
        self.rows += rows
        self.write()

    def write(self) -> None:
        facts = hardware()
        content = {
            "benchmark": self.script.stem,
            "command": shlex.join(["python", "-m", f"experiments.benchmarks.{self.script.stem}", *sys.argv[1:]]),
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


def peer_versions() -> dict[str, str]:
    """The installed versions of what the benchmarks compare with."""
    found = {}
    for package in ("densemaps", "pyfmaps", "scikit-learn", "triton"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


HEADS = ("work", "sizes", "backend", "device", "seconds", "spread", "peak", "ratio to best peer", "remarks")


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row as text, under HEADS."""
    seconds = (
        "–" if row["seconds"] is None else f"{row['seconds']:.3g}" if row["seconds"] < 100 else f"{row['seconds']:.0f}"
    )
    spread = "–" if row["spread"] is None else f"{100 * row['spread']:.0f} %"
    peak = "–" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e6:,.0f} MB"
    ratio = "–" if row["ratio"] is None else f"{row['ratio']:.2f} ×"
    remarks = "; ".join(filter(None, [_named(row["figures"]), row["note"]]))
    return [row["work"], _named(row["sizes"]), row["backend"], row["device"], seconds, spread, peak, ratio, remarks]


def _named(values: Mapping[str, int | float | str]) -> str:
    text = {int: "{:,}", float: "{:.3g}"}
    return ", ".join(f"{name} {text.get(type(value), '{}').format(value)}" for name, value in values.items())
