"""What kills cost: the real commands, killed again and again, then left to finish.

They are killed at random moments and while they write.

``python experiments/probes/kill_tests.py --kills 12 --out FOLDER`` takes some minutes and prints a table. After every
kill all files that a run had finished must be whole; at the end the result must be that of the run that nobody
disturbed. TMPDIR is on another disk (``--tmp``, by default /dev/shm), where a file that is moved from there is copied.
``--forked`` starts the commands from a process that has imported the libraries already: the same program without the
seconds in which nothing can be lost.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from pullback.tasks.training.checkpoint import resumable

ROOT = Path(__file__).resolve().parents[2]
HUMANS = ROOT / "data" / "humans" / "off"
TINY = ["data.k=30", "data.coarsen=400", "data.samples=200", "trainer=cpu"]
NETWORK = [
    "backbone.network.width=16",
    "backbone.network.n_blocks=1",
    "backbone.network.k=20",
    "backbone.descriptor.k=30",
]
SOLVER = ["solver.k_init=10", "solver.step=5", "solver.n_steps=2"]
STEPS = ["trainer.max_steps=20", "trainer.val_check_interval=5", "callbacks.last.minutes=0.0"]
SHAPES = ["data.val_shapes=3", "data.val_pairs=2", "data.test_pairs=3", "data.prepare_workers=1"]
AXIOMATIC = ["method=zoomout", "backbone.descriptor.k=30", "solver.k_init=10", "solver.step=5", "solver.n_steps=4"]


@dataclass(frozen=True)
class Command:
    """A command line, and what of its result must be the same however often it was killed."""

    name: str
    arguments: tuple[str, ...]
    result: Callable[[Path], object]

    def words(self, folder: Path) -> list[str]:
        return [*self.arguments, f"hydra.run.dir={folder / 'run'}", f"paths.cache_dir={folder / 'cache'}"]

    def start(self, folder: Path, log: Path, *, forked: bool) -> "Running":
        log.parent.mkdir(parents=True, exist_ok=True)
        if forked:
            fork = multiprocessing.get_context("fork").Process(target=_run_here, args=(self.words(folder), log))
            fork.start()
            return Running(fork.pid or 0, lambda: fork.exitcode)
        with open(log, "w") as file:
            line = [sys.executable, *self.words(folder)]
            process = subprocess.Popen(line, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)
        return Running(process.pid, process.poll)


@dataclass(frozen=True)
class Running:
    """A command at work, the leader of a session of its own.

    ``status`` is None until it ends, and negative after a signal.
    """

    pid: int
    status: Callable[[], int | None]

    def wait(self, seconds: float) -> int:
        begun = time.monotonic()
        while (status := self.status()) is None:
            if time.monotonic() - begun > seconds:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)
        return status


def _run_here(words: list[str], log: Path) -> None:
    os.setsid()
    os.chdir(ROOT)
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = words
    sys.path.insert(0, str(ROOT))
    runpy.run_path(str(ROOT / words[0]), run_name="__main__")


@dataclass
class Tally:
    """What became of the kills of one command."""

    kills: Counter = field(default_factory=Counter)  # by signal
    while_writing: int = 0
    finished_first: int = 0  # runs that ended before their kill
    damaged: list[str] = field(default_factory=list)
    orphans: int = 0
    slow_stops: int = 0  # SIGTERM or Ctrl-C that took more than 5 s
    statuses: Counter = field(default_factory=Counter)
    completed: bool = False
    same: bool = False
    leftovers: int = 0


def scores(folder: Path) -> object:
    """The figures of a run, without times."""
    return [result["metrics"] for result in json.loads((folder / "run" / "metrics.json").read_text())["results"]]


def weights_and_scores(folder: Path) -> object:
    state = resumable(folder / "run" / "checkpoints" / "last.ckpt")["state_dict"]
    return {name: values.numpy().tobytes() for name, values in state.items()}, scores(folder)


def entries(folder: Path) -> object:
    return sorted(
        str(path.relative_to(folder)) for path in (folder / "cache").glob("*/*") if not path.name.startswith(".")
    )


def point_map(folder: Path) -> object:
    return (folder / "run" / "p2p21.txt").read_bytes()


COMMANDS = [
    Command(
        "training",
        (
            "train.py",
            "experiment=quickstart",
            *TINY,
            *NETWORK,
            *SOLVER,
            *STEPS,
            *SHAPES,
            "resume=auto",
            "run=[match,score]",
        ),
        weights_and_scores,
    ),
    Command(
        "evaluation",
        ("eval.py", "dataset=humans", *AXIOMATIC, *TINY, "data.test_pairs=12", "data.prepare_workers=1"),
        scores,
    ),
    Command(
        "photographs",
        ("eval.py", "dataset=photos", "fusion=gradients_gradients", "solver=closed_form", "graph.k=20"),
        scores,
    ),
    Command(
        "prepare", ("eval.py", "dataset=humans", *AXIOMATIC, *TINY, "run=[prepare]", "data.prepare_workers=2"), entries
    ),
    Command(
        "match",
        (
            "match.py",
            *(f"{side}={path}" for side, path in zip(("source", "target"), sorted(HUMANS.glob("*.off")), strict=False)),
        ),
        point_map,
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=12, help="of each command")
    parser.add_argument("--out", type=Path, default=ROOT / "experiments" / "runs" / "kills")
    parser.add_argument(
        "--tmp", type=Path, default=Path("/dev/shm"), help="the parent of TMPDIR, on another disk than --out"
    )
    parser.add_argument("--only", nargs="*", default=[command.name for command in COMMANDS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forked", action="store_true", help="spare the seconds in which the libraries are imported")
    options = parser.parse_args()
    # a shell's background jobs ignore it, and so would what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ |= {"TMPDIR": str(options.tmp / f"kills-{os.getpid()}"), "OMP_NUM_THREADS": "1"}
    Path(os.environ["TMPDIR"]).mkdir()
    if options.forked:
        for name in ("lightning.pytorch", "hydra", "matplotlib.pyplot", "scipy.sparse.linalg", "torch_geometric.utils"):
            importlib.import_module(name)
        for path in sorted((ROOT / "src" / "pullback").glob("*/**/*.py")):
            if "triton" not in path.name:
                importlib.import_module(".".join(path.relative_to(ROOT / "src").with_suffix("").parts))
    tallies = {}
    for command in (command for command in COMMANDS if command.name in options.only):
        folder = options.out / command.name
        shutil.rmtree(folder, ignore_errors=True)
        rng = random.Random(f"{options.seed} {command.name}")
        tallies[command.name] = tried(command, folder, options.kills, rng, forked=options.forked)
        print(table(tallies), flush=True)
    left = len(list(Path(os.environ["TMPDIR"]).iterdir()))
    shutil.rmtree(os.environ["TMPDIR"])
    print(f"{left} entries were left in TMPDIR")


def tried(command: Command, folder: Path, kills: int, rng: random.Random, *, forked: bool) -> Tally:
    """The command undisturbed, then in another folder killed so often and left to finish."""
    whole, killed, tally = folder / "whole", folder / "killed", Tally()
    begun = time.monotonic()
    if command.start(whole, folder / "whole.txt", forked=forked).wait(1200) != 0:
        raise RuntimeError(f"{command.name} fails undisturbed, see {folder / 'whole.txt'}")
    duration = time.monotonic() - begun
    while sum(tally.kills.values()) < kills:
        kill_once(command, killed, duration, rng, tally, forked=forked)
        tally.damaged += [f"{path}: {error}" for path, error in damaged_files(killed)]
        if tally.finished_first and not tally.finished_first % 2:  # nothing is left to do there: begin anew
            shutil.rmtree(killed)
    time.sleep(3)
    tally.completed = command.start(killed, folder / "finished.txt", forked=forked).wait(1200) == 0
    tally.same = tally.completed and command.result(killed) == command.result(whole)
    tally.damaged += [f"{path}: {error}" for path, error in damaged_files(killed)]
    tally.leftovers = sum(path.name.startswith(".") and path.is_file() for path in killed.rglob("*"))
    return tally


def kill_once(
    command: Command, folder: Path, duration: float, rng: random.Random, tally: Tally, *, forked: bool
) -> None:
    """Starts the command and kills it: at a random moment, or (half of the time) as it begins to write a file."""
    number = rng.choices((signal.SIGKILL, signal.SIGTERM, signal.SIGINT), weights=(3, 1, 1))[0]
    moment, writes = rng.uniform(0.05 if forked else 0.3, 1.0) * duration, rng.choice([None, rng.randint(1, 6)])
    process = command.start(folder, folder.parent / "killed.txt", forked=forked)
    begun, seen, sighted = time.monotonic(), partials(folder), 0
    while process.status() is None:
        now = partials(folder)
        sighted += len(now - seen)
        seen |= now
        if time.monotonic() - begun > (moment if writes is None else 3 * duration) or (
            writes is not None and sighted >= writes
        ):
            break
        time.sleep(0.002)
    if process.status() is not None:
        tally.finished_first += 1
        return
    os.kill(process.pid, number)
    stopped = time.monotonic()
    status = process.wait(120)
    tally.kills[number.name] += 1
    tally.while_writing += writes is not None and sighted >= writes
    tally.statuses[status] += 1
    tally.slow_stops += number != signal.SIGKILL and time.monotonic() - stopped > 5
    tally.orphans += left_alone(process.pid)


def partials(folder: Path) -> set[Path]:
    """The temporary files at this moment."""
    found = set()
    for pattern in ("*/.*.partial", "*/*/.*.partial", "*/*/*/.*.partial"):
        try:
            found |= set(folder.glob(pattern))
        except OSError:  # a folder has just gone
            continue
    return found


def left_alone(leader: int) -> int:
    """How many processes of a killed command live on for 30 s after it; they are killed then."""
    begun = time.monotonic()
    while (alive := session(leader)) and time.monotonic() - begun < 30:
        time.sleep(0.2)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    return len(alive)


def session(leader: int) -> list[int]:
    """The processes that a command has started, and itself."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if (
                entry.name.isdigit()
                and os.getsid(int(entry.name)) == leader
                and b"python" in (entry / "cmdline").read_bytes()
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def damaged_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that are not whole, of all that have their final name. Hydra's own and open logs are not ours to judge."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith(".") or ".hydra" in path.parts or "tensorboard" in path.parts:
            continue
        reader = READERS.get(path.suffix)
        try:
            if reader is not None and reader(path) is False:
                yield path, "cut short"
        except Exception as error:
            yield path, f"{type(error).__name__}: {error}"


def _read_archive(path: Path) -> None:
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            archive[name]


def _read_image(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


READERS: dict[str, Callable[[Path], object]] = {
    ".ckpt": resumable,
    ".json": lambda path: json.loads(path.read_text()),
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".npz": _read_archive,
    ".npy": np.load,
    ".png": _read_image,
    ".html": lambda path: path.read_text().rstrip().endswith("</html>"),
    ".txt": lambda path: path.read_text().endswith("\n"),
}


def table(tallies: dict[str, Tally]) -> str:
    headings = ["command", "kills (KILL, TERM, INT)", "while writing", "damaged files", "orphans", "slow stops"]
    rows = ["| " + " | ".join([*headings, "finishes", "same result", "leftovers"]) + " |", "|---" * 9 + "|"]
    for name, tally in tallies.items():
        kills = [tally.kills[key] for key in ("SIGKILL", "SIGTERM", "SIGINT")]
        words = ["no", "yes"]
        rows.append(
            f"| {name} | {sum(kills)} ({', '.join(map(str, kills))}) | {tally.while_writing} | "
            f"{len(tally.damaged)} | {tally.orphans} "
            f"| {tally.slow_stops} | {words[tally.completed]} | {words[tally.same]} | {tally.leftovers} |"
        )
        rows += [f"  {line}" for line in tally.damaged] + [f"  exit statuses: {dict(tally.statuses)}"]
    return "\n".join(rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
