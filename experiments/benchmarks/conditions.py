"""Under which conditions a benchmark runs: how many threads everybody has, and how many busy processes are beside.

A script that compares, ``arguments(__doc__, conditions=True)``, runs once for each number of threads on a quiet
machine, then beside busy processes, briefly. Each time is a process of its own, whose environment says the threads
before a library loads, and adds its rows to the same file.
"""

import argparse
import atexit
import contextlib
import itertools
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"


def arguments(description: str | None, *, conditions: bool = False) -> argparse.ArgumentParser:
    """The command line that all benchmarks share; a script may add options of its own before ``start`` reads it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = "of PyTorch, BLAS and KeOps alike, ours and the peers'"
    if conditions:
        each = f"{threads}, one after the other (default: 1 and every core)"
        parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}), help=each)
        beside = "numbers of processes that compute beside, with one thread each (default: none, then 4)"
        parser.add_argument("--busy", type=int, nargs="+", default=[0, 4], help=beside)
        parser.add_argument(
            "--brief",
            action="store_true",
            help="the smallest sizes only, as beside busy processes, into a file of their own (…_brief.json)",
        )
        parser.add_argument("--part", nargs=2, metavar=("I", "COMMAND"), help=argparse.SUPPRESS)
    else:
        parser.add_argument("--threads", type=int, default=cores, help=f"{threads} (default: %(default)s, every core)")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds of each contender (default: %(default)s)")
    parser.add_argument("--full", action="store_true", help="all sizes, however long they take")
    parser.add_argument("--output", type=Path, help="the JSON file to write (default: beside the script)")
    return parser


def start(parser: argparse.ArgumentParser, command: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line, with the threads set.

    Of a script that runs under several conditions this process only starts the others, and ends. Called with a command
    by another script, or for a GPU, it runs once: with the most threads that are given, quiet if that is.
    """
    options = parser.parse_args(command)
    several = hasattr(options, "brief")
    threads, busy_processes = (options.threads, options.busy) if several else ([options.threads], [0])
    if min(threads) < 1 or options.rounds < 1 or min(busy_processes) < 0:
        parser.error(
            f"--threads and --rounds must be 1 or more, --busy not negative; not {options.threads}, "
            f"{options.rounds} and {busy_processes}"
        )
    if several:
        alone = command is not None or options.part or getattr(options, "device", "cpu") != "cpu"
        if not alone and len(threads) * len(busy_processes) > 1:
            sys.exit(run_each(threads, busy_processes, sys.argv[1:]))
        options.threads, options.busy = max(threads), min(busy_processes)
        options.whole = not options.brief
        options.brief |= options.busy > 0
        beside = contextlib.ExitStack()
        beside.enter_context(busy(options.busy))
        atexit.register(beside.close)
    set_threads(options.threads)
    return options


def run_each(threads: Sequence[int], busy_processes: Sequence[int], command: Sequence[str]) -> int:
    """This script once for each condition, quiet ones first. The exit code: 1 where one failed."""
    module = f"experiments.benchmarks.{Path(sys.argv[0]).stem}"
    whole, failed = shlex.join(["python", "-m", module, *command]), False
    for i, (n_busy, n) in enumerate(itertools.product(sorted(busy_processes), threads)):
        print(f"threads: {n}, busy processes: {n_busy}", flush=True)
        own = ["--threads", str(n), "--busy", str(n_busy), "--part", str(i), whole]
        environment = os.environ | dict.fromkeys(VARIABLES, str(n))
        failed |= subprocess.run([sys.executable, "-m", module, *command, *own], env=environment).returncode != 0
    return int(failed)


def set_threads(threads: int) -> None:
    """So many threads for PyTorch, for BLAS, and through the environment for KeOps and worker processes."""
    for name in VARIABLES:
        os.environ[name] = str(threads)
    torch.set_num_threads(threads)
    threadpool_limits(limits=threads)


@contextlib.contextmanager
def busy(n: int) -> Iterator[list[subprocess.Popen]]:
    """n processes that compute with one thread each, until the block ends or this process does."""
    processes: list[subprocess.Popen] = []
    try:
        processes += (subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(n))
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
